"""The layout of a file in blocks, each with rows of one kind; see `flatbuf_writer`."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.flatbuf import Positions, Slot

IDENTIFIER: Final = b"Ichk"
_MAX_SIZE: Final = (1 << 31) - 1
Mask = npt.NDArray[np.bool_]


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
    def embed(self, slot: Slot, values: npt.NDArray[Any]) -> None:
        """A vector of equal length per row, [n, count] of 4-byte scalars, next to the table.

        Its offset is then the same in all rows, which compresses well and is quick to write.
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
    data = out.data
    head = struct.pack("<I", root.base + int(root.starts[0])) + IDENTIFIER + b"".join(vtables)
    data[: len(head)] = head
    for block in blocks:
        if block.size:
            block.fill(out[block.base : block.base + block.size], vtables)
    return data


def _collect(block: Block, into: list[Block], seen: set[int]) -> None:
    """Everything that the block leads to, then the block."""
    if id(block) not in seen:
        seen.add(id(block))
        for target in block.targets():
            _collect(target, into, seen)
        into.append(block)


@lru_cache(maxsize=1024)
def vtable(fields: tuple[tuple[int, int], ...], size: int) -> bytes:
    """The vtable of tables of `size` bytes with these fields: slot number and offset of each."""
    slots = [0] * (1 + max((number for number, _ in fields), default=-1))
    for number, at in fields:
        slots[number] = at
    return struct.pack(f"<{len(slots) + 2}H", 4 + 2 * len(slots), size, *slots)
