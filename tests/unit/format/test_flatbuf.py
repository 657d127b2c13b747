"""The reader and the writer of FlatBuffers; hostile buffers are built byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from frazil.errors import ErrorKind, FormatError
from frazil.format import flatbuf_writer as fb
from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot, Table, Tables, read_root

A, B, C, D, E = (Slot(i, f"Thing.{'abcde'[i]}") for i in range(5))
PAIR = np.dtype([("size", "<u8"), ("count", "<u4"), ("pad", "<u4")])


@pytest.fixture(autouse=True, params=[0, fb.FEW, 10**6], ids=["many", "mixed", "few"])
def _few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of block, and both in one file."""
    monkeypatch.setattr(fb, "FEW", request.param)


def rows(column: ByteColumn) -> list[bytes | None]:
    return [column[i] for i in range(len(column))]


def read(root: fb.TableBlock) -> Table:
    return read_root(bytes(fb.finish(root)), where="a file")


def column_of(block: fb.TableBlock) -> Tables:
    """The block, read back from a vector in a root table."""
    root = fb.table_block(1)
    root.refer(A, fb.vectors(block))
    return read(root).tables(A)


def test_a_table_of_scalars() -> None:
    root = fb.table_block(1)
    root.scalar(A, "u1", 7)
    root.scalar(B, "<u8", 2**63)
    root.scalar(C, "<i4", -1, default=0)
    root.scalar(D, "<u4", 9, default=9)
    table = read(root)
    assert table.scalar(A, "u1") == 7
    assert table.scalar(B, "<u8") == 2**63
    assert table.scalar(C, "<i4") == -1
    assert not table.has(D)
    assert table.scalar(D, "<u4", 9) == 9
    assert table.scalar(E, "<u2") == 0


def test_a_default_can_be_written_out() -> None:
    root = fb.table_block(1)
    root.scalar(A, "u1", 0, default=None)
    assert read(root).has(A)


def test_a_table_of_everything_else() -> None:
    inner = fb.table_block(1)
    inner.scalar(C, "<u4", 5)
    root = fb.table_block(1)
    root.struct(A, np.arange(12, dtype=np.uint8).reshape(1, 12))
    root.refer(B, fb.strings(ByteColumn.of(["hé".encode()])))
    root.refer(C, fb.blobs(ByteColumn.of([b"\xff\x00"])))
    root.refer(D, inner)
    root.refer(E, fb.items(np.array([3, 1, 2], "<u2")))
    table = read(root)
    assert table.struct(A, 12) == bytes(range(12))
    assert table.string(B) == "hé"
    assert table.blob(C) == b"\xff\x00"
    assert table.table(D).scalar(C, "<u4") == 5
    assert table.items(E, "<u2").tolist() == [3, 1, 2]


def test_columns_with_absent_fields() -> None:
    names = [b"one", None, b"", b"four"]
    block = fb.table_block(4)
    block.refer(A, fb.strings(ByteColumn.of(names)))
    block.scalar(B, "<u8", [1, 0, 3, 4])
    ids = np.arange(32, dtype=np.uint8).reshape(4, 8)
    block.struct(C, ids, np.array([True, True, False, False]))
    block.refer(D, fb.blobs(ByteColumn.absent(4)))
    tables = column_of(block)
    assert rows(tables.string(A, required=False)) == names
    assert tables.has(A).tolist() == [True, False, True, True]
    assert tables.scalar(B, "<u8", 9).tolist() == [1, 0, 3, 4]
    assert tables.struct(C, 8, required=False).tolist() == [*ids[:2].tolist(), [0] * 8, [0] * 8]
    assert rows(tables.blob(D, required=False)) == [None] * 4
    assert tables.scalar(E, "<u4", 9).tolist() == [9] * 4
    assert tables.items(D, "<u4", required=False)[1].tolist() == [-1] * 4
    assert tables.take(np.array([3, 0])).scalar(B, "<u8").tolist() == [4, 1]
    assert tables[3].string(A) == "four"


def test_vectors_of_vectors() -> None:
    leaves = fb.table_block(5)
    leaves.scalar(A, "<u4", np.arange(5), default=None)
    words = fb.strings(ByteColumn.of([b"a", b"bb", b"ccc"]))
    block = fb.table_block(4)
    block.refer(A, fb.vectors(leaves, np.array([2, -1, 0, 3])))
    block.refer(B, fb.vectors(words, np.array([0, 1, 2, -1])))
    pairs = np.array([(1, 2, 0), (3, 4, 0), (5, 6, 0)], PAIR)
    block.refer(C, fb.items(pairs, np.array([1, -1, 2, 0]), align=8))
    tables = column_of(block)
    found, counts = tables.tables(A, required=False)
    assert counts.tolist() == [2, 0, 0, 3]
    assert found.scalar(A, "<u4").tolist() == [0, 1, 2, 3, 4]
    strings, counts = tables.strings(B, required=False)
    assert rows(strings) == [b"a", b"bb", b"ccc"]
    assert counts.tolist() == [0, 1, 2, 0]
    items, counts = tables.items(C, PAIR, required=False)
    assert items.tolist() == pairs.tolist()
    assert counts.tolist() == [1, -1, 2, 0]


