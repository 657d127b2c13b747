"""Blocks of one row for `flatbuf_writer`: the fixed parts of a file, without arrays.

root = SingleTable()
root.struct(ID, snapshot_id)
root.scalar(FLUSHED_AT, "Q", 1234)            left out if it is the schema's default
root.refer(MESSAGE, string("text"))
root.refer(NODES, vectors(nodes))             blocks of any kind
root.refer(IDS, vector(b"".join(ids), len(ids)))
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.format.flatbuf import Slot
from frazil.format.flatbuf_writer import Block


def string(text: str) -> Block:
    """One string."""
    raw = text.encode()
    return _Vector(raw + b"\0", len(raw), 4)


def vector(data: bytes, count: int, *, align: int = 4) -> Block:
    """One vector of `count` scalars or structs; `align` is 8 where these hold 8-byte scalars."""
    return _Vector(data, count, align)


class _Vector(Block):
    def __init__(self, data: bytes, count: int, align: int) -> None:
        lead = -4 % align
        self._data = bytes(lead) + struct.pack("<I", count) + data
        self.starts = np.array([lead], np.int64)
        self.size = len(self._data)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        out.data[:] = self._data


class _Field(NamedTuple):
    slot: int
    size: int
    align: int
    value: bytes | Block


class SingleTable(Block):
    """One table; each `scalar`, `struct` or `refer` adds a field."""

    def __init__(self) -> None:
        self.size = 0
        self._fields: list[_Field] = []
        self._offsets: list[int] = []
        self._vtable = b""

    def __len__(self) -> int:
        return 1

    def scalar(self, slot: Slot, layout: str, value: int, default: int = 0) -> None:
        """A scalar of a `struct` code such as B or Q; left out if it is the schema's default."""
        if value != default:
            data = struct.pack("<" + layout, value)
            self._fields.append(_Field(slot.number, len(data), len(data), data))

    def struct(self, slot: Slot, data: bytes) -> None:
        """The bytes of a struct of alignment 1."""
        self._fields.append(_Field(slot.number, len(data), 1, bytes(data)))

    def refer(self, slot: Slot, target: Block) -> None:
        """An offset to the only row of the target."""
        if len(target) != 1:
            raise ValueError("one target is needed")
        self._fields.append(_Field(slot.number, 4, 4, target))

    def targets(self) -> Iterable[Block]:
        return [field.value for field in self._fields if isinstance(field.value, Block)]

    def plan(self) -> Sequence[bytes]:
        # As in tables of many rows: largest alignment first, beginning half way to it.
        self._fields.sort(key=lambda field: -field.align)
        lead = -4 % max([4, *(field.align for field in self._fields)])
        at = 4
        self._offsets = []
        slots = [0] * (1 + max((field.slot for field in self._fields), default=-1))
        for field in self._fields:
            self._offsets.append(lead + at)
            slots[field.slot] = at
            at += field.size
        self.starts = np.array([lead], np.int64)
        self.size = lead + at
        self._vtable = struct.pack(f"<{len(slots) + 2}H", 4 + 2 * len(slots), at, *slots)
        return (self._vtable,)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        data: Any = out.data
        lead = int(self.starts[0])
        struct.pack_into("<i", data, lead, self.base + lead - vtables[self._vtable])
        for field, at in zip(self._fields, self._offsets, strict=True):
            value = field.value
            if isinstance(value, Block):
                target = value.base + int(value.starts[0])
                value = struct.pack("<I", target - self.base - at)
            data[at : at + field.size] = value
