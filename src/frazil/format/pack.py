"""The footer of a chunk object: what is in it, and how to tell whether it still is.

    object = bytes of chunks, body, tail
    body   = columns, as one zstd frame where that is shorter
    tail   = 64 bytes, so that the end of an object says where the rest is

References say where a chunk is, so readers need no footer and objects without one are fine.
docs/format/packs.md describes every byte. Rows are in the order of their offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash
import zstandard

from frazil.errors import ErrorKind, FormatError
from frazil.format.columns import ByteColumn
from frazil.ids import NodeId

MAGIC: Final = b"FzPackV1"
TAIL_BYTES: Final = 64
NO_REPOSITORY: Final = bytes(16)
MAX_CHUNKS: Final = 1 << 20
"""Chunks in one object; a footer that speaks of more is damaged."""
_MAX_RANK: Final = 64
_MAX_BODY: Final = 512 * 1024 * 1024
_TAIL: Final = struct.Struct("<16sQIIIIQ8x8s")
"""Repository id, data bytes, body bytes, plain body bytes, chunks, arrays, checksum, magic."""
_CHECKED: Final = 40
"""Bytes of the tail that its checksum covers, after those of the body."""
_LEVEL: Final = 1
_ONE: Final = struct.Struct("<8sIIQQQ")
"""The columns of one chunk but its coordinates: array, rank, its number, gap, length, checksum."""
_NO_ARRAY: Final = "an array is not what can be"
_NOT_FILLED: Final = "its columns do not fill it"
_OUTSIDE: Final = "chunks lie outside of the object"

checksum = xxhash.xxh3_64_intdigest
"""The checksum of a chunk's bytes: XXH3 with 64 bits, seed 0. A result of 0 counts as none."""


def checksums(column: ByteColumn) -> npt.NDArray[np.uint64]:
    """uint64[n]: the checksum of each row."""
    heap = np.ascontiguousarray(column.heap).data
    ends = (column.start + column.size).tolist()
    rows = zip(column.start.tolist(), ends, strict=True)
    return np.fromiter((checksum(heap[a:b]) for a, b in rows), np.uint64, len(ends))


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The chunks of one object, by offset, as they were when it was written.

    node: uint8[n, 8], the array's id; rank: int64[n]; coords: uint32, the coordinates of all
    chunks end to end; offset, length (bytes), checksum: uint64[n]. repository: its id, 16
    bytes, zeros where it has none; data_bytes: where the footer begins.
    """

    node: npt.NDArray[np.uint8]
    rank: npt.NDArray[np.int64]
    coords: npt.NDArray[np.uint32]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    checksum: npt.NDArray[np.uint64]
    repository: bytes
    data_bytes: int

    def __len__(self) -> int:
        return len(self.rank)


class _Rows(NamedTuple):
    array: npt.NDArray[np.uint32]
    length: npt.NDArray[np.uint64]
    checksum: npt.NDArray[np.uint64]
    coords: npt.NDArray[np.uint32]


class Contents:
    """What has been put into an object that is being filled, without gaps."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[NodeId, int], int] = {}
        self._rows: list[_Rows] = []
        self._recent: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, node: NodeId, coords: Sequence[int], length: int, checksum: int) -> None:
        """The next chunk."""
        arrays, lengths, sums, flat = self._recent
        arrays.append(self._array(node, len(coords)))
        lengths.append(length)
        sums.append(checksum)
        flat.extend(coords)
        self._count += 1

    def add_many(
        self,
        node: NodeId,
        index: npt.NDArray[np.uint32],
        length: npt.NDArray[np.uint64],
        checksum: npt.NDArray[np.uint64],
    ) -> None:
        """The next chunks, `index[n, ndim]`."""
        self._settle()
        array = np.full(len(index), self._array(node, index.shape[1]), np.uint32)
        self._rows.append(_Rows(array, length, checksum, index.reshape(-1)))
        self._count += len(index)

    def footer(self, repository: bytes = NO_REPOSITORY) -> bytes:
        """The bytes to be put at the end of the object; repository: its id, if it has one."""
        self._settle()
        columns = [np.concatenate(column) for column in zip(*self._rows, strict=True)]
        array, length, sums, coords = columns
        ids = b"".join(node for node, _ in self._arrays)
        ranks = np.array([rank for _, rank in self._arrays], "<u4")
        plain = b"".join(
            (
                ids,
                ranks.tobytes(),
                array.astype("<u4").tobytes(),
                bytes(8 * len(array)),  # no gaps before chunks
                length.astype("<u8").tobytes(),
                sums.astype("<u8").tobytes(),
                coords.astype("<u4").tobytes(),
            )
        )
        body = plain
        if len(array) > 1:
            packed = zstandard.ZstdCompressor(level=_LEVEL).compress(plain)
            body = packed if len(packed) < len(plain) else plain
        head = _TAIL.pack(
            repository,
            int(length.sum()),
            len(body),
            len(plain),
            len(array),
            len(self._arrays),
            0,
            MAGIC,
        )
        own = _own(body, head)
        return b"".join((body, head[:_CHECKED], own.to_bytes(8, "little"), bytes(8), MAGIC))

    def _array(self, node: NodeId, rank: int) -> int:
        return self._arrays.setdefault((node, rank), len(self._arrays))

    def _settle(self) -> None:
        arrays, lengths, sums, flat = self._recent
        if arrays:
            self._rows.append(
                _Rows(
                    np.array(arrays, np.uint32),
                    np.array(lengths, np.uint64),
                    np.array(sums, np.uint64),
                    np.array(flat, np.uint32),
                )
            )
            self._recent = ([], [], [], [])


