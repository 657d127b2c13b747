"""FlatBuffers in columns: the fields of all tables of a kind are read by one gather.

    buffer  = u32 root, "Ichk", anything          positions count from the first byte
    table   = i32 back to its vtable, fields      vtable = position of the table - value
    vtable  = u16 its size, u16 size of the table, u16 per slot: offset in the table or 0
    field   = scalar | struct | u32 ahead to a string, vector or table (from the field)
    vector  = u32 count, items;  string = u32 bytes, UTF-8, NUL
    union   = a u8 slot with the tag, then a slot with the table

Reading, with one `Slot` constant per field of the schema:

    root = read_root(body, where="snapshots/…")       Table: one table, scalars as Python values
    root.string(MESSAGE); root.blob(EXTRA); root.scalar(FLUSHED_AT, "<u8"); root.struct(ID, 12)
    if root.has(PARENT): root.struct(PARENT, 12)      has() is how optional fields are read
    nodes = root.tables(NODES)                        Tables: a column of tables
    nodes.string(PATH)                                ByteColumn sharing the body as its heap
    nodes.scalar(KIND, "u1"); nodes.struct(ID, 8)     arrays [n], [n, 8]
    arrays = nodes.take(kind == 1).table(DATA)        Tables, one per row (also for unions)
    refs, counts = arrays.tables(MANIFESTS)           Tables of all rows end to end, int64[n]
    extents, counts = refs.items(EXTENTS, EXTENT)     array of all items end to end, int64[n]

The other direction is in `flatbuf_writer`.

Input is hostile: every access is checked against the buffer, and what vectors announce is
paid from a budget. No writer lets two vectors share items, so the items of all vectors
together are at most the file; a file whose vectors overlap to claim more is refused before
the memory is taken. Bytes and strings, which are not copied here, may be shared up to the
2 GiB that the FlatBuffers verifiers of other implementations allow. Each violation raises
`FormatError`, which names the file, the field and the position.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.columns import ByteColumn, gather_bytes

Positions = npt.NDArray[np.int64]

_MAX_APPARENT = 1 << 31
_SLACK = 1 << 16
"""What vectors may claim beyond the size of the file, so that tiny files may share a little."""
_UTF8_BLOCK = 1 << 22
_FEW = 24
"""Rows up to which Python's own numbers are faster than arrays."""
_BLOCK = 1 << 16
"""Rows whose positions are worked out at a time: these take more than what is read there."""
_NONE: Final[Positions] = np.empty(0, np.int64)
_U32 = struct.Struct("<I").unpack_from
_PLAIN: Final = {"u1": "<B", "<u2": "<H", "<u4": "<I", "<i4": "<i", "<u8": "<Q"}


class Slot(NamedTuple):
    """A field of a table: its number in the vtable, and its name for messages."""

    number: int
    name: str


def read_root(body: bytes, *, where: str) -> Table:
    """The root table of a FlatBuffers buffer; `where` names the file in errors."""
    buffer = Buffer(body, where)
    at = buffer.number(0, "<I", "root table")
    return Table(buffer, at, "root table")


