"""The codecs of an array, and chunks through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from zarr.codecs import BytesCodec, ShardingCodec, ZstdCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import NDBuffer

_SIMPLE_KINDS = "biufcMmSU"


@dataclass(frozen=True, slots=True)
class Chain:
    """Codecs in the order in which they encode.

    zstd: the last one, if it is Zarr's zstd; `bytes_bytes` are those between it and the
    serializer.
    """

    array_array: tuple[Any, ...]
    serializer: Any
    bytes_bytes: tuple[Any, ...]
    zstd: ZstdCodec | None

    @classmethod
    def of(cls, codecs: Sequence[Codec]) -> Chain | None:
        """The chain of these codecs; None if there is one that cannot be called directly."""
        array_array = tuple(c for c in codecs if isinstance(c, ArrayArrayCodec))
        serializers = [c for c in codecs if isinstance(c, ArrayBytesCodec)]
        bytes_bytes = tuple(c for c in codecs if isinstance(c, BytesBytesCodec))
        others = [c for c in codecs if not isinstance(c, ShardingCodec)]
        if len(serializers) != 1 or not all(map(_is_direct, others)):
            return None
        zstd = None
        last = bytes_bytes[-1] if bytes_bytes else None
        if isinstance(last, ZstdCodec) and type(last) is ZstdCodec:
            bytes_bytes, zstd = bytes_bytes[:-1], last
        return cls(array_array, serializers[0], bytes_bytes, zstd)

    @property
    def sharded(self) -> bool:
        """Whether chunks are shards, with their own way to be read in parts."""
        return isinstance(self.serializer, ShardingCodec)

    def stored_dtype(self, spec: ArraySpec) -> np.dtype[Any] | None:
        """The type of the cells in the bytes of a chunk; None unless these are its cells in order.

        What compresses them comes on top.
        """
        if self.array_array or type(self.serializer) is not BytesCodec:
            return None
        dtype = spec.dtype.to_native_dtype()
        if dtype.kind not in _SIMPLE_KINDS:
            return None
        endian: Any = self.serializer.endian
        if endian is None:
            return dtype if dtype.itemsize == 1 or dtype.kind == "S" else None
        # An enumeration in older versions of Zarr.
        return dtype.newbyteorder(getattr(endian, "value", endian))


@dataclass(frozen=True, slots=True)
class ChunkCoder:
    """What the codecs do with chunks of one specification, zstd excepted."""

    chain: Chain
    spec: ArraySpec
    specs: tuple[ArraySpec, ...]
    """What each array-array codec gets when it encodes, and the serializer."""
    stored: np.dtype[Any] | None
    """See `Chain.stored_dtype`; None with bytes-bytes codecs too."""

    @classmethod
    def of(cls, chain: Chain, spec: ArraySpec) -> ChunkCoder:
        """The coder for chunks of this specification."""
        specs = [spec]
        for codec in chain.array_array:
            specs.append(codec.resolve_metadata(specs[-1]))
        return cls(
            chain, spec, tuple(specs), None if chain.bytes_bytes else chain.stored_dtype(spec)
        )

    @property
    def nbytes(self) -> int:
        """The bytes of a chunk before it is encoded."""
        return prod(self.spec.shape) * self.spec.dtype.to_native_dtype().itemsize

    def decode(self, data: Any) -> NDBuffer:
        """A chunk from bytes, which zstd has been taken off from."""
        chain, last = self.chain, self.specs[-1]
        buffer = self.spec.prototype.buffer.from_bytes(data)
        for codec in reversed(chain.bytes_bytes):
            buffer = codec._decode_sync(buffer, last)
        array: NDBuffer = chain.serializer._decode_sync(buffer, last)
        for codec, spec in zip(reversed(chain.array_array), reversed(self.specs[:-1]), strict=True):
            array = codec._decode_sync(array, spec)
        return array

    def encode(self, array: NDBuffer) -> npt.NDArray[np.uint8] | None:
        """The bytes of a chunk, before zstd; None if a codec says that none are to be stored."""
        chain, last = self.chain, self.specs[-1]
        for codec, spec in zip(chain.array_array, self.specs[:-1], strict=True):
            array = codec._encode_sync(array, spec)
            if array is None:
                return None
        cells = array.as_numpy_array()
        if cells.dtype.kind in "OT" and not cells.flags.c_contiguous:
            # Older versions of Zarr write text in memory order, but read it in C order.
            array = last.prototype.nd_buffer.from_numpy_array(np.ascontiguousarray(cells))
        buffer = chain.serializer._encode_sync(array, last)
        for codec in chain.bytes_bytes:
            if buffer is None:
                return None
            buffer = codec._encode_sync(buffer, last)
        return None if buffer is None else buffer.as_numpy_array()


def fill_of(spec: ArraySpec) -> Any:
    """The value of cells that no chunk has."""
    return spec.dtype.default_scalar() if spec.fill_value is None else spec.fill_value


def _is_direct(codec: Codec) -> bool:
    if not (hasattr(codec, "_decode_sync") and hasattr(codec, "_encode_sync")):
        return False
    return bool(getattr(codec, "_sync_capable", True))
