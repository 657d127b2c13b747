"""References from chunks of one array to their bytes, in columns.

A million references are ten arrays, and each operation on them is a numpy operation.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.columns import ByteColumn
from frazil.ids import ChunkId

ABSENT: Final = 0
"""No chunk here: an erased chunk in a set of changes. Never in a file."""
NATIVE: Final = 1
"""Bytes `[offset, offset + length)` of the chunk object `object`."""
VIRTUAL: Final = 2
"""Bytes `[offset, offset + length)` of the object at the URL `payload`."""
INLINE: Final = 3
"""The bytes are `payload`."""

_MAX_CELLS = 1 << 62
"""Largest box whose cells are numbered by one int64."""


@dataclass(frozen=True, slots=True)
class InlineRef:
    """The chunk itself."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NativeRef:
    """A slice of a chunk object of the repository.

    checksum: of the bytes (`frazil.format.pack.checksum`), 0 = not known. A hint: it does not
    make another reference of it.
    """

    object: ChunkId
    offset: int
    length: int
    checksum: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class VirtualRef:
    """A slice of an object elsewhere; etag or modified (s since the epoch) guard it."""

    location: str
    offset: int
    length: int
    etag: str | None = None
    modified: int | None = None


Ref = InlineRef | NativeRef | VirtualRef
"""Where one chunk is."""


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRefs:
    """References of one array, sorted by index, no index twice.

    index: uint32[n, ndim], compared component by component; kind: uint8[n];
    object: uint8[n, 12], zero unless NATIVE; offset, length: uint64[n] (INLINE: 0 and the
    length of the payload); payload: the INLINE bytes or the VIRTUAL location in UTF-8;
    etag and modified (uint32[n], s since the epoch, 0 = none): VIRTUAL only; checksum
    (uint64[n], 0 = not known): a hint, NATIVE only. A column of which every row is empty may
    be None.
    """

    index: npt.NDArray[np.uint32]
    kind: npt.NDArray[np.uint8]
    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    payload: ByteColumn | None = None
    etag: ByteColumn | None = None
    modified: npt.NDArray[np.uint32] | None = None
    checksum: npt.NDArray[np.uint64] | None = None
    _key: _Key | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, ndim: int, refs: Mapping[tuple[int, ...], Ref | None]) -> ChunkRefs:
        """From values, in any order; None makes an ABSENT row."""
        items = sorted(refs.items(), key=lambda item: item[0]) if len(refs) > 1 else refs.items()
        n = len(items)
        # Lists of Python's own numbers, each made an array once: most sets of edits are small.
        kind, object_ = bytearray(n), bytearray(n * ChunkId.SIZE)
        offset, length, checksum, modified = [0] * n, [0] * n, [0] * n, [0] * n
        payload: list[bytes | None] = [None] * n
        etag: list[bytes | None] = [None] * n
        for i, (_, ref) in enumerate(items):
            if isinstance(ref, NativeRef):
                kind[i] = NATIVE
                object_[i * ChunkId.SIZE : (i + 1) * ChunkId.SIZE] = ref.object
                offset[i], length[i], checksum[i] = ref.offset, ref.length, ref.checksum
            elif isinstance(ref, InlineRef):
                kind[i] = INLINE
                length[i] = len(ref.data)
                payload[i] = ref.data
            elif isinstance(ref, VirtualRef):
                kind[i] = VIRTUAL
                offset[i], length[i] = ref.offset, ref.length
                payload[i] = ref.location.encode()
                etag[i] = None if ref.etag is None else ref.etag.encode()
                modified[i] = ref.modified or 0
        virtual = VIRTUAL in kind
        return cls(
            np.array([coords for coords, _ in items], np.uint32).reshape(n, ndim),
            np.frombuffer(kind, np.uint8),
            np.frombuffer(object_, np.uint8).reshape(n, ChunkId.SIZE),
            np.array(offset, np.uint64),
            np.array(length, np.uint64),
            ByteColumn.of(payload) if virtual or INLINE in kind else None,
            ByteColumn.of(etag) if virtual else None,
            np.array(modified, np.uint32) if virtual else None,
            np.array(checksum, np.uint64) if any(checksum) else None,
        )

    @classmethod
    def empty(cls, ndim: int) -> ChunkRefs:
        """No references to an array of this rank."""
        return cls.of(ndim, {})

    @classmethod
    def absent(cls, index: npt.NDArray[np.uint32]) -> ChunkRefs:
        """An ABSENT row for each of the chunks `index[n, ndim]`."""
        n = len(index)
        return cls(
            index,
            np.zeros(n, np.uint8),
            np.zeros((n, ChunkId.SIZE), np.uint8),
            np.zeros(n, np.uint64),
            np.zeros(n, np.uint64),
        )

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        rare = (self.payload, self.etag, self.modified, self.checksum)
        plain = self.index.nbytes + self.kind.nbytes + self.object.nbytes
        plain += self.offset.nbytes + self.length.nbytes
        return plain + sum([column.nbytes for column in rare if column is not None])

    @property
    def ndim(self) -> int:
        """Rank of the array."""
        return int(self.index.shape[1])

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> ChunkRefs:
        """The rows at these positions (or under this mask), in the order given."""
        return ChunkRefs(
            self.index[rows],
            self.kind[rows],
            self.object[rows],
            self.offset[rows],
            self.length[rows],
            None if self.payload is None else self.payload.take(rows),
            None if self.etag is None else self.etag.take(rows),
            None if self.modified is None else self.modified[rows],
            None if self.checksum is None else self.checksum[rows],
        )

    @classmethod
    def concat(cls, parts: Sequence[ChunkRefs]) -> ChunkRefs:
        """All rows of the parts (at least one) in their order, which is not made a sorted one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([p.index for p in parts]),
            np.concatenate([p.kind for p in parts]),
            np.concatenate([p.object for p in parts]),
            np.concatenate([p.offset for p in parts]),
            np.concatenate([p.length for p in parts]),
            _concat_columns([(p.payload, len(p)) for p in parts]),
            _concat_columns([(p.etag, len(p)) for p in parts]),
            _concat_numbers([(p.modified, len(p)) for p in parts], np.uint32),
            _concat_numbers([(p.checksum, len(p)) for p in parts], np.uint64),
        )

    def last_of_each(self) -> ChunkRefs:
        """Of the rows with the same index the last one, sorted by index."""
        keys = self._keys()
        return self if keys.increasing else self.take(keys.last_of_each())

    def is_sorted(self) -> bool:
        """Whether the indexes are strictly increasing: sorted, and none twice."""
        return self._keys().increasing

    def sorted(self) -> ChunkRefs:
        """The same rows by index; rows with the same index stay in their order."""
        keys = self._keys()
        return self if keys.increasing else self.take(keys.order())

    def find(self, coords: Sequence[int]) -> int:
        """The row of this chunk, or -1; the rows must be sorted."""
        return (self._key or self._keys()).find(coords)

    def find_many(self, index: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """int64[k]: the row of each of the chunks `index[k, ndim]`, or -1; rows must be sorted."""
        return self._keys().find_many(index)

    def row(self, i: int) -> Ref | None:
        """One row as a value; None where it is ABSENT."""
        kind = self.kind[i]
        if kind == NATIVE:
            return NativeRef(
                ChunkId(self.object[i].tobytes()),
                int(self.offset[i]),
                int(self.length[i]),
                0 if self.checksum is None else int(self.checksum[i]),
            )
        if kind == INLINE:
            return InlineRef(self._payload(i))
        if kind == ABSENT:
            return None
        etag = None if self.etag is None else self.etag[i]
        modified = 0 if self.modified is None else int(self.modified[i])
        return VirtualRef(
            self._payload(i).decode(),
            int(self.offset[i]),
            int(self.length[i]),
            None if etag is None else etag.decode(),
            modified or None,
        )

    def _payload(self, i: int) -> bytes:
        return (None if self.payload is None else self.payload[i]) or b""

    def bounds(self) -> npt.NDArray[np.uint32]:
        """uint32[ndim, 2]: the smallest box that holds all indexes, `to` exclusive."""
        return np.array(self.box(), np.uint32).reshape(self.ndim, 2)

    def box(self) -> tuple[tuple[int, int], ...]:
        """The bounds as (from, to exclusive) of each dimension; (0, 0) without any rows."""
        keys = self._keys()
        if max(keys.stop, default=0) >> 32:
            raise InvalidInputError(
                "chunk coordinate 4294967295 is outside every chunk grid: grids have at most "
                "4294967295 chunks along a dimension",
                ErrorKind.INVALID_CHUNK_INDEX,
            )
        return tuple(zip(keys.first, keys.stop, strict=True))

    def equals(self, other: ChunkRefs) -> bool:
        """Whether both hold the same rows in the same order, whatever checksums are known."""
        n = len(self)
        plain = all(
            np.array_equal(a, b)
            for a, b in (
                (self.index, other.index),
                (self.kind, other.kind),
                (self.object, other.object),
                (self.offset, other.offset),
                (self.length, other.length),
            )
        )
        if not plain:
            return False
        none = np.zeros(n, np.uint32)
        return (
            (self.payload or ByteColumn.absent(n)).equals(other.payload or ByteColumn.absent(n))
            and (self.etag or ByteColumn.absent(n)).equals(other.etag or ByteColumn.absent(n))
            and np.array_equal(
                none if self.modified is None else self.modified,
                none if other.modified is None else other.modified,
            )
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The keys are made again where they are needed; the heaps may hold much more than is used.
        return ChunkRefs, (
            self.index,
            self.kind,
            self.object,
            self.offset,
            self.length,
            None if self.payload is None else self.payload.compact(),
            None if self.etag is None else self.etag.compact(),
            self.modified,
            self.checksum,
        )

    def _keys(self) -> _Key:
        if self._key is None:
            object.__setattr__(self, "_key", _Key(self.index))
        assert self._key is not None
        return self._key


class _Key:
    """Order of the rows by one key each, made once per `ChunkRefs`.

    The key is the cell number in the bounding box `[first, stop)` where an int64 can hold
    it, else the big-endian bytes of the index, which compare as the numbers do. When every
    cell of the box has a row the key is the row, and no column is kept.
    """

    __slots__ = ("_column", "_list", "_strides", "first", "increasing", "n", "stop")

    def __init__(self, index: npt.NDArray[np.uint32]) -> None:
        self.n, ndim = index.shape
        if self.n == 1:
            self.first: list[int] = index[0].tolist()
            self.stop: list[int] = [i + 1 for i in self.first]
            self._strides: list[int] | None = [1] * ndim
            self._column: npt.NDArray[Any] | None = None
            self._list: memoryview | npt.NDArray[Any] | None = None
            self.increasing = True
            return
        # Column by column: numpy is slow along the long axis of a narrow array.
        columns = [index[:, d] for d in range(ndim)]
        self.first = [int(c.min()) if self.n else 0 for c in columns]
        self.stop = [int(c.max()) + 1 if self.n else 0 for c in columns]
        extent = [b - a for a, b in zip(self.first, self.stop, strict=True)]
        cells = math.prod(extent) if self.n else 0
        self._strides = None
        if cells <= _MAX_CELLS:
            self._strides = [math.prod(extent[d + 1 :]) for d in range(ndim)]
        self._column = self._make(index)
        self.increasing = bool((self._column[1:] > self._column[:-1]).all())
        if self.increasing and cells == self.n:
            self._column = None
        # bisect over a memoryview is faster than numpy for a single search.
        self._list = self._column
        if self._column is not None and self._strides is not None:
            self._list = self._column.data

    def _make(self, index: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
        if self._strides is None:
            return _big_endian(index)
        key = np.zeros(len(index), np.int64)
        for d, stride in enumerate(self._strides):
            part = index[:, d].astype(np.int64)
            part -= self.first[d]
            part *= stride
            key += part
        return key

    def order(self) -> npt.NDArray[np.intp]:
        assert self._column is not None  # None only where the rows are in order
        return np.argsort(self._column, kind="stable")

    def last_of_each(self) -> npt.NDArray[np.intp]:
        order = self.order()
        assert self._column is not None
        ordered = self._column[order]
        last = np.ones(len(order), np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=last[:-1])
        return order[last]

    def find(self, coords: Sequence[int]) -> int:
        key: int | bytes = 0
        strides = self._strides
        if strides is None:
            if not all(0 <= c < 1 << 32 for c in coords):
                return -1
            key = b"".join([int(c).to_bytes(4, "big") for c in coords])
            # numpy drops the zeros at the end of what it hands out.
            assert self._column is not None
            row = int(np.searchsorted(self._column, np.array(key, f"S{len(key)}")))
            return row if row < self.n and self._column[row] == key.rstrip(b"\0") else -1
        number = 0
        for c, first, stop, stride in zip(coords, self.first, self.stop, strides, strict=True):
            if not first <= c < stop:
                return -1
            # int: the fixed-width integers of numpy would wrap around.
            number += (int(c) - first) * stride
        column = self._list
        if column is None:
            return number if self.n else -1
        row = bisect_left(column, number)
        return row if row < self.n and column[row] == number else -1

    def find_many(self, index: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        if not self.n:
            return np.full(len(index), -1, np.int64)
        if self._strides is None:
            inside = np.ones(len(index), np.bool_)
        else:
            low, high = np.array(self.first, np.uint64), np.array(self.stop, np.uint64)
            inside = np.all((index >= low) & (index < high), axis=1)
        key = self._make(index)
        if self._column is None:
            return np.where(inside, key, -1)
        row = np.searchsorted(self._column, key)
        row[row == self.n] = 0
        return np.where(inside & (self._column[row] == key), row, -1)


def _big_endian(index: npt.NDArray[np.uint32]) -> npt.NDArray[np.bytes_]:
    n, ndim = index.shape
    raw = np.ascontiguousarray(index, dtype=">u4")
    return raw.view(f"S{4 * ndim}").reshape(n)


def _concat_columns(parts: Sequence[tuple[ByteColumn | None, int]]) -> ByteColumn | None:
    if all(column is None for column, _ in parts):
        return None
    return ByteColumn.concat([column or ByteColumn.absent(n) for column, n in parts])


def _concat_numbers(
    parts: Sequence[tuple[npt.NDArray[Any] | None, int]], dtype: npt.DTypeLike
) -> npt.NDArray[Any] | None:
    if all(column is None for column, _ in parts):
        return None
    return np.concatenate([np.zeros(n, dtype) if c is None else c for c, n in parts])
