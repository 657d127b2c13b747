"""Rows of one shape for `flatbuf_writer`, each with all that it leads to behind it.

    NAMED = Shape((NAME, TEXT), (ID, "12s"))
    ROW = Shape((TIME, "Q"), (PAYLOAD, NAMED), (ITEMS, EMPTY), (KIND, "B"))
    ROW.row(time, NAMED.pack(b"name", id), None, kind)      what a commit adds to a large file
    ROW.rows(n, times, (names, ids), None, kinds)           many at once, in columns

Each table has a vtable of its own, so its bytes mean the same wherever they are put; and rows
look alike, which compresses better than columns do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.format.columns import ByteColumn, row_starts, scatter_bytes
from frazil.format.flatbuf import Positions, Slot
from frazil.format.flatbuf_layout import LaidOut, vtable

TEXT: Final = "text"
"""A string, given as its bytes in UTF-8."""
EMPTY: Final = "empty"
"""A vector without items, given as None."""
_NOTHING: Final = bytes(4)


class Shape:
    """Tables with just these fields.

    A field is a `struct` code, `TEXT`, `EMPTY` or the shape of a table that is packed. Those of
    8 bytes come first, then those of 4, and only the outermost table has some of 8.
    """

    def __init__(self, *fields: tuple[Slot, str | Shape]) -> None:
        led = [isinstance(kind, Shape) or kind in (TEXT, EMPTY) for _, kind in fields]
        codes = ["I" if led[i] else str(kind) for i, (_, kind) in enumerate(fields)]
        offsets = list(accumulate((struct.calcsize(f"<{code}") for code in codes), initial=4))
        size = -(-offsets.pop() // 4) * 4
        numbers = [slot.number for slot, _ in fields]
        self._vtable = vtable(tuple(zip(numbers, offsets, strict=True)), size)
        lead = -(len(self._vtable) + 4) % 8 if "Q" in codes else -len(self._vtable) % 4
        self.entry = lead + len(self._vtable)
        """Where the table begins in its bytes."""
        self._pack = struct.Struct(
            f"<{lead}x{len(self._vtable)}si{''.join(codes)}{size - _end(codes)}x"
        ).pack
        self._end = self.entry + size
        self._ways = [
            (i, self.entry + offsets[i], kind) for i, (_, kind) in enumerate(fields) if led[i]
        ]
        self._scalars = [
            (i, self.entry + offsets[i], code) for i, code in enumerate(codes) if not led[i]
        ]
        nothing = [bytes(struct.calcsize(code)) if code.endswith("s") else 0 for code in codes]
        blank = self._pack(self._vtable, len(self._vtable), *nothing)
        words = np.frombuffer(blank, "<u4").tolist()
        self._template = [(at, word) for at, word in enumerate(words) if word]

    def pack(self, *values: object) -> bytes:
        """A table with these values, and what it leads to: a multiple of 4 bytes."""
        numbers, at, parts = list(values), self._end, []
        for i, place, kind in self._ways:
            part, entry = values[i], 0
            if isinstance(kind, Shape):
                entry = kind.entry
            elif kind == EMPTY:
                part = _NOTHING
            else:
                assert isinstance(part, bytes)
                size = len(part)
                part = size.to_bytes(4, "little") + part + bytes(4 - size % 4)
            assert isinstance(part, bytes)
            numbers[i] = at + entry - place
            parts.append(part)
            at += len(part)
        return self._pack(self._vtable, len(self._vtable), *numbers) + b"".join(parts)

    def row(self, *values: object) -> LaidOut:
        """The same as a row to be put into files."""
        data = self.pack(*values)
        data += bytes(-len(data) % 8)
        return LaidOut(np.frombuffer(data, np.uint8), np.array([self.entry], np.int64))

    def rows(self, count: int, *columns: Any) -> LaidOut:
        """Many rows: of scalars arrays [n], of structs [n, size], of texts a `ByteColumn`.

        Of tables the tuple of their columns. Structs are of a multiple of 4 bytes.
        """
        room = self._sizes(count, columns) + 7 & -8
        start = row_starts(room)
        out = np.zeros(int(room.sum()), np.uint8)
        self._write(out, start, columns)
        return LaidOut(out, start + self.entry)

    def _sizes(self, count: int, columns: Sequence[Any]) -> Positions:
        size = np.full(count, self._end, np.int64)
        for i, _, kind in self._ways:
            if isinstance(kind, Shape):
                size += kind._sizes(count, columns[i])
            elif kind == EMPTY:
                size += 4
            else:
                size += _text_sizes(columns[i])
        return size

    def _write(self, out: npt.NDArray[np.uint8], start: Positions, columns: Sequence[Any]) -> None:
        words, first = out.view("<u4"), start >> 2
        for number, word in self._template:
            words[first + number] = word
        for i, place, code in self._scalars:
            if code == "B":
                out[start + place] = columns[i]
            elif code.endswith("s"):
                parts = np.ascontiguousarray(columns[i]).view("<u4")
                for number in range(parts.shape[1]):
                    words[first + (place // 4 + number)] = parts[:, number]
            else:
                own = out.view("<u8" if code == "Q" else f"<{code.lower()}4")
                own[(start + place) // own.itemsize] = columns[i]
        at = np.full(len(start), self._end, np.int64)
        for i, place, kind in self._ways:
            entry = kind.entry if isinstance(kind, Shape) else 0
            words[first + place // 4] = at + (entry - place)
            if isinstance(kind, Shape):
                kind._write(out, start + at, columns[i])
                at += kind._sizes(len(start), columns[i])
            elif kind == EMPTY:
                at += 4
            else:
                words[first + (at >> 2)] = columns[i].size
                scatter_bytes(out, start + at + 4, columns[i])
                at += _text_sizes(columns[i])


def _text_sizes(column: ByteColumn) -> Positions:
    """Of the count, the bytes and a NUL, to a multiple of 4."""
    return (column.size + 8) & -4


def _end(codes: list[str]) -> int:
    return 4 + sum(struct.calcsize(f"<{code}") for code in codes)