def footer_bytes(end: bytes) -> int:
    """The length of the footer of an object that ends so; 0 if it has none.

    end: the last `TAIL_BYTES` or more of the object, or all of it.
    """
    if len(end) < TAIL_BYTES or not end.endswith(MAGIC):
        return 0
    return int(_TAIL.unpack(end[-TAIL_BYTES:])[2]) + TAIL_BYTES


def decode_footer(footer: bytes, *, size: int, where: str) -> Packed:
    """Read the last `footer_bytes` of an object of `size` bytes; `where` names it in errors.

    `FormatError` if it is damaged, or does not fit the object.
    """
    return _decode_body(_body(footer, size, where), where)


def decode_places(footer: bytes, *, size: int, where: str) -> dict[tuple[int, int], int]:
    """As `decode_footer`: the checksum of each chunk, by its offset and length."""
    body = _body(footer, size, where)
    if body.chunks > 1:
        packed = _decode_body(body, where)
        places = zip(packed.offset.tolist(), packed.length.tolist(), strict=True)
        return dict(zip(places, packed.checksum.tolist(), strict=True))
    # Objects of one chunk are many, and columns of one row take ten times as long.
    _, rank, array, gap, length, own = _ONE.unpack_from(body.plain)
    if array or rank > _MAX_RANK:
        raise _damaged(where, _NO_ARRAY)
    if _ONE.size + 4 * rank != len(body.plain):
        raise _damaged(where, _NOT_FILLED)
    if gap + length > body.data:
        raise _damaged(where, _OUTSIDE)
    return {(gap, length): own}


class _Body(NamedTuple):
    """A body as it was before it was compressed, and what the tail says of it."""

    plain: bytes
    chunks: int
    arrays: int
    data: int
    repository: bytes


def _body(footer: bytes, size: int, where: str) -> _Body:
    if footer_bytes(footer) != len(footer):
        raise _damaged(where, "it is cut short")
    tail = footer[-TAIL_BYTES:]
    repository, data, length, plain, n, arrays, own, _ = _TAIL.unpack(tail)
    body = footer[: len(footer) - TAIL_BYTES]
    if _own(body, tail) != own or any(tail[_CHECKED + 8 : -8]):
        raise _damaged(where, "its checksum does not agree with it")
    if data + len(footer) != size:
        raise _damaged(where, f"it speaks of {data} bytes of chunks in an object of {size} bytes")
    # No sum of what is at most this, of MAX_CHUNKS, is beyond 2**63.
    if data >= 1 << 42:
        raise _damaged(where, f"no object has {data} bytes")
    least = arrays * 12 + n * 28
    if not 0 < n <= MAX_CHUNKS or not 0 < arrays <= n:
        raise _damaged(where, f"it speaks of {n} chunks of {arrays} arrays")
    if not least <= plain <= min(_MAX_BODY, least + n * 4 * _MAX_RANK):
        raise _damaged(where, f"{n} chunks cannot be described in {plain} bytes")
    if length != plain:
        body = _decompressed(body, plain, where)
    return _Body(body, n, arrays, data, repository)


def _decompressed(body: bytes, plain: int, where: str) -> bytes:
    try:
        # The size in the frame is checked before memory is taken for it.
        if zstandard.frame_content_size(body) != plain:
            raise _damaged(where, "its length is not what it says")
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError as error:
        raise _damaged(where, str(error)) from None


def _decode_body(found: _Body, where: str) -> Packed:
    body, n, arrays, data, repository = found
    at = 0

    def column(dtype: str, count: int) -> npt.NDArray[np.generic]:
        nonlocal at
        values = np.frombuffer(body, dtype, count, at)
        at += values.nbytes
        return values

    ids = column("u1", 8 * arrays).reshape(arrays, 8)
    ranks = column("<u4", arrays).astype(np.int64)
    array = column("<u4", n).astype(np.int64)
    gap, length, sums = (column("<u8", n).astype(np.uint64) for _ in range(3))
    if bool((array >= arrays).any()) or bool((ranks > _MAX_RANK).any()):
        raise _damaged(where, _NO_ARRAY)
    rank = ranks[array]
    if at + 4 * int(rank.sum()) != len(body):
        raise _damaged(where, _NOT_FILLED)
    coords = column("<u4", int(rank.sum())).astype(np.uint32)
    if bool((np.maximum(gap, length) > data).any()):
        raise _damaged(where, _OUTSIDE)
    end = np.cumsum(gap + length)
    if int(end[-1]) > data:
        raise _damaged(where, _OUTSIDE)
    node = np.ascontiguousarray(ids)[array]
    return Packed(node, rank, coords, end - length, length, sums, repository, data)


def _own(body: bytes, tail: bytes) -> int:
    digest = xxhash.xxh3_64(body)
    digest.update(tail[:_CHECKED])
    return digest.intdigest()


def _damaged(where: str, what: str) -> FormatError:
    return FormatError(f"the footer of {where} is damaged: {what}", ErrorKind.INVALID_FILE_FORMAT)
