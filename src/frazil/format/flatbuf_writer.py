"""Write FlatBuffers in columns: a million tables are one strided block.

A file is made of blocks, each with rows of one kind, that refer to each other (never in a
circle). `finish` lays out those that the root leads to, referring before referred, since
offsets only lead ahead:

    names = strings(ByteColumn.of([b"a", b"b"]))    2 strings, or strings([b"a", b"b"])
    shapes = items(np.array(...), counts)           2 vectors of scalars or structs
    nodes = table_block(2)                          2 tables of one type
    nodes.scalar(slot, "<u8", values, default=0)    left out if all rows are the default
    nodes.struct(slot, uint8[2, 8])
    nodes.embed(slot, uint32[2, 3])                 vectors of equal length, in place
    nodes.refer(slot, names)                        row i refers to row i
    nodes.refer(slot, shapes, rows=int64[2])        ... or to these rows, -1 = absent
    root = table_block()                            1 table
    root.struct(slot, b"its bytes")
    root.refer(slot, vectors(nodes))                one vector of all of them
    root.refer(slot, blobs([None]))                 absent, thus left out
    body = finish(root)

Rows of size or count -1 are absent: a reference to one leaves the field out. Everything
lies where the verifiers of other implementations want it, counted from the start of the
file: 8-byte scalars at multiples of 8, 4-byte ones and offsets at multiples of 4; strings
end with NUL.

There are two kinds of block that do the same, `flatbuf_many` for many rows in columns and
`flatbuf_few` for few rows in Python's own numbers; a file may have both. Rows that a file has
in common with the next are laid out once (`lay_out`) and put into each (`Verbatim`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.format.columns import ByteColumn, row_starts
from frazil.format.flatbuf import Positions
from frazil.format.flatbuf_few import FewOffsetVectors, FewTables, FewVectors, rows_of
from frazil.format.flatbuf_layout import (
    IDENTIFIER,
    Block,
    LaidOut,
    TableBlock,
    Verbatim,
    finish,
    lay_out,
)
from frazil.format.flatbuf_many import ManyOffsetVectors, ManyTables, ManyVectors

__all__ = [
    "IDENTIFIER",
    "Block",
    "LaidOut",
    "TableBlock",
    "Verbatim",
    "blobs",
    "finish",
    "items",
    "lay_out",
    "strings",
    "table_block",
    "vector",
    "vectors",
]

FEW = 24
"""Rows up to which Python's own numbers are faster than arrays."""

Texts = ByteColumn | Sequence[bytes | None]


def strings(column: Texts) -> Block:
    """A string per row; the bytes must be UTF-8."""
    return _bytes_block(column, nul=1)


def blobs(column: Texts) -> Block:
    """A [u8] vector per row."""
    return _bytes_block(column, nul=0)


def _bytes_block(column: Texts, nul: int) -> Block:
    if len(column) > FEW:
        column = column if isinstance(column, ByteColumn) else ByteColumn.of(column)
        return ManyVectors(column, column.size, 4, nul)
    rows = rows_of(column) if isinstance(column, ByteColumn) else column
    return FewVectors(rows, [0 if row is None else len(row) for row in rows], 4, nul)


def vector(data: bytes, count: int, *, align: int = 4) -> Block:
    """One vector of `count` scalars or structs; `align` is 8 where these hold 8-byte scalars."""
    return FewVectors([data], [count], align)


def items(values: npt.NDArray[Any], counts: Positions | None = None, *, align: int = 4) -> Block:
    """A vector of scalars or structs per row: items of all rows end to end, counts of each.

    Without counts each row of a 2-d array is a vector, and a 1-d array is one vector.
    `align` is 8 where an item holds 8-byte scalars.
    """
    if counts is None:
        n, count = values.shape if values.ndim == 2 else (1, len(values))
        counts = np.full(n, count, np.int64)
    heap = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    item = values.dtype.itemsize
    if len(counts) > FEW:
        size = counts * item
        return ManyVectors(ByteColumn(heap, row_starts(size), size), counts, align)
    rows: list[memoryview | None] = []
    at = 0
    numbers = counts.tolist()
    for count in numbers:
        rows.append(None if count < 0 else heap.data[at : at + count * item])
        at += max(count, 0) * item
    return FewVectors(rows, numbers, align)


def vectors(target: Block, counts: Positions | None = None) -> Block:
    """A vector of offsets per row, to the rows of `target` in order, `counts` at a time.

    Without counts: one vector of all rows.
    """
    n = len(target)
    if counts is None:
        return FewOffsetVectors(target, [n]) if n <= FEW else ManyOffsetVectors(target, None)
    if int(np.maximum(counts, 0).sum()) != n:
        raise ValueError("the counts of the vectors do not add up to the rows they refer to")
    if n <= FEW and len(counts) <= FEW:
        return FewOffsetVectors(target, counts.tolist())
    return ManyOffsetVectors(target, counts)


def table_block(n: int = 1) -> TableBlock:
    """`n` tables of one type, to which fields are added."""
    return FewTables(n) if n <= FEW else ManyTables(n)
