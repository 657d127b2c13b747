"""What is said of chunks without asking Zarr for each is what Zarr says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.storage import MemoryStore

from frazil.model.zarr_metadata import document_of_chunk
from frazil.store import decoding

ARRAYS: dict[str, dict[str, Any]] = {
    "plain": {"dtype": "i4", "compressors": None},
    "big-endian": {"dtype": "f8", "compressors": None, "serializer": BytesCodec(endian="big")},
    "bool": {"dtype": "bool", "compressors": None},
    "text": {"dtype": "U3", "compressors": None},
    "zstd": {"dtype": "i4", "compressors": ZstdCodec()},
    "zstd-checksum": {"dtype": "i4", "compressors": ZstdCodec(checksum=True)},
    "twice": {"dtype": "i4", "compressors": (GzipCodec(), ZstdCodec())},
    "crc32c": {"dtype": "i4", "compressors": Crc32cCodec()},
    "blosc": {"dtype": "i4", "compressors": BloscCodec(cname="lz4")},
    "sharded": {"dtype": "i4", "compressors": ZstdCodec(), "chunks": (3, 2), "shards": (3, 4)},
    "variable": {"dtype": "str", "compressors": ZstdCodec()},
}
"""What is known without Zarr, and what is not."""


def chunks_of(how: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    store = MemoryStore()
    array = zarr.create_array(store, shape=(15, 4), **{"chunks": (3, 4), **how})
    numbers = np.arange(60).reshape(15, 4)
    array[:] = numbers.astype(array.dtype) if how["dtype"] != "str" else numbers.astype("U")
    files = {key: value.to_bytes() for key, value in store._store_dict.items()}
    document = document_of_chunk(files["zarr.json"])
    assert document is not None
    return document, [files[f"c/{i}/0"] for i in range(5)]


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("name", ARRAYS)
def test_it_is_as_zarr_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BULK_CHUNKS", 3)
    document, good = chunks_of(ARRAYS[name])
    assert decoding.decodable(document, good) == [True] * 5
    flipped = bytearray(good[1])
    flipped[len(flipped) // 2] ^= 0x55
    bad = [good[0][:-1], good[2] + b"x", b"", b"nonsense" * 40, bytes(flipped), good[3] + good[4]]
    for chunks in (bad, [*good, *bad], [bad[0], *good]):
        said = decoding.decodable(document, chunks)
        assert said == [decoding._decodes(json.loads(document), [c]) for c in chunks]


@pytest.mark.parametrize("name", ["plain", "zstd", "zstd-checksum"])
def test_zarr_is_not_asked_about_what_is_well(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document, good = chunks_of(ARRAYS[name])
    monkeypatch.setattr(decoding, "_decodes", lambda *_: False)
    assert decoding.decodable(document, [*good, good[0][:-1]])[:5] == [name == "plain"] * 5
    assert decoding.decodable(document, good) == [True] * 5


def test_an_array_without_axes() -> None:
    store = MemoryStore()
    zarr.create_array(store, shape=(), dtype="f4", compressors=None)[...] = 5
    document = document_of_chunk(store._store_dict["zarr.json"].to_bytes())
    assert document is not None
    assert decoding.decodable(document, [b"1234", b"12345"]) == [True, False]


def test_a_document_that_is_none() -> None:
    assert decoding.decodable(b'{"shape": [3]}', [b"abc"]) == [False]