class Buffer:
    """The bytes of one file, with checked access and a budget for what its vectors claim."""

    __slots__ = ("_budget", "_strings", "bytes", "data", "where")

    def __init__(self, body: bytes, where: str) -> None:
        self.bytes = body
        self.data: npt.NDArray[np.uint8] = np.frombuffer(body, np.uint8)
        self.where = where
        self._budget = len(body) + _SLACK
        self._strings = _MAX_APPARENT

    def fail(self, what: str) -> FormatError:
        return FormatError(f"{self.where}: {what}", ErrorKind.INVALID_FILE_FORMAT)

    def spend(self, count: int, name: str) -> None:
        """Count bytes that vector items take; more than the file has is an attack or damage."""
        self._budget -= count
        if self._budget < 0:
            raise self.fail(f"{name}: vectors claim more items than the file has bytes for")

    def spend_strings(self, count: int, name: str) -> None:
        self._strings -= count
        if self._strings < 0:
            raise self.fail(f"{name}: strings and byte vectors claim more than {_MAX_APPARENT}")

    def check_unshared(self, column: ByteColumn, name: str) -> None:
        """`FormatError` if the rows, of which each should have its own bytes, overlap a lot.

        For what becomes Python objects: sharing would let a small file make large ones.
        """
        if int(column.size.sum()) > len(self.bytes) + _SLACK:
            raise self.fail(f"{name}: rows share their bytes and claim more than the file has")

    def number(self, at: int, layout: str, name: str) -> int:
        """One scalar of a `struct` layout."""
        if not 0 <= at <= len(self.bytes) - struct.calcsize(layout):
            raise self.outside(name, at)
        value: int = struct.unpack_from(layout, self.bytes, at)[0]
        return value

    def vtable(self, at: int, name: str) -> tuple[int, ...]:
        """The offsets of the fields in a table, by slot; 0 = absent."""
        size = self.number(at, "<H", f"vtable of {name}")
        if size < 4 or at + size > len(self.bytes):
            raise self.fail(f"vtable of {name}: size {size} at position {at} is impossible")
        fields: tuple[int, ...] = struct.unpack_from(f"<{size // 2 - 2}H", self.bytes, at + 4)
        return fields

    def gather(
        self, at: Positions, dtype: npt.DTypeLike, name: str, ahead: int = 0
    ) -> npt.NDArray[Any]:
        """The scalars or structs `ahead` of these positions, which need no alignment."""
        dtype = np.dtype(dtype)
        if not len(at):
            return np.empty(0, dtype)
        if len(at) <= _FEW:
            size, data = dtype.itemsize, self.bytes
            places = [place + ahead for place in at.tolist()]
            if min(places) < 0 or max(places) + size > len(data):
                raise self.outside(name, max(places, key=abs))
            return np.frombuffer(bytearray().join([data[p : p + size] for p in places]), dtype)
        found = np.empty(len(at), dtype)
        for block in blocks(len(at)):
            own = at[block] + ahead
            self.check(own, dtype.itemsize, name)
            # One item per byte position, overlapping: the index picks among them.
            count = len(self.data) - dtype.itemsize + 1
            items: npt.NDArray[Any] = np.ndarray((count,), dtype, self.data, strides=(1,))
            found[block] = items[own]
        return found

    def check(self, at: Positions, size: int | Positions, name: str) -> None:
        """All of `[at, at + size)` must lie in the buffer."""
        if not len(at):
            return
        end = at + size
        if len(at) <= _FEW:
            low, high = min(at.tolist()), max(end.tolist())
        else:
            low, high = int(at.min()), int(end.max())
        if low < 0 or high > len(self.data):
            raise self.outside(name, int(at[end.argmax()]) if high > len(self.data) else low)

    def outside(self, name: str, at: int) -> FormatError:
        return self.fail(
            f"{name}: position {at} is outside the {len(self.data)} bytes of the file, "
            "which is damaged or cut off"
        )

    def missing(self, name: str) -> FormatError:
        return self.fail(f"required field {name} is missing")

    def follow(self, at: Positions, name: str) -> Positions:
        """Where the offsets at these positions lead."""
        ahead: npt.NDArray[np.uint32] = self.gather(at, "<u4", name)
        return at + ahead

    def check_utf8(self, column: ByteColumn, name: str) -> None:
        """`FormatError` unless each present row is UTF-8."""
        if len(column) <= _FEW:
            if not all(_is_utf8(column[i] or b"") for i in range(len(column))):
                raise self.fail(f"{name}: not UTF-8")
            return
        row = 0
        end = np.cumsum(np.maximum(column.size, 0))
        while row < len(column):
            done = int(end[row - 1]) if row else 0
            stop = max(row + 1, int(np.searchsorted(end, done + _UTF8_BLOCK, side="right")))
            start, size = column.start[row:stop], column.size[row:stop]
            text = gather_bytes(column.heap, start, size)
            if text.size and int(text.max()) >= 0x80:
                # All rows together are valid, and none begins inside a character.
                first = column.heap[start[size > 0]]
                if bool(((first & 0xC0) == 0x80).any()) or not _is_utf8(text.tobytes()):
                    raise self.fail(f"{name}: not UTF-8")
            row = stop


