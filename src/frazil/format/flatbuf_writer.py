"""Write FlatBuffers in columns: a million tables are one strided block.

A file is made of blocks, each with rows of one kind, that refer to each other (never in a
circle). `finish` lays out those that the root leads to, referring before referred, since
offsets only lead ahead:

    names = strings(ByteColumn.of([b"a", b"b"]))    2 strings
    shapes = items(np.array(...), counts)           2 vectors of scalars or structs
    nodes = TableBlock(2)                           2 tables of one type
    nodes.scalar(slot, "<u8", values, default=0)    left out if all rows are the default
    nodes.struct(slot, uint8[2, 8])
    nodes.embed(slot, uint32[2, 3])                 vectors of equal length, in place
    nodes.refer(slot, names)                        row i refers to row i
    nodes.refer(slot, shapes, rows=int64[2])        ... or to these rows, -1 = absent
    root = TableBlock(1)
    root.refer(slot, vectors(nodes))                one vector of all of them
    root.refer(slot, blobs(ByteColumn.absent(1)))   absent, thus left out
    body = finish(root)

Rows of size or count -1 are absent: a reference to one leaves the field out. The tables of
a block have the same layout; where a field is absent in some rows these use another
vtable. Everything lies where the verifiers of other implementations want it, counted from
the start of the file: 8-byte scalars at multiples of 8, 4-byte ones and offsets at
multiples of 4; strings end with NUL.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.columns import ByteColumn, row_starts, scatter_bytes
from frazil.format.flatbuf import Positions, Slot

IDENTIFIER = b"Ichk"
FEW = 24
"""Rows up to which Python's own numbers are faster than arrays."""
_MAX_SIZE = (1 << 31) - 1
_Mask = npt.NDArray[np.bool_]


def strings(column: ByteColumn) -> Block:
    """A string per row; the bytes must be UTF-8."""
    return _ItemVectors(column, column.size, 4, nul=1)


def blobs(column: ByteColumn) -> Block:
    """A [u8] vector per row."""
    return _ItemVectors(column, column.size, 4, nul=0)


def items(values: npt.NDArray[Any], counts: Positions | None = None, *, align: int = 4) -> Block:
    """A vector of scalars or structs per row: items of all rows end to end, counts of each.

    Without counts each row of a 2-d array is a vector, and a 1-d array is one vector.
    `align` is 8 where an item holds 8-byte scalars.
    """
    if counts is None:
        n, count = values.shape if values.ndim == 2 else (1, len(values))
        counts = np.full(n, count, np.int64)
    size = np.where(counts < 0, -1, counts * values.dtype.itemsize)
    heap = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return _ItemVectors(ByteColumn(heap, row_starts(size), size), counts, align, nul=0)


def vectors(target: Block, counts: Positions | None = None) -> Block:
    """A vector of offsets per row, to the rows of `target` in order, `counts` at a time.

    Without counts: one vector of all rows.
    """
    return _OffsetVectors(target, np.array([len(target)]) if counts is None else counts)


