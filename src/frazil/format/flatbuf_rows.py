"""Single rows for `flatbuf_writer`, each packed at once: what a commit adds to a large file.

    NAMED = Shape((NAME, TEXT), (ID, "12s"))
    ROW = Shape((TIME, "Q"), (PAYLOAD, NAMED), (ITEMS, EMPTY), (KIND, "B"))
    ROW.row(time, NAMED.pack(b"name", id), None, kind)

Each table has a vtable of its own, so its bytes mean the same wherever they are put.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import Final

import numpy as np

from frazil.format.flatbuf import Slot
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


def _end(codes: list[str]) -> int:
    return 4 + sum(struct.calcsize(f"<{code}") for code in codes)
