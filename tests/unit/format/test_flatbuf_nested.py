"""Small files are read back as those written in columns are, and lie where they have to."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.format import flatbuf_nested as nested
from frazil.format.flatbuf import Slot, read_root
from frazil.format.flatbuf_nested import OFFSET, Record

LONG, COUNT, TEXT, IDS, ROWS, CHILD, ID, KIND, NONE = (Slot(i, f"slot{i}") for i in range(9))

PART = Record((LONG, "Q"), (TEXT, OFFSET), (ID, "3s"))
ROOT = Record(
    (LONG, "Q"),
    (COUNT, "I"),
    *((slot, OFFSET) for slot in (TEXT, IDS, ROWS, CHILD, NONE)),
    (ID, "5s"),
    (KIND, "B"),
)


@pytest.mark.parametrize("size", range(9))
@pytest.mark.parametrize("count", range(4))
def test_a_file_is_read_back(size: int, count: int) -> None:
    word, ids = b"x" * size, [bytes([65 + i]) * 4 for i in range(count)]
    parts = [PART.pack(2**64 - 1 - i, nested.text(word), b"abc") for i in range(count)]
    packed = ROOT.pack(
        2**63,
        7,
        nested.text(word),
        nested.vector(b"".join(ids), count),
        nested.tables(parts),
        PART.pack(5, None, b"xyz"),
        None,
        b"12345",
        255,
    )
    body = nested.file(packed)
    root = read_root(body, where="test")
    assert body[4:8] == b"Ichk"
    assert len(body) % 8 == 0
    assert root.scalar(LONG, "<u8") == 2**63
    assert root.scalar(COUNT, "<u4") == 7
    assert root.string(TEXT) == word.decode()
    assert root.items(IDS, "V4").tolist() == ids
    rows = root.tables(ROWS)
    assert [rows[i].scalar(LONG, "<u8") for i in range(count)] == [
        2**64 - 1 - i for i in range(count)
    ]
    assert [rows[i].string(TEXT) for i in range(count)] == [word.decode()] * count
    child = root.table(CHILD)
    assert (child.scalar(LONG, "<u8"), child.struct(ID, 3), child.has(TEXT)) == (5, b"xyz", False)
    assert not root.has(NONE)
    assert (root.struct(ID, 5), root.scalar(KIND, "u1")) == (b"12345", 255)
    # Other readers refuse what is not aligned: numbers of 8 bytes come first in a table.
    assert {int(at) % 8 for at in rows.at} <= {4}


def test_strings_end_with_a_nul() -> None:
    for size in range(10):
        data, _ = nested.text(b"x" * size)
        assert data[: 5 + size] == size.to_bytes(4, "little") + b"x" * size + b"\0"
        assert len(data) % 8 == 0


def test_vectors_without_items() -> None:
    both = Record((IDS, OFFSET), (ROWS, OFFSET)).pack(nested.NO_ITEMS, nested.NO_LONG_ITEMS)
    root = read_root(nested.file(both), where="test")
    assert len(root.items(IDS, "V4")) == len(root.items(ROWS, "V16")) == 0
    places = np.frombuffer(both[0], "<u4")[-4:].tolist()
    assert places == [0, 0, 0, 0]
    # What would be the first item lies at a multiple of 8.
    assert (nested.NO_LONG_ITEMS[1] + 4) % 8 == 0


def test_a_table_without_fields() -> None:
    root = read_root(nested.file(Record().pack()), where="test")
    assert not root.has(LONG)
