"""Blocks of many rows for `flatbuf_writer`, in columns: a million tables are one strided block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.format.columns import ByteColumn, fixed_rows, scatter_bytes
from frazil.format.flatbuf import Positions, Slot
from frazil.format.flatbuf_layout import Block, Mask, TableBlock, check_rows, vtable


class _Vectors(Block):
    """Vectors of different sizes that lie end to end."""

    starts: Positions
    _room: int | None = None
    """From one row to the next, where that is always the same."""
    _absent: Mask | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def _place(self, size: Positions, extra: int, align: int) -> None:
        """Lay out rows of these sizes and `extra` bytes, so that what follows 4 is aligned.

        Rows of negative size are absent.
        """
        n, lead = len(size), -4 % align
        if not n:
            self.starts, self.size = np.empty(0, np.int64), 0
            return
        smallest, largest = int(size.min()), int(size.max())
        if smallest == largest >= 0:
            self._room = -(-(largest + extra) // align) * align
            self.size = lead + n * self._room
            self.starts = np.arange(lead, self.size, self._room)
            return
        room = (size + (extra + align - 1)) & -align
        if smallest < 0:
            self._absent, self.complete = size < 0, False
            room[self._absent] = 0
        end = room.cumsum()
        self.size = lead + int(end[-1])
        end -= room
        end += lead
        if self._absent is not None:
            end[self._absent] = -1
        self.starts = end


class ManyVectors(_Vectors):
    """A count and the bytes of the items, per row."""

    def __init__(self, column: ByteColumn, counts: Positions, align: int, nul: int = 0) -> None:
        self._column = column
        self._counts = counts
        self._place(column.size, 4 + nul, align)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        starts, counts, column = self.starts, self._counts, self._column
        if self._room is not None:
            width = int(column.size[0])
            rows = out[int(starts[0]) :].reshape(len(starts), self._room)
            rows[:, :4] = counts[:1].astype("<u4").view(np.uint8)
            rows[:, 4 : 4 + width] = fixed_rows(column.heap, column.start, width)
            return
        if self._absent is not None:
            present = ~self._absent
            starts, counts, column = starts[present], counts[present], column.take(present)
        _put(out, starts, "<u4", counts)
        scatter_bytes(out, starts + 4, column)


class ManyOffsetVectors(_Vectors):
    """A count and offsets to rows of another block, per row; counts None: all rows in one."""

    def __init__(self, target: Block, counts: Positions | None) -> None:
        self._target = target
        self._counts = counts
        if counts is None:
            self.starts, self.size = np.zeros(1, np.int64), 4 + 4 * len(target)
        else:
            self._place(counts * 4, 4, 4)

    def targets(self) -> Iterable[Block]:
        return (self._target,)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        n = len(self._target)
        if not n:
            return  # the counts are 0
        at = np.arange(4, 4 + 4 * n, 4)
        if self._counts is None:
            numbers = out.view("<u4")
            numbers[0] = n
            numbers[1:] = self._target.starts - at + (self._target.base - self.base)
            return
        starts, counts = self.starts, self._counts
        if self._absent is not None:
            present = ~self._absent
            starts, counts = starts[present], counts[present]
        _put(out, starts, "<u4", counts)
        # All vectors lie end to end: entry k is preceded by k entries and its own row's counts.
        at += np.repeat(4 * np.arange(len(counts)), counts)
        _put(out, at, "<u4", self._target.starts - at + (self._target.base - self.base))


class _Field(NamedTuple):
    slot: Slot
    dtype: np.dtype[Any]
    align: int
    values: npt.NDArray[Any] | _Reference | _Tail
    present: Mask | None


class _Reference(NamedTuple):
    target: Block
    rows: Positions | None

    def starts(self) -> Positions:
        """Where the targets begin in their block, -1 = absent."""
        starts = np.asarray(self.target.starts, np.int64)
        if self.rows is None:
            return starts
        if not len(starts):
            return np.full(len(self.rows), -1, np.int64)
        return np.where(self.rows < 0, -1, starts[self.rows])


class _Tail(NamedTuple):
    number: int


class ManyTables(TableBlock):
    """The tables column by column.

    They have the same layout; where a field is absent in some rows these use another vtable.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self.starts: Positions = np.empty(0, np.int64)
        self.size = 0
        self._given: list[_Field] = []
        self._fields: list[_Field] = []
        self._tails: list[npt.NDArray[np.void]] = []
        self._tail_offsets: list[int] = []
        self._offsets: list[int] = []
        self._stride = 0
        self._vtables: dict[int, bytes] = {}
        self._code: Positions | None = None
        """For each row which of the optional fields it has, one bit each; None: none is."""

    def __len__(self) -> int:
        return self._n

    def scalar(
        self, slot: Slot, dtype: str, values: npt.ArrayLike, default: int | None = 0
    ) -> None:
        column = np.asarray(values, dtype)
        if column.ndim == 0:
            column = np.full(self._n, column)
        if default is None or bool((column != default).any()):
            self._given.append(_Field(slot, column.dtype, column.dtype.itemsize, column, None))

    def struct(
        self, slot: Slot, values: npt.NDArray[np.uint8] | bytes, present: Mask | None = None
    ) -> None:
        raw = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
        column = np.ascontiguousarray(raw).reshape(-1).view(f"V{raw.size // self._n}")
        self._given.append(_Field(slot, column.dtype, 1, column, present))

    def embed(self, slot: Slot, values: npt.NDArray[Any], *, count: int | None = None) -> None:
        counted = np.empty((self._n, values.shape[1] + 1), "<u4")
        counted[:, 0] = values.shape[1] if count is None else count
        counted[:, 1:] = values
        self._tails.append(counted.view(f"V{4 * counted.shape[1]}").reshape(self._n))
        self._given.append(_Field(slot, _OFFSET, 4, _Tail(len(self._tails) - 1), None))

    def refer(self, slot: Slot, target: Block, rows: Positions | None = None) -> None:
        check_rows(self, target, rows)
        self._given.append(_Field(slot, _OFFSET, 4, _Reference(target, rows), None))

    def targets(self) -> Iterable[Block]:
        return [f.values.target for f in self._given if isinstance(f.values, _Reference)]

    def plan(self) -> Sequence[bytes]:
        self._fields = [field for given in self._given if (field := _settled(given)) is not None]
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
        self._stride = -(-end // align) * align
        lead = -4 % align
        self.size = lead + self._n * self._stride
        self.starts = np.arange(lead, self.size, self._stride)
        self._make_vtables(size)
        return list(self._vtables.values())

    def _make_vtables(self, size: int) -> None:
        """One vtable per set of fields that some row has."""
        optional = [i for i, field in enumerate(self._fields) if field.present is not None]
        self._code = None
        codes = [0]
        if optional:
            self._code = np.zeros(self._n, np.int64)
            for bit, i in enumerate(optional):
                present = self._fields[i].present
                assert present is not None
                self._code |= present.astype(np.int64) << bit
            codes = np.flatnonzero(np.bincount(self._code)).tolist()
        self._vtables = {}
        for code in codes:
            slots = tuple(
                (field.slot.number, at)
                for i, (field, at) in enumerate(zip(self._fields, self._offsets, strict=True))
                if field.present is None or code >> optional.index(i) & 1
            )
            self._vtables[code] = vtable(slots, size)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        back: Positions | int
        if self._code is None:
            back = vtables[self._vtables[0]]
        else:
            places = np.zeros(max(self._vtables) + 1, np.int64)
            for code, known in self._vtables.items():
                places[code] = vtables[known]
            back = places[self._code]
        self._column(out, 0, np.dtype("<i4"))[:] = self.starts + self.base - back
        for field, offset in zip(self._fields, self._offsets, strict=True):
            values = field.values
            if isinstance(values, _Reference):
                ahead = values.target.base - self.base - offset
                values = values.starts() - self.starts
                values += ahead
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
        return np.ndarray((self._n,), dtype, out, first + offset, (self._stride,))


_OFFSET = np.dtype("<u4")


def _settled(field: _Field) -> _Field | None:
    """The field with the mask of the rows that have it (None: all), None if no row has."""
    present = field.present
    reference = field.values
    if isinstance(reference, _Reference) and not (
        reference.rows is None and reference.target.complete
    ):
        present = reference.starts() >= 0
    if present is None:
        return field
    count = int(np.count_nonzero(present))
    if count == len(present):
        return field._replace(present=None)
    return field._replace(present=present) if count else None


def _put(out: npt.NDArray[np.uint8], at: Positions, dtype: str, values: npt.ArrayLike) -> None:
    """Write scalars at these positions of `out`."""
    if len(at):
        items = np.dtype(dtype).itemsize
        np.ndarray((len(out) - items + 1,), dtype, out, strides=(1,))[at] = values
