"""Blocks of few rows for `flatbuf_writer`, in Python's own numbers: an array costs more."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
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


class _Field(NamedTuple):
    number: int
    code: str
    values: list[Any]
    """None where the field is absent; where a target begins for a reference."""
    target: Block | None


class _Layout(NamedTuple):
    order: tuple[int, ...]
    """The fields in the order in which they lie in the table."""
    offsets: tuple[int, ...]
    code: str
    size: int
    align: int


@lru_cache(maxsize=1024)
def _layout(codes: tuple[str, ...]) -> _Layout:
    """Where fields of these `struct` codes lie."""
    sizes = [struct.calcsize(f"<{code}") for code in codes]
    aligns = [1 if code.endswith("s") else size for code, size in zip(codes, sizes, strict=True)]
    # Largest alignment first leaves no gaps. A table begins with 4 bytes, so 8-byte
    # scalars are next if it begins half way between multiples of 8.
    order = sorted(range(len(codes)), key=lambda i: -aligns[i])
    offsets = tuple(accumulate((sizes[i] for i in order), initial=4))
    return _Layout(
        tuple(order),
        offsets[:-1],
        "<i" + "".join(codes[i] for i in order),
        offsets[-1],
        max([4, *aligns]),
    )


class _Reference(NamedTuple):
    number: int
    target: Block
    rows: Sequence[int] | None


class FewTables(TableBlock):
    """The tables row by row, each packed at once."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.size = 0
        self.starts: list[int] = []
        self._values: list[_Field] = []
        self._references: list[_Reference] = []
        self._fields: list[_Field] = []
        self._layout = _layout(())
        self._vtables: list[bytes] = []

    def __len__(self) -> int:
        return self._n

    def scalar(
        self, slot: Slot, dtype: str, values: npt.ArrayLike, default: int | None = 0
    ) -> None:
        each = [values] * self._n if isinstance(values, int) else np.asarray(values).tolist()
        if default is None or each.count(default) < self._n:
            self._values.append(_Field(slot.number, _CODES[dtype], each, None))

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
        self._values.append(_Field(slot.number, f"{size}s", each, None))

    def embed(self, slot: Slot, values: npt.NDArray[Any]) -> None:
        rows = [row.astype("<u4").tobytes() for row in values]
        self.refer(slot, FewVectors(rows, [values.shape[1]] * len(rows), 4))

    def refer(self, slot: Slot, target: Block, rows: Positions | None = None) -> None:
        check_rows(self, target, rows)
        self._references.append(
            _Reference(slot.number, target, None if rows is None else rows.tolist())
        )

    def targets(self) -> Iterable[Block]:
        return [reference.target for reference in self._references]

    def plan(self) -> Sequence[bytes]:
        fields = list(self._values)
        for number, target, rows in self._references:
            starts = target.starts if isinstance(target.starts, list) else target.starts.tolist()
            if rows is not None:
                starts = [starts[row] if row >= 0 else -1 for row in rows]
            each: list[int | None] = list(starts)
            if rows is not None or not target.complete:
                each = [None if start < 0 else start for start in starts]
            fields.append(_Field(number, "I", each, target))
        fields = [field for field in fields if field.values.count(None) < self._n]
        self._layout = layout = _layout(tuple([field.code for field in fields]))
        self._fields = fields = [fields[i] for i in layout.order]
        lead, stride = -4 % layout.align, -(-layout.size // layout.align) * layout.align
        self.size = lead + self._n * stride if self._n else 0
        self.starts = list(range(lead, self.size, stride))
        slots = tuple(zip([field.number for field in fields], layout.offsets, strict=True))
        if all([None not in field.values for field in fields]):  # noqa: C419 - twice as fast
            self._vtables = [vtable(slots, layout.size)] * self._n
            return self._vtables
        self._vtables = []
        for row in range(self._n):
            held = zip(fields, slots, strict=True)
            some = tuple(slot for field, slot in held if field.values[row] is not None)
            self._vtables.append(vtable(some, layout.size))
        return self._vtables

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        columns = []
        for field, at in zip(self._fields, self._layout.offsets, strict=True):
            column: Iterable[Any] = field.values
            if field.target is not None:
                ahead = field.target.base - self.base - at
                column = [
                    0 if to is None else ahead + to - start
                    for to, start in zip(field.values, self.starts, strict=True)
                ]
            elif None in field.values:
                absent: Any = b"" if field.code.endswith("s") else 0
                column = [absent if value is None else value for value in field.values]
            columns.append(column)
        code, data = self._layout.code, out.data
        rows = zip(*columns, strict=True) if columns else repeat((), self._n)
        for start, known, values in zip(self.starts, self._vtables, rows, strict=True):
            struct.pack_into(code, data, start, self.base + start - vtables[known], *values)
