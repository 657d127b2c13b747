"""Write small FlatBuffers from the inside out, each table with all that it leads to behind it.

    NAMED = Record((NAME, OFFSET), (ID, "12s"))
    ROOT = Record((TIME, "Q"), (ITEMS, OFFSET), (COMMENT, OFFSET))
    items = tables([NAMED.pack(text(b"a"), id_a), NAMED.pack(text(b"b"), id_b)])
    body = file(ROOT.pack(time, items, None))            None: the field is left out

Columns, as `flatbuf_writer` has them, need a dozen small steps for each kind of table; with a few
rows of each kind this takes a fifth of the time. Every part is a multiple of 8 bytes long and lies
at a multiple of 8, so whatever is in it is aligned, and its bytes mean the same wherever they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from frazil.format.flatbuf import Slot
from frazil.format.flatbuf_layout import IDENTIFIER, vtable

OFFSET: Final = "offset"
"""A field that leads to another part."""


Packed = tuple[bytes, int]
"""A part of a file: a multiple of 8 bytes, and where in it offsets lead to."""

NO_ITEMS: Final[Packed] = (bytes(8), 0)
"""A vector without items of up to 4 bytes each."""
NO_LONG_ITEMS: Final[Packed] = (bytes(8), 4)
"""A vector without items that lie at multiples of 8."""


def vector(data: bytes, count: int) -> Packed:
    """A vector of scalars, or structs of such, of up to 4 bytes: these bytes are its items."""
    return count.to_bytes(4, "little") + data + bytes(-(4 + len(data)) % 8), 0


def blob(data: bytes) -> Packed:
    """A [u8] vector."""
    return vector(data, len(data))


def text(data: bytes) -> Packed:
    """A string, of bytes in UTF-8."""
    size = len(data)
    return size.to_bytes(4, "little") + data + bytes(1 + -(5 + size) % 8), 0


def tables(rows: Sequence[Packed]) -> Packed:
    """A vector of tables."""
    count = len(rows)
    at = 4 + 4 * count + (-(4 + 4 * count) % 8)
    head, parts = [count], [b""]
    for place, (data, entry) in enumerate(rows, 1):
        head.append(at + entry - 4 * place)
        parts.append(data)
        at += len(data)
    parts[0] = struct.pack(f"<{count + 1}I", *head) + bytes(-(4 + 4 * count) % 8)
    return b"".join(parts), 0


def file(root: Packed) -> bytes:
    """The file with this root."""
    data, entry = root
    return b"".join((struct.pack("<I", 8 + entry), IDENTIFIER, data))


class _Form(NamedTuple):
    """How a table with some of the fields is laid out."""

    entry: int
    vtable: bytes
    pack: Callable[..., bytes]
    places: tuple[int, ...]
    """For each field where its offset is stored; 0 for scalars."""
    end: int


class Record:
    """A kind of table. A field is a `struct` code or `OFFSET`; of 8 bytes first, then of 4."""

    def __init__(self, *fields: tuple[Slot, str]) -> None:
        self._fields = fields
        self._forms: dict[tuple[bool, ...], _Form] = {}

    def pack(self, *values: Any) -> Packed:
        """A table: a number, bytes or `Packed` for each field, None for those left out."""
        key = tuple([value is not None for value in values])
        form = self._forms.get(key) or self._forms.setdefault(key, self._form(key))
        numbers, parts, at = [], [b""], form.end
        for value, place in zip(values, form.places, strict=True):
            if value is None:
                continue
            if place:
                data, entry = value
                numbers.append(at + entry - place)
                parts.append(data)
                at += len(data)
            else:
                numbers.append(value)
        parts[0] = form.pack(form.vtable, len(form.vtable), *numbers)
        return b"".join(parts), form.entry

    def _form(self, there: tuple[bool, ...]) -> _Form:
        some = [field for field, is_there in zip(self._fields, there, strict=True) if is_there]
        codes = ["I" if code == OFFSET else code for _, code in some]
        *offsets, end = accumulate((struct.calcsize(f"<{code}") for code in codes), initial=4)
        head = vtable(tuple(zip([slot.number for slot, _ in some], offsets, strict=True)), end)
        # A table begins half way between multiples of 8, and with 4 bytes.
        lead = -(len(head) + 4) % 8
        entry = lead + len(head)
        tail = -(entry + end) % 8
        where = {slot: entry + at for (slot, _), at in zip(some, offsets, strict=True)}
        places = [where.get(slot, 0) if code == OFFSET else 0 for slot, code in self._fields]
        pack = struct.Struct(f"<{lead}x{len(head)}si{''.join(codes)}{tail}x").pack
        return _Form(entry, head, pack, tuple(places), entry + end + tail)