def blocks(count: int, first: int = 0) -> Iterator[slice]:
    """The rows from `first` to `count`, some at a time."""
    return (slice(start, start + _BLOCK) for start in range(first, count, _BLOCK))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class Tables:
    """`n` tables of one type, each at a position; made by `Table.tables` and the like.

    Methods with `required` (the default) raise `FormatError` where a row lacks the field.
    """

    __slots__ = ("_common", "_runs", "_sizes", "_vtables", "at", "buffer")

    def __init__(self, buffer: Buffer, at: Positions, name: str) -> None:
        self.buffer = buffer
        self.at = at
        self._common: tuple[int, ...] | None = None
        """The offsets of the fields by slot, where all tables have the same."""
        if not len(at):
            self._common = ()
            return
        vtables = at[:_BLOCK] - buffer.gather(at[:_BLOCK], "<i4", name)
        first = vtables[0]
        if bool((vtables == first).all()) and all(
            bool((at[block] - buffer.gather(at[block], "<i4", name) == first).all())
            for block in blocks(len(at), _BLOCK)
        ):
            self._common = buffer.vtable(int(first), name)
            return
        if len(at) > _BLOCK:
            vtables = at - buffer.gather(at, "<i4", name)
        # Writers share vtables, so neighbours mostly have the same one: keep runs of them.
        ends = np.flatnonzero(vtables[1:] != vtables[:-1]) + 1
        self._runs = np.diff(ends, prepend=0, append=len(at))
        self._vtables = vtables[np.append(0, ends)]
        self._sizes = buffer.gather(self._vtables, "<u2", f"vtable of {name}")
        if bool((self._sizes < 4).any()):
            raise buffer.fail(f"vtable of {name}: shorter than its own header")
        buffer.check(self._vtables, self._sizes.astype(np.int64), f"vtable of {name}")

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, i: int) -> Table:
        return Table(self.buffer, int(self.at[i]), "table")

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Tables:
        """The rows at these positions or under this mask."""
        return Tables(self.buffer, self.at[rows], "table")

    def _offset(self, slot: Slot) -> int | Positions:
        """Where the field is in the tables, 0 = absent: one offset for all rows, or one each."""
        if self._common is not None:
            return self._common[slot.number] if slot.number < len(self._common) else 0
        at = 4 + 2 * slot.number
        known = np.flatnonzero(self._sizes >= at + 2)
        offset = np.zeros(len(self._vtables), np.int64)
        offset[known] = self.buffer.gather(self._vtables[known] + at, "<u2", slot.name)
        if bool((offset == offset[0]).all()):
            return int(offset[0])
        return np.repeat(offset, self._runs)

    def _fields(self, slot: Slot, required: bool) -> tuple[Positions, npt.NDArray[np.bool_] | None]:
        """Positions of the field in the rows that have it, and the mask of these (None: all)."""
        offset = self._offset(slot)
        if isinstance(offset, int):
            if offset or not len(self.at):
                return self.at + offset, None
            present = np.zeros(len(self.at), np.bool_)
        else:
            present = offset != 0
            if present.all():
                return self.at + offset, None
        if required:
            raise self.buffer.missing(slot.name)
        if isinstance(offset, int):
            return np.empty(0, np.int64), present
        return self.at[present] + offset[present], present

    def has(self, slot: Slot) -> npt.NDArray[np.bool_]:
        """bool[n]: which rows have the field."""
        offset = self._offset(slot)
        return np.full(len(self.at), offset != 0) if isinstance(offset, int) else offset != 0

    def scalar(self, slot: Slot, dtype: npt.DTypeLike, default: int = 0) -> npt.NDArray[Any]:
        """The field in all rows, the schema's default where it is absent: array [n]."""
        offset = self._offset(slot)
        if isinstance(offset, int) and offset:
            return self.buffer.gather(self.at, dtype, slot.name, offset)
        at, present = self._fields(slot, required=False)
        values = self.buffer.gather(at, dtype, slot.name)
        if present is None:
            return values
        filled = np.full(len(self.at), default, dtype)
        filled[present] = values
        return filled

    def struct(self, slot: Slot, size: int, *, required: bool = True) -> npt.NDArray[np.uint8]:
        """uint8[n, size]: the bytes of a struct such as an id, zeros where it is absent."""
        offset, kind = self._offset(slot), f"V{size}"
        if isinstance(offset, int) and offset:
            found = self.buffer.gather(self.at, kind, slot.name, offset)
            return found.view(np.uint8).reshape(len(self.at), size)
        at, present = self._fields(slot, required)
        values = self.buffer.gather(at, kind, slot.name).view(np.uint8).reshape(len(at), size)
        if present is None:
            return values
        filled = np.zeros((len(self.at), size), np.uint8)
        filled[present] = values
        return filled

    def table(self, slot: Slot) -> Tables:
        """The sub-table (or value of a union) of every row; all must have it."""
        at, _ = self._fields(slot, required=True)
        return Tables(self.buffer, self.buffer.follow(at, slot.name), slot.name)

    def blob(self, slot: Slot, *, required: bool = True) -> ByteColumn:
        """The [u8] vector of each row, size -1 where absent; shares the memory of the file."""
        if not len(self.at):
            return ByteColumn(self.buffer.data, _NONE, _NONE)
        start, count, present = self._vectors(slot, 1, required)
        self.buffer.spend_strings(int(count.sum()), slot.name)
        if present is None:
            return ByteColumn(self.buffer.data, start, count)
        column = ByteColumn(
            self.buffer.data, np.zeros(len(self.at), np.int64), np.full(len(self.at), -1)
        )
        column.start[present] = start
        column.size[present] = count
        return column

    def string(self, slot: Slot, *, required: bool = True) -> ByteColumn:
        """The string of each row, known to be UTF-8; otherwise as `blob`."""
        column = self.blob(slot, required=required)
        if not len(column):
            return column
        self.buffer.check_utf8(column, slot.name)
        return column

    def items(
        self, slot: Slot, dtype: npt.DTypeLike, *, required: bool = True
    ) -> tuple[npt.NDArray[Any], Positions]:
        """The vectors of scalars or structs: all items end to end, and int64[n] counts.

        An absent vector counts -1.
        """
        dtype = np.dtype(dtype)
        if not len(self.at):
            return np.empty(0, dtype), _NONE
        if len(self.at) > _BLOCK:
            parts = [
                self.take(block).items(slot, dtype, required=required)
                for block in blocks(len(self.at))
            ]
            return (
                np.concatenate([items for items, _ in parts]),
                np.concatenate([counts for _, counts in parts]),
            )
        start, count, present = self._vectors(slot, dtype.itemsize, required)
        size = count * dtype.itemsize
        self.buffer.spend(int(size.sum()), slot.name)
        items = gather_bytes(self.buffer.data, start, size).view(dtype)
        return items, self._all_rows(count, present, -1)

    def tables(self, slot: Slot, *, required: bool = True) -> tuple[Tables, Positions]:
        """The vectors of tables: all tables end to end, and int64[n] counts (absent: 0)."""
        entries, counts = self._entries(slot, required)
        return Tables(self.buffer, entries, slot.name), counts

    def strings(self, slot: Slot, *, required: bool = True) -> tuple[ByteColumn, Positions]:
        """The vectors of strings: all strings end to end, and int64[n] counts (absent: 0)."""
        entries, counts = self._entries(slot, required)
        start, size = self._vector_at(entries, 1, slot.name)
        self.buffer.spend_strings(int(size.sum()), slot.name)
        column = ByteColumn(self.buffer.data, start, size)
        self.buffer.check_utf8(column, slot.name)
        return column, counts

    def _entries(self, slot: Slot, required: bool) -> tuple[Positions, Positions]:
        """Where the entries of vectors of offsets lead, and the count of each row."""
        if not len(self.at):
            return _NONE, _NONE
        start, count, present = self._vectors(slot, 4, required)
        # A table or string takes 4 bytes at least, besides the offset to it.
        self.buffer.spend(8 * int(count.sum()), slot.name)
        if len(start) == 1:
            field = np.arange(int(count[0]), dtype=np.int64)
            field *= 4
            field += start[0]
            first = int(start[0])
            ahead = self.buffer.data[first : first + 4 * int(count[0])].view("<u4")
            field += ahead
        else:
            field = np.repeat(start - 4 * (np.cumsum(count) - count), count)
            field += 4 * np.arange(len(field), dtype=np.int64)
            field = self.buffer.follow(field, slot.name)
        return field, self._all_rows(count, present, 0)

    def _vectors(
        self, slot: Slot, item: int, required: bool
    ) -> tuple[Positions, Positions, npt.NDArray[np.bool_] | None]:
        """First item and count of the vectors of the rows that have one, and the mask of these."""
        at, present = self._fields(slot, required)
        start, count = self._vector_at(self.buffer.follow(at, slot.name), item, slot.name)
        return start, count, present

    def _vector_at(self, at: Positions, item: int, name: str) -> tuple[Positions, Positions]:
        count = self.buffer.gather(at, "<u4", name).astype(np.int64)
        start = at + 4
        self.buffer.check(start, count * item, name)
        return start, count

    def _all_rows(
        self, count: Positions, present: npt.NDArray[np.bool_] | None, absent: int
    ) -> Positions:
        if present is None:
            return count
        counts = np.full(len(self.at), absent, np.int64)
        counts[present] = count
        return counts