def test_references_to_chosen_rows_may_share_targets() -> None:
    shared = fb.table_block(2)
    shared.scalar(A, "u1", [10, 20])
    block = fb.table_block(4)
    block.refer(A, shared, rows=np.array([1, 0, -1, 1]))
    tables = column_of(block)
    present = tables.take(tables.has(A))
    assert present.table(A).scalar(A, "u1").tolist() == [20, 10, 20]


def test_embedded_vectors_and_strings() -> None:
    values = np.arange(6, dtype=np.uint32).reshape(2, 3)
    block = fb.table_block(2)
    block.embed(A, values)
    block.embed(B, np.empty((2, 0), np.uint32))
    block.struct(C, np.full((2, 5), 7, np.uint8))
    tables = column_of(block)
    items, counts = tables.items(A, "<u4")
    assert items.reshape(2, 3).tolist() == values.tolist()
    assert counts.tolist() == [3, 3]
    assert tables.items(B, "<u4")[1].tolist() == [0, 0]
    assert tables.struct(C, 5).tolist() == [[7] * 5] * 2


def test_empty_blocks() -> None:
    root = fb.table_block(1)
    root.refer(A, fb.vectors(fb.table_block(0)))
    root.refer(B, fb.items(np.empty(0, "<u8"), align=8))
    root.refer(C, fb.strings(ByteColumn.of([b""])))
    table = read(root)
    tables = table.tables(A)
    assert len(tables) == 0
    assert tables.scalar(A, "<u4").tolist() == []
    assert len(tables.string(B)) == 0
    assert table.items(B, "<u8").tolist() == []
    assert table.string(C) == ""


def test_everything_is_aligned_from_the_start_of_the_file() -> None:
    block = fb.table_block(3)
    block.scalar(A, "u1", 1)
    block.scalar(B, "<u8", 2**40)
    block.refer(C, fb.strings(ByteColumn.of([b"odd", b"", b"sizes"])))
    block.refer(D, fb.items(np.zeros(4, PAIR), np.array([2, 1, 1]), align=8))
    tables = column_of(block)
    body = tables.buffer.bytes
    assert body[4:8] == b"Ichk"
    assert not (tables.at % 4).any()
    assert not (tables._fields(B, True)[0] % 8).any()
    strings = tables.string(C)
    assert not (strings.start % 4).any()
    assert all(body[a + n] == 0 for a, n in zip(strings.start, strings.size, strict=True))
    assert not (tables._vectors(D, 16, True)[0] % 8).any()


def test_wrong_use_of_the_writer_is_found() -> None:
    block = fb.table_block(3)
    with pytest.raises(ValueError, match="one target per table"):
        block.refer(A, fb.table_block(2))
    with pytest.raises(ValueError, match="do not add up"):
        fb.vectors(block, np.array([1, 1]))


def test_a_file_beyond_2_gib_is_refused_before_it_is_built() -> None:
    huge = ByteColumn(np.zeros(2**26, np.uint8), np.zeros(32, np.int64), np.full(32, 2**26))
    root = fb.table_block(1)
    root.refer(A, fb.vectors(fb.blobs(huge)))
    with pytest.raises(FormatError, match="split") as info:
        fb.finish(root)
    assert info.value.kind == ErrorKind.SERIALIZATION


def test_missing_required_fields_are_named() -> None:
    block = fb.table_block(2)
    block.refer(A, fb.strings(ByteColumn.of([b"x", None])))
    tables = column_of(block)
    reads: list[Callable[[], Any]] = [
        lambda: tables.string(A),
        lambda: tables.table(A),
        lambda: tables[1].string(A),
    ]
    for one in reads:
        with pytest.raises(FormatError, match=r"^a file: required field Thing\.a is missing"):
            one()
    with pytest.raises(FormatError, match=r"Thing\.e"):
        tables.items(E, "<u4")


