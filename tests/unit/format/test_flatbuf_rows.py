"""Rows that are packed one by one."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot, Table, read_root
from frazil.format.flatbuf_layout import LaidOut, Verbatim, lay_out
from frazil.format.flatbuf_rows import EMPTY, TEXT, Shape
from frazil.format.flatbuf_writer import finish, strings, table_block, vectors

TIME, NAME, KIND, ID = Slot(0, "time"), Slot(1, "name"), Slot(2, "kind"), Slot(5, "id")
ITEMS, PART, ROWS = Slot(3, "items"), Slot(4, "part"), Slot(0, "rows")

PART_SHAPE = Shape((NAME, TEXT), (ID, "3s"))
SHAPE = Shape((TIME, "Q"), (PART, PART_SHAPE), (NAME, TEXT), (ITEMS, EMPTY), (KIND, "B"))


def as_file(rows: LaidOut) -> bytes:
    root = table_block()
    root.refer(ROWS, vectors(Verbatim(rows)))
    return bytes(finish(root))


def values(table: Table) -> tuple[object, ...]:
    part = table.table(PART)
    return (
        table.scalar(TIME, "<u8"),
        part.string(NAME),
        part.struct(ID, 3),
        table.string(NAME),
        len(table.tables(ITEMS)),
        table.scalar(KIND, "u1"),
    )


@pytest.mark.parametrize("name", ["", "abc", "abcd", "é" * 20])
@pytest.mark.parametrize("other", ["", "1234567"])
def test_a_row_is_read_back(name: str, other: str) -> None:
    row = SHAPE.row(2**63, PART_SHAPE.pack(name.encode(), b"xyz"), other.encode(), None, 7)
    table = read_root(as_file(row), where="test").tables(ROWS)[0]
    assert values(table) == (2**63, name, b"xyz", other, 0, 7)


def test_rows_of_both_kinds_lie_in_one_file_and_are_aligned() -> None:
    rows = SHAPE.row(1, PART_SHAPE.pack(b"one", b"abc"), b"first", None, 1)
    few = table_block(2)
    few.scalar(TIME, "<u8", [2, 3])
    part = table_block(2)
    part.refer(NAME, strings([b"two", b"three"]))
    part.struct(ID, b"defghi")
    few.refer(PART, part)
    few.refer(NAME, strings([b"second", b"third"]))
    few.refer(ITEMS, vectors(table_block(0), np.zeros(2, np.int64)))
    few.scalar(KIND, "u1", [2, 3])
    rows = rows.joined(lay_out(few), [1, 1])
    rows = rows.joined(SHAPE.row(0, PART_SHAPE.pack(b"zero", b"000"), b"", None, 0), [0])
    tables = read_root(as_file(rows), where="test").tables(ROWS)
    assert [values(tables[i]) for i in range(len(tables))] == [
        (0, "zero", b"000", "", 0, 0),
        (1, "one", b"abc", "first", 0, 1),
        (2, "two", b"def", "second", 0, 2),
        (3, "three", b"ghi", "third", 0, 3),
    ]
    # The time is the first field: its 8 bytes follow the 4 at the beginning of a table.
    assert {int(at) % 8 for at in tables.at} == {4}


@pytest.mark.parametrize("count", [0, 1, 2, 70])
def test_many_rows_are_what_single_rows_are(count: int) -> None:
    names = [b"n" * (i % 7) for i in range(count)]
    others = ["é".encode() * (i % 5) for i in range(count)]
    shape = Shape((TIME, "Q"), (PART, Shape((NAME, TEXT), (ID, "4s"))), (NAME, TEXT), (KIND, "B"))
    part = shape._ways[0][2]
    assert isinstance(part, Shape)
    ids = np.arange(4 * count, dtype=np.uint8).reshape(count, 4)
    times, kinds = np.arange(count, dtype=np.uint64) << 40, np.arange(count) % 256
    many = shape.rows(
        count, times, (ByteColumn.of(names), ids), ByteColumn.of(others), kinds.astype(np.uint8)
    )
    single = [
        shape.row(i << 40, part.pack(names[i], ids[i].tobytes()), others[i], i % 256)
        for i in range(count)
    ]
    assert many.data.tobytes() == b"".join(row.data.tobytes() for row in single)
    ends = np.cumsum([0, *(len(row.data) for row in single)])
    assert (many.starts - shape.entry).tolist() == ends[:-1].tolist()
