"""The layout of a file in blocks, each with rows of one kind; see `flatbuf_writer`."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.flatbuf import Positions, Slot
from frazil.format.ragged import inserted

IDENTIFIER: Final = b"Ichk"
_MAX_SIZE: Final = (1 << 31) - 1
_DROPPED: Final = 16
"""One row in so many may be there for nothing: it takes room, and to lay out all takes time."""
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")


class Block(ABC):
    """Rows of one kind that lie together. After `plan` starts and size are known."""

    starts: Positions | list[int]
    """Where each row begins, from the base of the block; -1 for a row that is absent."""
    size: int
    """Bytes of the whole block."""
    complete: bool = True
    """Whether no row is absent."""
    base: int = 0
    """Where the block begins in the file."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of rows."""

    def targets(self) -> Iterable[Block]:
        """The blocks that this one refers to, which are planned before it."""
        return ()

    def plan(self) -> Sequence[bytes]:
        """Fix starts and size; the vtables whose positions `fill` wants to know."""
        return ()

    @abstractmethod
    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        """Write into `out`, the zeroed part of the file that is this block's."""


class TableBlock(Block):
    """Tables with the same fields, each `scalar`, `struct`, `embed` or `refer` adding one."""

    @abstractmethod
    def scalar(
        self, slot: Slot, dtype: str, values: npt.ArrayLike, default: int | None = 0
    ) -> None:
        """A scalar (u1, <u2, <u4, <i4, <u8) per row, or one for all.

        It is left out if all rows are the schema's default; with default None never.
        """

    @abstractmethod
    def struct(
        self, slot: Slot, values: npt.NDArray[np.uint8] | bytes, present: Mask | None = None
    ) -> None:
        """The bytes of a struct of alignment 1, uint8[n, size]; absent where not `present`."""

    @abstractmethod
    def embed(self, slot: Slot, values: npt.NDArray[Any], *, count: int | None = None) -> None:
        """A vector of equal length per row, [n, count] of 4-byte scalars, next to the table.

        Its offset is then the same in all rows, which compresses well and is quick to write.
        count: how many items these bytes are, where items are smaller than 4 bytes.
        """

    @abstractmethod
    def refer(self, slot: Slot, target: Block, rows: Positions | None = None) -> None:
        """An offset to the target's row i, or `rows[i]` (-1: absent), per row i."""


def check_rows(tables: TableBlock, target: Block, rows: Positions | None) -> None:
    """`ValueError` unless there is a target for each of the tables."""
    if len(tables) != len(target if rows is None else rows):
        raise ValueError("one target per table is needed")


def finish(root: Block) -> memoryview:
    """The file, whose root is the first row of `root`.

    `FormatError` if it would be larger than FlatBuffers can address.
    """
    blocks, vtables, size = _arrange(root, 8)
    if size > _MAX_SIZE:
        raise FormatError(
            f"a metadata file of {size} bytes is larger than the format can hold "
            f"({_MAX_SIZE}); split the manifest or the group into smaller ones",
            ErrorKind.SERIALIZATION,
        )
    head = struct.pack("<I", root.base + int(root.starts[0])) + IDENTIFIER
    return _filled(head, blocks, vtables, size).data


@dataclass(frozen=True, slots=True, eq=False)
class LaidOut:
    """Rows of a block with all that they lead to, ready to be put into many files.

    data: uint8[m], m a multiple of 8, which means the same wherever it lies at a multiple of 8,
    because offsets are relative; starts: where each row begins.
    """

    data: npt.NDArray[np.uint8]
    starts: Positions

    dropped: int = 0
    """Rows in `data` to which nothing leads any more."""

    def joined(self, other: LaidOut, at: Sequence[int]) -> LaidOut:
        """The rows of both: row i of `other` comes before row `at[i]` of this one."""
        starts = inserted(self.starts, other.starts + len(self.data), at)
        return LaidOut(np.concatenate([self.data, other.data]), starts, self.dropped)

    def woven(self, other: LaidOut, mine: Mask) -> LaidOut:
        """The rows of both: those of this one where `mine` says so, in order."""
        if not len(other.starts):
            return self
        starts = np.empty(len(mine), np.int64)
        starts[mine] = self.starts
        starts[~mine] = other.starts + len(self.data)
        return LaidOut(np.concatenate([self.data, other.data]), starts)

    def is_loose(self) -> bool:
        """Whether it is time to lay out the rows anew."""
        return self.dropped * _DROPPED > len(self.starts)

    def first(self, count: int) -> LaidOut:
        """The first rows alone."""
        starts = self.starts[:count]
        return LaidOut(self.data, starts, self.dropped + len(self.starts) - len(starts))


