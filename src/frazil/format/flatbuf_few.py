"""Blocks of few rows for `flatbuf_writer`, in Python's own numbers: an array costs more."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, repeat
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Positions, Slot
from frazil.format.flatbuf_layout import Block, Mask, TableBlock, check_rows, vtable

_CODES: Final = {"u1": "B", "<u2": "H", "<u4": "I", "<i4": "i", "<u8": "Q"}


def rows_of(column: ByteColumn) -> list[memoryview | None]:
    """The rows of a column without copying them."""
    heap = np.ascontiguousarray(column.heap).data
    bounds = zip(column.start.tolist(), column.size.tolist(), strict=True)
    return [None if size < 0 else heap[start : start + size] for start, size in bounds]


class FewVectors(Block):
    """A count and the bytes of the items, per row; None = absent."""

    def __init__(
        self,
        rows: Sequence[bytes | memoryview | None],
        counts: Iterable[int],
        align: int,
        nul: int = 0,
    ) -> None:
        self._rows = rows
        self._counts = counts
        self.starts: list[int] = []
        self.size = -4 % align
        for row in rows:
            if row is None:
                self.starts.append(-1)
                self.complete = False
            else:
                self.starts.append(self.size)
                self.size += -(-(4 + len(row) + nul) // align) * align

    def __len__(self) -> int:
        return len(self._rows)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        data = out.data
        for at, count, row in zip(self.starts, self._counts, self._rows, strict=True):
            if row is not None:
                data[at : at + 4] = count.to_bytes(4, "little")
                data[at + 4 : at + 4 + len(row)] = row


class FewOffsetVectors(Block):
    """A count and offsets to rows of another block, per row; count -1 = absent."""

    def __init__(self, target: Block, counts: Sequence[int]) -> None:
        self._target = target
        self._counts = counts
        self.starts: list[int] = []
        self.size = 0
        for count in counts:
            if count < 0:
                self.starts.append(-1)
                self.complete = False
            else:
                self.starts.append(self.size)
                self.size += 4 + 4 * count

    def __len__(self) -> int:
        return len(self._counts)

    def targets(self) -> Iterable[Block]:
        return (self._target,)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        to = iter(self._target.starts)
        base = self._target.base - self.base
        for at, count in zip(self.starts, self._counts, strict=True):
            if count >= 0:
                places = range(at + 4, at + 4 + 4 * count, 4)
                ahead = [base + next(to) - place for place in places]
                struct.pack_into(f"<{count + 1}I", out.data, at, count, *ahead)


class _Layout(NamedTuple):
    order: tuple[int, ...]
    """The fields in the order in which they lie in the table."""
    offsets: tuple[int, ...]
    """Where each of them is, in this order."""
    pack_into: Callable[..., None]
    lead: int
    """From the beginning of the block to the first table."""
    size: int
    stride: int
    vtable: bytes
    """That of tables which have all fields."""


@lru_cache(maxsize=1024)
def _layout(numbers: tuple[int, ...], codes: tuple[str, ...]) -> _Layout:
    """Where fields of these slots and `struct` codes lie."""
    sizes = [struct.calcsize(f"<{code}") for code in codes]
    aligns = [1 if code.endswith("s") else size for code, size in zip(codes, sizes, strict=True)]
    # Largest alignment first leaves no gaps. A table begins with 4 bytes, so 8-byte
    # scalars are next if it begins half way between multiples of 8.
    order = sorted(range(len(codes)), key=lambda i: -aligns[i])
    *offsets, size = accumulate((sizes[i] for i in order), initial=4)
    align = max([4, *aligns])
    slots = tuple(zip([numbers[i] for i in order], offsets, strict=True))
    return _Layout(
        tuple(order),
        tuple(offsets),
        struct.Struct("<i" + "".join(codes[i] for i in order)).pack_into,
        -4 % align,
        size,
        -(-size // align) * align,
        vtable(slots, size),
    )


_REFERENCE: Final = "I"


class FewTables(TableBlock):
    """The tables row by row, each packed at once."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.size = 0
        self.starts: list[int] = []
        # For each field: its slot, its `struct` code and its values, None where it is absent.
        # The values of a reference are where its targets begin, known when these are planned.
        self._numbers: list[int] = []
        self._codes: list[str] = []
        self._columns: list[list[Any]] = []
        self._references: list[tuple[int, Block, Positions | None]] = []
        self._layout = _layout((), ())
        self._partial = False
        self._vtables: list[bytes] = []

    def __len__(self) -> int:
        return self._n

    def _add(self, slot: Slot, code: str, values: list[Any]) -> None:
        self._numbers.append(slot.number)
        self._codes.append(code)
        self._columns.append(values)

    def scalar(
        self, slot: Slot, dtype: str, values: npt.ArrayLike, default: int | None = 0
    ) -> None:
        each = [values] * self._n if isinstance(values, int) else np.asarray(values).tolist()
        if default is None or each.count(default) < self._n:
            self._add(slot, _CODES[dtype], each)

    def struct(
        self, slot: Slot, values: npt.NDArray[np.uint8] | bytes, present: Mask | None = None
    ) -> None:
        if not self._n:
            return
        raw = bytes(values) if isinstance(values, bytes) else values.tobytes()
        size = len(raw) // self._n
        each: list[bytes | None] = [raw[at : at + size] for at in range(0, size * self._n, size)]
        if present is not None:
            shown = present.tolist()
            each = [one if there else None for one, there in zip(each, shown, strict=True)]
        self._add(slot, f"{size}s", each)

    def embed(self, slot: Slot, values: npt.NDArray[Any], *, count: int | None = None) -> None:
        rows = [row.astype("<u4").tobytes() for row in values]
        count = values.shape[1] if count is None else count
        self.refer(slot, FewVectors(rows, [count] * len(rows), 4))

    def refer(self, slot: Slot, target: Block, rows: Positions | None = None) -> None:
        check_rows(self, target, rows)
        self._references.append((len(self._columns), target, rows))
        self._add(slot, _REFERENCE, [])

    def targets(self) -> Iterable[Block]:
        return [target for _, target, _ in self._references]

    def plan(self) -> Sequence[bytes]:
        n, columns = self._n, self._columns
        for i, target, rows in self._references:
            starts = target.starts
            each: list[Any] = starts if isinstance(starts, list) else starts.tolist()
            if rows is not None:
                each = [each[row] if row >= 0 else -1 for row in rows.tolist()]
            if rows is not None or not target.complete:
                each = [None if start < 0 else start for start in each]
            columns[i] = each
        self._partial = any([None in column for column in columns])  # noqa: C419 - much faster
        if self._partial:
            self._leave_out([i for i, column in enumerate(columns) if column.count(None) == n])
        self._layout = layout = _layout(tuple(self._numbers), tuple(self._codes))
        self.size = layout.lead + n * layout.stride if n else 0
        self.starts = list(range(layout.lead, self.size, layout.stride))
        if not self._partial:
            self._vtables = [layout.vtable] * n
            return [layout.vtable] if n else []
        held = [
            (self._numbers[i], at, self._columns[i])
            for i, at in zip(layout.order, layout.offsets, strict=True)
        ]
        self._vtables = [
            vtable(
                tuple([(number, at) for number, at, column in held if column[row] is not None]),
                layout.size,
            )
            for row in range(n)
        ]
        return self._vtables

    def _leave_out(self, absent: list[int]) -> None:
        """Forget the fields that no row has."""
        for i in reversed(absent):
            del self._numbers[i], self._codes[i], self._columns[i]
        self._references = [
            (i - sum(gone < i for gone in absent), target, rows)
            for i, target, rows in self._references
            if i not in absent
        ]

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        layout, columns, base = self._layout, list(self._columns), self.base
        where = dict(zip(layout.order, layout.offsets, strict=True))
        for i, target, _ in self._references:
            ahead = target.base - base - where[i]
            columns[i] = [
                None if to is None else ahead + to - start
                for to, start in zip(columns[i], self.starts, strict=True)
            ]
        columns = [columns[i] for i in layout.order]
        if self._partial:
            codes = [self._codes[i] for i in layout.order]
            for at, (column, code) in enumerate(zip(columns, codes, strict=True)):
                absent: Any = b"" if code.endswith("s") else 0
                columns[at] = [absent if value is None else value for value in column]
        data, pack_into = out.data, layout.pack_into
        rows: Iterable[tuple[Any, ...]] = (
            zip(*columns, strict=True) if columns else repeat((), self._n)
        )
        for start, known, values in zip(self.starts, self._vtables, rows, strict=True):
            pack_into(data, start, base + start - vtables[known], *values)