class Table:
    """One table. Its scalars are Python values; vectors are read as columns of one row.

    All methods but `has` and `scalar` raise `FormatError` when the field is absent.
    """

    __slots__ = ("_fields", "_rows", "at", "buffer")

    def __init__(self, buffer: Buffer, at: int, name: str) -> None:
        self.buffer = buffer
        self.at = at
        self._fields = buffer.vtable(at - buffer.number(at, "<i", name), name)
        self._rows: Tables | None = None

    def has(self, slot: Slot) -> bool:
        """Whether the table has the field."""
        return slot.number < len(self._fields) and self._fields[slot.number] != 0

    def _field(self, slot: Slot) -> int:
        if not self.has(slot):
            raise self.buffer.missing(slot.name)
        return self.at + self._fields[slot.number]

    def scalar(self, slot: Slot, dtype: str, default: int = 0) -> int:
        """An integer of dtype u1, <u2, <u4, <i4 or <u8; the schema's default where absent."""
        if not self.has(slot):
            return default
        return self.buffer.number(self._field(slot), _PLAIN[dtype], slot.name)

    def struct(self, slot: Slot, size: int) -> bytes:
        """The bytes of a struct such as an id."""
        at = self._field(slot)
        self._check(at, size, slot)
        return self.buffer.bytes[at : at + size]

    def blob(self, slot: Slot) -> bytes:
        """A [u8] vector."""
        at = self._target(slot)
        size = self._u32(at, slot)
        self._check(at + 4, size, slot)
        return self.buffer.bytes[at + 4 : at + 4 + size]

    def string(self, slot: Slot) -> str:
        """A string."""
        try:
            return self.blob(slot).decode()
        except UnicodeDecodeError as error:
            raise self.buffer.fail(f"{slot.name}: not UTF-8: {error}") from None

    def table(self, slot: Slot) -> Table:
        """A sub-table, or the value of a union."""
        return Table(self.buffer, self._target(slot), slot.name)

    def tables(self, slot: Slot) -> Tables:
        """A vector of tables."""
        if not self.count(slot):
            return Tables(self.buffer, _NONE, slot.name)
        return self._row().tables(slot)[0]

    def strings(self, slot: Slot) -> ByteColumn:
        """A vector of strings."""
        return self._row().strings(slot)[0]

    def items(self, slot: Slot, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A vector of scalars or structs."""
        dtype = np.dtype(dtype)
        at = self._target(slot)
        count = self._u32(at, slot)
        self._check(at + 4, count * dtype.itemsize, slot)
        self.buffer.spend(count * dtype.itemsize, slot.name)
        # A copy, so that a few items do not keep the whole file in memory.
        return np.frombuffer(self.buffer.bytes, dtype, count, at + 4).copy()

    def count(self, slot: Slot) -> int:
        """How many items a vector has."""
        return self._u32(self._target(slot), slot)

    def parts(self, slot: Slot, size: int) -> list[bytes]:
        """The bytes of each of the structs in a vector; for few."""
        at = self._target(slot)
        size_of_all = self._u32(at, slot) * size
        if not size_of_all:
            return []
        self._check(at + 4, size_of_all, slot)
        self.buffer.spend(size_of_all, slot.name)
        found = self.buffer.bytes[at + 4 : at + 4 + size_of_all]
        return [found[start : start + size] for start in range(0, size_of_all, size)]

    def numbers(self, slot: Slot) -> tuple[int, ...]:
        """The items of a vector of u32; for few."""
        return self._numbers(self._target(slot), slot)

    def each(self, slot: Slot) -> list[Table]:
        """The tables of a vector; for few."""
        at = self._target(slot)
        ways = self._numbers(at, slot)
        self.buffer.spend(4 * len(ways), slot.name)
        return [
            Table(self.buffer, place + ahead, slot.name)
            for place, ahead in zip(range(at + 4, at + 4 + 4 * len(ways), 4), ways, strict=True)
        ]

    def _numbers(self, at: int, slot: Slot) -> tuple[int, ...]:
        count = self._u32(at, slot)
        self._check(at + 4, 4 * count, slot)
        self.buffer.spend(4 * count, slot.name)
        return struct.unpack_from(f"<{count}I", self.buffer.bytes, at + 4)

    def _u32(self, at: int, slot: Slot) -> int:
        try:
            value: int = _U32(self.buffer.bytes, at)[0]
        except struct.error:
            raise self.buffer.outside(slot.name, at) from None
        return value

    def _check(self, at: int, size: int, slot: Slot) -> None:
        if at + size > len(self.buffer.bytes):
            raise self.buffer.outside(slot.name, at + size)

    def _target(self, slot: Slot) -> int:
        number, fields = slot.number, self._fields
        if number >= len(fields) or not fields[number]:
            raise self.buffer.missing(slot.name)
        at = self.at + fields[number]
        return at + self._u32(at, slot)

    def _row(self) -> Tables:
        if self._rows is None:
            self._rows = Tables(self.buffer, np.array([self.at], np.int64), "table")
        return self._rows
