"""Single tables and vectors are read back like blocks of many rows."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot, read_root
from frazil.format.flatbuf_writer import finish, strings, table_block, vector

BYTE, LONG, ID, TEXT, IDS, DIMS, ROWS, CHILD, LAST = (Slot(i, f"slot{i}") for i in range(9))


def test_every_kind_of_field() -> None:
    child = table_block()
    child.scalar(BYTE, "u1", 7)
    rows = table_block(1)
    rows.refer(TEXT, strings(ByteColumn.of([b"row"])))
    root = table_block()
    root.scalar(BYTE, "u1", 255)
    root.struct(ID, b"0123456789ab")
    root.scalar(LONG, "<u8", 2**64 - 1)
    root.refer(TEXT, strings(["é".encode()]))
    root.refer(IDS, vector(b"abcdefgh", 2))
    root.refer(DIMS, vector(np.arange(4, dtype="<u8").tobytes(), 2, align=8))
    root.refer(ROWS, rows)
    root.refer(CHILD, child)
    body = bytes(finish(root))
    read = read_root(body, where="test")
    assert body[4:8] == b"Ichk"
    assert read.scalar(BYTE, "u1") == 255
    assert read.scalar(LONG, "<u8") == 2**64 - 1
    assert read.struct(ID, 12) == b"0123456789ab"
    assert read.string(TEXT) == "é"
    assert body[body.index("é".encode()) + 2] == 0
    assert read.items(IDS, "V4").tolist() == [b"abcd", b"efgh"]
    assert read.items(DIMS, "V16").view("<u8").tolist() == [0, 1, 2, 3]
    assert read.table(ROWS).string(TEXT) == "row"
    assert read.table(CHILD).scalar(BYTE, "u1") == 7
    assert not read.has(LAST)
    # Other readers refuse what is not aligned from the start of the file.
    assert body.index(np.arange(4, dtype="<u8").tobytes()) % 8 == 0
    assert body.index(b"\xff" * 8) % 8 == 0
    assert body.index(b"abcdefgh") % 4 == 0


def test_defaults_are_left_out() -> None:
    root = table_block()
    root.scalar(BYTE, "u1", 0)
    root.scalar(LONG, "<i4", 0, default=-1)
    root.refer(TEXT, strings([b""]))
    read = read_root(bytes(finish(root)), where="test")
    assert not read.has(BYTE)
    assert read.has(LONG)
    assert read.string(TEXT) == ""


def test_an_empty_table() -> None:
    read = read_root(bytes(finish(table_block())), where="test")
    assert not read.has(BYTE)


def test_refers_to_one_row() -> None:
    with pytest.raises(ValueError, match="one target"):
        table_block().refer(ROWS, table_block(2))