@pytest.mark.parametrize(
    "words",
    [[b"ok", b"\xff"], [b"\xc3", b"\xa9"], ["é".encode(), b"\xc3"], [b"x" * 5_000_000, b"\x80"]],
    ids=["invalid", "split-between-rows", "cut", "in-a-later-block"],
)
def test_strings_must_be_utf8(words: list[bytes]) -> None:
    block = fb.table_block(len(words))
    block.refer(A, fb.strings(ByteColumn.of(words)))
    block.refer(B, fb.vectors(fb.strings(ByteColumn.of(words)), np.ones(len(words), np.int64)))
    tables = column_of(block)
    for one in (lambda: tables.string(A), lambda: tables.strings(B)):
        with pytest.raises(FormatError, match=r"Thing\.[ab]: not UTF-8"):
            one()
    with pytest.raises(FormatError, match="not UTF-8"):
        tables[len(words) - 1].string(A)


def hostile(*fields: bytes, slots: int = 2, vtable: bytes | None = None) -> bytes:
    """Root at 20, its vtable at 8 with slots at 4, 8 ...; what follows the fields is at will."""
    offsets = [4 + 4 * i for i in range(slots)]
    vtable = vtable or struct.pack(f"<{slots + 2}H", 4 + 2 * slots, 4 + 4 * slots, *offsets)
    return struct.pack("<I4s12sI", 20, b"Ichk", vtable, 12) + b"".join(fields)


u32 = struct.Struct("<I").pack
HOSTILE = {
    "empty": b"",
    "root-outside": u32(500),
    "root-huge": u32(2**32 - 1) + bytes(60),
    "vtable-before-file": u32(8) + b"Ichk" + u32(100) + bytes(20),
    "vtable-after-file": u32(8) + b"Ichk" + struct.pack("<i", -100) + bytes(20),
    "vtable-too-short": hostile(vtable=u32(2)),
    "vtable-too-long": hostile(vtable=u32(60000)),
    "field-outside": hostile(vtable=struct.pack("<4H", 8, 12, 60000, 60000)),
    "offset-outside": hostile(u32(2**31), u32(2**31)),
    "offset-huge": hostile(u32(2**32 - 1), u32(2**32 - 1)),
    "count-of-4-billion": hostile(u32(4), u32(2**32 - 1), bytes(50)),
    "count-one-too-many": hostile(u32(4), u32(3), bytes(2)),
    "entries-outside": hostile(u32(4), u32(2), u32(10**6), u32(10**6)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_buffers_are_format_errors(case: str) -> None:
    body = HOSTILE[case]
    reads: list[Callable[[Table], Any]] = [
        lambda root: root.tables(A).scalar(A, "<u8"),
        lambda root: root.items(A, "<u8"),
        lambda root: root.strings(A),
        lambda root: (root.blob(A), root.tables(A)),
        lambda root: (root.struct(A, 12), root.scalar(A, "<u8"), root.table(A).table(A)),
    ]
    for one in reads:
        with pytest.raises(FormatError, match="bad file: ") as info:
            one(read_root(body, where="bad file"))
        assert info.value.kind == ErrorKind.INVALID_FILE_FORMAT


@pytest.mark.parametrize("back", [10**6, -(10**6), 2**31 - 1, -(2**31)])
def test_tables_with_hostile_vtables(back: int) -> None:
    table = struct.pack("<i", back) + bytes(9)
    body = hostile(u32(8), u32(16), u32(2), u32(8), u32(4), table)
    root = read_root(body, where="bad file")
    for one in (lambda: root.tables(A), lambda: root.table(B).table(A)):
        with pytest.raises(FormatError, match="is outside"):
            one()


def shared_rows(n: int, count: int) -> Tables:
    """`n` tables which share one vector of `count` numbers, too many for the file's size."""
    block = fb.table_block(n)
    numbers = fb.items(np.zeros((1, count), np.uint32))
    block.refer(A, numbers, rows=np.zeros(n, np.int64))
    entries = fb.strings(ByteColumn.of([b"same"] * count))
    block.refer(B, fb.vectors(entries), rows=np.zeros(n, np.int64))
    block.refer(C, fb.blobs(ByteColumn.of([bytes(4 * count)])), rows=np.zeros(n, np.int64))
    return column_of(block)


def test_shared_vectors_cannot_claim_more_than_the_file_has() -> None:
    # 30,000 rows of 30,000 numbers would take 3.6 GB; the file has 1.2 MB.
    tables = shared_rows(30_000, 30_000)
    for one in (
        lambda: tables.items(A, "<u4"),
        lambda: tables.tables(B),
        lambda: tables.strings(B),
        lambda: tables.blob(C),
    ):
        with pytest.raises(FormatError, match=r"Thing\.[abc].* claim more"):
            one()


def test_a_little_sharing_is_fine() -> None:
    tables = shared_rows(10, 20)
    assert tables.items(A, "<u4")[1].tolist() == [20] * 10
    assert tables.strings(B)[1].tolist() == [20] * 10
    assert tables.blob(C).size.tolist() == [80] * 10
