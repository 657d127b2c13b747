"""Elements of chunks set to fill value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer
from zarr.registry import register_codec
from zarr.storage import MemoryStore

from frazil.model.zarr_metadata import document_of_chunk
from frazil.store.erasing import Eraser


def chunk_of(data: np.ndarray[Any, Any], **options: Any) -> tuple[bytes, bytes]:
    """The metadata and the bytes of a chunk."""
    files: dict[str, Any] = {}
    array = zarr.create_array(
        MemoryStore(files), shape=data.shape, chunks=data.shape, dtype=data.dtype, **options
    )
    array[...] = data
    document = document_of_chunk(files["zarr.json"].to_bytes())
    assert document is not None
    return document, files["c/" + "/".join("0" * data.ndim)].to_bytes()


def test_a_part() -> None:
    data = np.arange(1.0, 13.0).reshape(3, 4)
    document, chunk = chunk_of(data, compressors=None, fill_value=-1.0)
    eraser = Eraser(document)
    assert eraser.nbytes == 96
    after = eraser.erase(chunk, ((1, 2), (0, 3)))
    data[1, :3] = -1
    assert after == data.tobytes()
    assert eraser.erase(after, ((1, 2), (1, 3))) == after
    assert eraser.erase(chunk, ((0, 3), (0, 4))) is None


@pytest.mark.parametrize("hidden", [-0.0, np.uint64(0x7FF8_0000_0000_0007).view("f8")])
def test_what_only_looks_like_fill_value(hidden: float) -> None:
    """The sign of a zero and the bits of a NaN tell something, too."""
    fill = 0.0 if hidden == 0 else np.nan
    document, chunk = chunk_of(np.array([1, hidden, 2]), compressors=None, fill_value=fill)
    after = Eraser(document).erase(chunk, ((1, 2),))
    assert after == np.array([1, fill, 2]).tobytes()
    assert after != chunk


def test_bytes_that_are_no_chunk() -> None:
    document, chunk = chunk_of(np.arange(1, 9))
    eraser = Eraser(document)
    with pytest.raises(ValueError, match=r"."):
        eraser.erase(b"nonsense" + chunk, ((1, 2),))
    assert eraser.erase(chunk, ((1, 2),)) is not None


@dataclass(frozen=True)
class Drifting(BytesBytesCodec):
    """Each time it encodes, the last byte is another."""

    is_fixed_size = True

    @classmethod
    def from_dict(cls, data: Any) -> Drifting:
        return cls()

    def to_dict(self) -> Any:
        return {"name": "drifting", "configuration": {}}

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return chunk_bytes

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        data = bytearray(chunk_bytes.to_bytes())
        data[-1] ^= 1
        return chunk_spec.prototype.buffer.from_bytes(bytes(data))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        return input_byte_length


def test_codecs_that_would_alter_what_stays() -> None:
    register_codec("drifting", Drifting)
    document, chunk = chunk_of(np.arange(1, 9), compressors=None)
    meta = json.loads(document)
    meta["codecs"].append({"name": "drifting", "configuration": {}})
    eraser = Eraser(json.dumps(meta).encode())
    with pytest.raises(ValueError, match="would alter the elements that stay"):
        eraser.erase(chunk, ((1, 2),))


def test_codecs_that_are_not_at_hand() -> None:
    document, _ = chunk_of(np.arange(1, 9))
    meta = json.loads(document)
    meta["codecs"].append({"name": "nobody-knows", "configuration": {}})
    with pytest.raises(ValueError, match="nobody-knows"):
        Eraser(json.dumps(meta).encode())