def finish(root: Block) -> memoryview:
    """The file, whose root is the first row of `root`.

    `FormatError` if it would be larger than FlatBuffers can address.
    """
    blocks: list[Block] = []
    _collect(root, blocks, set())
    vtables: dict[bytes, int] = {}
    cursor = 8
    for block in blocks:
        for vtable in block.plan():
            if vtable not in vtables:
                vtables[vtable] = cursor
                cursor += len(vtable)
    for block in reversed(blocks):
        block.base = cursor = -(-cursor // 8) * 8
        cursor += block.size
    if cursor > _MAX_SIZE:
        raise FormatError(
            f"a metadata file of {cursor} bytes is larger than the format can hold "
            f"({_MAX_SIZE}); split the manifest or the group into smaller ones",
            ErrorKind.SERIALIZATION,
        )
    out = np.zeros(cursor, np.uint8)
    head = struct.pack("<I", root.base + int(root.starts[0])) + IDENTIFIER + b"".join(vtables)
    out[: len(head)] = np.frombuffer(head, np.uint8)
    for block in blocks:
        block.fill(out[block.base : block.base + block.size], vtables)
    return out.data


def _collect(block: Block, into: list[Block], seen: set[int]) -> None:
    """Everything that the block leads to, then the block."""
    if id(block) not in seen:
        seen.add(id(block))
        for target in block.targets():
            _collect(target, into, seen)
        into.append(block)


class Block(ABC):
    """Rows of one kind that lie together."""

    starts: Positions
    """Where each row begins, from the base of the block."""
    size: int
    """Bytes of the whole block."""
    present: _Mask | None = None
    """Which rows exist, None: all."""
    base: int = 0
    """Where the block begins in the file."""

    def __len__(self) -> int:
        return len(self.starts)

    def targets(self) -> Iterable[Block]:
        """The blocks that this one refers to."""
        return ()

    def plan(self) -> Sequence[bytes]:
        """Fix starts and size; the vtables whose positions `fill` wants to know."""
        return ()

    @abstractmethod
    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        """Write into `out`, the zeroed part of the file that is this block's."""

    def _place(self, size: Positions, align: int, present: _Mask) -> None:
        """Lay out vectors of these sizes, so that what follows their count is aligned."""
        lead = -4 % align
        if len(size) <= FEW:
            starts = []
            self.size = lead
            for row_size, row_present in zip(size.tolist(), present.tolist(), strict=True):
                starts.append(self.size)
                self.size += -(-row_size // align) * align if row_present else 0
            self.starts = np.array(starts, np.int64)
            self.present = None if all(present.tolist()) else present
            return
        room = np.where(present, -(-size // align) * align, 0)
        self.starts = row_starts(room) + lead
        self.size = lead + int(room.sum())
        if not present.all():
            self.present = present


class _ItemVectors(Block):
    """A count and the bytes of the items, per row."""

    def __init__(self, column: ByteColumn, counts: Positions, align: int, nul: int) -> None:
        self._column = column
        self._counts = counts
        self._place(4 + column.size + nul, align, column.size >= 0)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        starts, counts, column = self.starts, self._counts, self._column
        if self.present is not None:
            starts, counts = starts[self.present], counts[self.present]
            column = column.take(self.present)
        if len(starts) <= FEW:
            sizes, begins = column.size.tolist(), column.start.tolist()
            target, heap = out.data, np.ascontiguousarray(column.heap).data
            rows = zip(starts.tolist(), counts.tolist(), begins, sizes, strict=True)
            for at, count, begin, size in rows:
                target[at : at + 4] = count.to_bytes(4, "little")
                target[at + 4 : at + 4 + size] = heap[begin : begin + size]
            return
        _put(out, starts, "<u4", counts)
        scatter_bytes(out, starts + 4, column)


class _OffsetVectors(Block):
    """A count and offsets to rows of another block, per row."""

    def __init__(self, target: Block, counts: Positions) -> None:
        if int(np.maximum(counts, 0).sum()) != len(target):
            raise ValueError("the counts of the vectors do not add up to the rows they refer to")
        self._target = target
        self._counts = counts
        self._place(4 + 4 * counts, 4, counts >= 0)

    def targets(self) -> Iterable[Block]:
        return (self._target,)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        starts, counts = self.starts, self._counts
        if self.present is not None:
            starts, counts = starts[self.present], counts[self.present]
        if len(starts) <= FEW and len(self._target) <= FEW:
            to = iter(self._target.starts.tolist())
            base = self._target.base - self.base
            for at, count in zip(starts.tolist(), counts.tolist(), strict=True):
                places = range(at + 4, at + 4 + 4 * count, 4)
                ahead = [base + next(to) - place for place in places]
                struct.pack_into(f"<{count + 1}I", out.data, at, count, *ahead)
            return
        _put(out, starts, "<u4", counts)
        # All vectors lie end to end: entry k is preceded by k entries and its own row's counts.
        at = np.arange(4, 4 + 4 * len(self._target), 4, dtype=np.int64)
        at += np.repeat(4 * np.arange(len(counts)), counts)
        _put(out, at, "<u4", self._target.base + self._target.starts - self.base - at)


class _Field(NamedTuple):
    slot: Slot
    dtype: np.dtype[Any]
    align: int
    values: npt.NDArray[Any] | _Reference | _Tail
    present: _Mask | None


class _Reference(NamedTuple):
    target: Block
    rows: Positions | None

    def ahead(self, at: Positions) -> Positions:
        """The offsets from these positions in the file to the target's rows."""
        starts = self.target.starts
        return self.target.base + (starts if self.rows is None else starts[self.rows]) - at


class _Tail(NamedTuple):
    number: int


class TableBlock(Block):
    """`n` tables with the same fields, each `scalar`, `struct` or `refer` adding one field."""

    def __init__(self, n: int) -> None:
        self.starts = np.zeros(n, np.int64)
        self.size = 0
        self._fields: list[_Field] = []
        self._tails: list[npt.NDArray[np.void]] = []
        self._tail_offsets: list[int] = []
        self._offsets: list[int] = []
        self._vtables: list[bytes] = []
        self._variant: Positions = np.zeros(n, np.int64)

    def scalar(
        self, slot: Slot, dtype: npt.DTypeLike, values: npt.ArrayLike, default: int | None = 0
    ) -> None:
        """A scalar per row (or one for all); left out if all rows are the schema's default.

        With default None it is always written.
        """
        column = np.asarray(values, dtype=np.dtype(dtype))
        if column.ndim == 0:
            column = np.full(len(self), column)
        if default is None or bool((column != default).any()):
            self._add(_Field(slot, column.dtype, column.dtype.itemsize, column, None))

    def struct(
        self, slot: Slot, values: npt.NDArray[np.uint8], present: _Mask | None = None
    ) -> None:
        """The bytes of a struct of alignment 1, uint8[n, size]; absent where not `present`."""
        size = values.shape[1]
        column = np.ascontiguousarray(values).view(f"V{size}").reshape(len(self))
        self._add(_Field(slot, column.dtype, 1, column, present))

    def embed(self, slot: Slot, values: npt.NDArray[Any]) -> None:
        """A vector of equal length per row, [n, count] of 4-byte scalars, next to the table.

        Its offset is then the same in all rows, which compresses well and is quick to write.
        """
        counted = np.empty((len(self), values.shape[1] + 1), np.dtype("<u4"))
        counted[:, 0] = values.shape[1]
        counted[:, 1:] = values
        tail = counted.view(f"V{4 * counted.shape[1]}").reshape(len(self))
        self._tails.append(tail)
        self._add(_Field(slot, np.dtype("<u4"), 4, _Tail(len(self._tails) - 1), None))

    def refer(self, slot: Slot, target: Block, rows: Positions | None = None) -> None:
        """An offset to the target's row i, or `rows[i]` (-1: absent), per row i."""
        if len(self) != len(target if rows is None else rows):
            raise ValueError("one target per table is needed")
        present = target.present
        if rows is not None:
            present = rows >= 0 if present is None else (rows >= 0) & present[rows]
        self._add(_Field(slot, np.dtype("<u4"), 4, _Reference(target, rows), present))

    def _add(self, field: _Field) -> None:
        if field.present is not None and field.present.all():
            field = field._replace(present=None)
        if field.present is None or field.present.any():
            self._fields.append(field)

    def targets(self) -> Iterable[Block]:
        return [f.values.target for f in self._fields if isinstance(f.values, _Reference)]

    def plan(self) -> Sequence[bytes]:
        # Largest alignment first leaves no gaps. A table begins with 4 bytes, so 8-byte
        # scalars are next if it begins half way between multiples of 8.
        self._fields.sort(key=lambda field: -field.align)
        align = max([4, *(field.align for field in self._fields)])
        self._offsets = []
        size = 4
        for field in self._fields:
            self._offsets.append(size)
            size += field.dtype.itemsize
        end = -(-size // 4) * 4
        self._tail_offsets = []
        for tail in self._tails:
            self._tail_offsets.append(end)
            end += tail.dtype.itemsize
        stride = -(-end // align) * align
        lead = -4 % align
        n = len(self)
        self.starts = np.arange(lead, lead + n * stride, stride, dtype=np.int64)
        self.size = lead + n * stride
        self._vtables = self._variants(size)
        return self._vtables

    def _variants(self, size: int) -> list[bytes]:
        """The vtables, one per set of fields that some row has; sets `_variant` of the rows."""
        optional = [i for i, field in enumerate(self._fields) if field.present is not None]
        code: Positions = np.zeros(len(self), np.int64)
        for bit, i in enumerate(optional):
            present = self._fields[i].present
            assert present is not None
            code |= present.astype(np.int64) << bit
        codes = [0]
        if len(self) <= FEW:
            codes = sorted(set(code.tolist()))
            self._variant = np.array([codes.index(one) for one in code.tolist()], np.int64)
        elif optional:
            unique, self._variant = np.unique(code, return_inverse=True)
            codes = unique.tolist()
        vtables = []
        for one in codes:
            offsets = {
                field.slot.number: at
                for i, (field, at) in enumerate(zip(self._fields, self._offsets, strict=True))
                if field.present is None or one >> optional.index(i) & 1
            }
            slots = [offsets.get(number, 0) for number in range(max(offsets, default=-1) + 1)]
            vtables.append(struct.pack(f"<{len(slots) + 2}H", 4 + 2 * len(slots), size, *slots))
        return vtables

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        if not len(self):
            return
        at = self.base + self.starts
        vtable = np.array([vtables[v] for v in self._vtables], np.int64)
        self._column(out, 0, np.dtype("<i4"))[:] = at - vtable[self._variant]
        for field, offset in zip(self._fields, self._offsets, strict=True):
            values = field.values
            if isinstance(values, _Reference):
                values = values.ahead(at + offset)
            elif isinstance(values, _Tail):
                values = np.array(self._tail_offsets[values.number] - offset)
            column = self._column(out, offset, field.dtype)
            if field.present is None:
                column[:] = values
            else:
                column[field.present] = values[field.present]
        for tail, offset in zip(self._tails, self._tail_offsets, strict=True):
            self._column(out, offset, tail.dtype)[:] = tail

    def _column(
        self, out: npt.NDArray[np.uint8], offset: int, dtype: np.dtype[Any]
    ) -> npt.NDArray[Any]:
        """The part of all tables at this offset, for writing."""
        first = int(self.starts[0])
        stride = int(self.starts[1]) - first if len(self) > 1 else 0
        return np.ndarray((len(self),), dtype, out, first + offset, (stride,))


def _put(out: npt.NDArray[np.uint8], at: Positions, dtype: str, values: npt.ArrayLike) -> None:
    """Write scalars at these positions of `out`."""
    if len(at):
        items = np.dtype(dtype).itemsize
        np.ndarray((len(out) - items + 1,), dtype, out, strides=(1,))[at] = values