@dataclass(slots=True, eq=False)
class Layout(Generic[T]):
    """What a table knows of its rows in a file.

    known: how they are laid out; grown: that of a smaller table, and which rows come before
    which of its rows.
    """

    known: LaidOut | None = None
    grown: tuple[LaidOut, T, Sequence[int]] | None = None

    def laid(self, table: T, lay_out: Callable[[T], LaidOut]) -> LaidOut:
        """The rows of this table, with as little to lay out as possible."""
        known, grown = self.known, self.grown
        if known is None:
            if grown is not None and not grown[0].is_loose():
                base, new, at = grown
                known = base.joined(lay_out(new), at)
            else:
                known = lay_out(table)
            self.known, self.grown = known, None
        return known

    def grow(self, new: T, at: Sequence[int]) -> Layout[T]:
        """That of a table with new rows before the rows `at` of this one."""
        return Layout(grown=None if self.known is None else (self.known, new, at))

    def first(self, count: int) -> Layout[T]:
        """That of the first rows of this table, which has its new rows before all others."""
        if self.grown is None or count < len(self.grown[2]):
            return Layout()
        base, new, at = self.grown
        return Layout(grown=(base.first(count - len(at)), new, at))


def lay_out(block: Block) -> LaidOut:
    """The rows of a block and all that it leads to."""
    blocks, vtables, size = _arrange(block, 0)
    starts = np.asarray(block.starts, np.int64) + block.base
    return LaidOut(_filled(b"", blocks, vtables, -(-size // 8) * 8), starts)


class Verbatim(Block):
    """Rows that were laid out before, with numbers that differ from file to file.

    patches: for an offset in each row the 4-byte scalars [n] that belong there.
    """

    def __init__(self, rows: LaidOut, patches: Sequence[tuple[int, npt.NDArray[Any]]] = ()) -> None:
        self._rows = rows
        self._patches = patches
        self.starts = rows.starts
        self.size = len(rows.data)

    def __len__(self) -> int:
        return len(self.starts)

    def fill(self, out: npt.NDArray[np.uint8], vtables: dict[bytes, int]) -> None:
        out[:] = self._rows.data
        for offset, values in self._patches:
            numbers = out.view(values.dtype.newbyteorder("<"))
            numbers[(self._rows.starts + offset) >> 2] = values


def _arrange(root: Block, cursor: int) -> tuple[list[Block], dict[bytes, int], int]:
    """Place `root` and all that it leads to from `cursor`: blocks, vtables, the end."""
    blocks: list[Block] = []
    vtables: dict[bytes, int] = {}
    _collect(root, blocks, set())
    for block in blocks:
        for vtable in block.plan():
            if vtable not in vtables:
                vtables[vtable] = cursor
                cursor += len(vtable)
    for block in reversed(blocks):
        block.base = cursor = cursor + 7 & -8
        cursor += block.size
    return blocks, vtables, cursor


def _filled(
    head: bytes, blocks: list[Block], vtables: dict[bytes, int], size: int
) -> npt.NDArray[np.uint8]:
    out = np.zeros(size, np.uint8)
    head += b"".join(vtables)
    out.data[: len(head)] = head
    for block in blocks:
        if block.size:
            block.fill(out[block.base : block.base + block.size], vtables)
    return out


def _collect(block: Block, into: list[Block], seen: set[Block]) -> None:
    """Everything that the block leads to, then the block."""
    seen.add(block)
    for target in block.targets():
        if target not in seen:
            _collect(target, into, seen)
    into.append(block)


@lru_cache(maxsize=1024)
def vtable(fields: tuple[tuple[int, int], ...], size: int) -> bytes:
    """The vtable of tables of `size` bytes with these fields: slot number and offset of each."""
    slots = [0] * (1 + max((number for number, _ in fields), default=-1))
    for number, at in fields:
        slots[number] = at
    return struct.pack(f"<{len(slots) + 2}H", 4 + 2 * len(slots), size, *slots)
