from __future__ import annotations

import numpy as np
import pytest

from frazil.format.columns import ByteColumn, fixed_rows, gather_bytes, scatter_bytes

VALUES = [b"a", None, b"", b"xyz", bytes(range(256)) * 3, b"a", None]


def rows(column: ByteColumn) -> list[bytes | None]:
    return [column[i] for i in range(len(column))]


def test_values_come_back() -> None:
    assert rows(ByteColumn.of(VALUES)) == VALUES


def test_absent_rows() -> None:
    column = ByteColumn.absent(3)
    assert rows(column) == [None] * 3
    assert len(column.heap) == 0


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (slice(1, 4), [None, b"", b"xyz"]),
        (np.array([3, 0, 3]), [b"xyz", b"a", b"xyz"]),
        (np.arange(7) % 3 == 1, [None, VALUES[4]]),
    ],
)
def test_take_shares_the_heap(selection: object, expected: list[bytes | None]) -> None:
    column = ByteColumn.of(VALUES)
    taken = column.take(selection)  # type: ignore[arg-type]
    assert rows(taken) == expected
    assert taken.heap is column.heap


def test_concat_of_parts_of_one_heap_shares_it() -> None:
    column = ByteColumn.of(VALUES)
    joined = ByteColumn.concat([column.take(slice(3, None)), column.take(slice(0, 3))])
    assert rows(joined) == VALUES[3:] + VALUES[:3]
    assert joined.heap is column.heap


def test_concat_of_different_heaps_keeps_only_their_rows() -> None:
    column = ByteColumn.of([b"0123456789", b"ab", None])
    joined = ByteColumn.concat([column.take(slice(1, None)), ByteColumn.of([b"cd"])])
    assert rows(joined) == [b"ab", None, b"cd"]
    assert joined.heap.tobytes() == b"abcd"
    assert len(ByteColumn.concat([])) == 0


def test_compact_orders_the_heap_by_row() -> None:
    column = ByteColumn.of(VALUES).take(np.array([3, 1, 0, 3]))
    compact = column.compact()
    assert rows(compact) == [b"xyz", None, b"a", b"xyz"]
    assert compact.heap.tobytes() == b"xyzaxyz"
    assert compact.compact().heap is compact.heap


def test_equality_is_of_rows_not_of_memory() -> None:
    column = ByteColumn.of(VALUES)
    assert column.take(np.array([0, 5])).equals(ByteColumn.of([b"a", b"a"]))
    assert not ByteColumn.of([b"ab", b"c"]).equals(ByteColumn.of([b"a", b"bc"]))
    assert not ByteColumn.of([b""]).equals(ByteColumn.of([None]))
    assert not ByteColumn.of([b"a"]).equals(ByteColumn.of([b"b"]))


# One case per way of copying: contiguous, equal sizes, short rows, and many long rows.
COPIES = {
    "contiguous": (np.array([3, 5, 9]), np.array([2, 4, 1])),
    "contiguous-but-absent": (np.array([3, 0, 5]), np.array([2, -1, 4])),
    "equal-sizes": (np.array([7, 1, 90]), np.array([5, 5, 5])),
    "overlapping": (np.array([7, 8, 9]), np.array([5, 6, 7])),
    "short": (np.array([50, 3, 90, 0]), np.array([2, 0, 9, -1])),
    "long": (np.array([5000, 0, 900]), np.array([3000, 700, 1])),
    "one-longer-than-a-block": (
        np.concatenate([np.arange(20_000) % 97, [7], np.arange(20_000) % 89]),
        np.concatenate([np.arange(20_000) % 5, [1_200_000], np.arange(20_000) % 3]),
    ),
    "none": (np.array([], np.int64), np.array([], np.int64)),
}


@pytest.mark.parametrize("case", COPIES)
def test_gather_and_scatter_agree_with_slices(case: str) -> None:
    start, size = COPIES[case]
    heap = np.random.default_rng(0).integers(0, 256, 1_300_000, dtype=np.uint8)
    expected = b"".join(heap[a : a + max(n, 0)].tobytes() for a, n in zip(start, size, strict=True))
    assert gather_bytes(heap, start, size).tobytes() == expected

    room = np.maximum(size, 0) + 3
    at = np.cumsum(room) - room
    out = np.zeros(int(room.sum()), np.uint8)
    scatter_bytes(out, at, ByteColumn(heap, start, size))
    assert gather_bytes(out, at, size).tobytes() == expected
    assert int((out != 0).sum()) == np.count_nonzero(np.frombuffer(expected, np.uint8))


def test_fixed_rows_of_no_rows_or_no_width() -> None:
    heap = np.arange(5, dtype=np.uint8)
    assert fixed_rows(heap, np.array([], np.int64), 12).shape == (0, 12)
    assert fixed_rows(heap, np.array([1, 2]), 0).shape == (2, 0)
    assert fixed_rows(heap, np.array([3, 0]), 2).tolist() == [[3, 4], [0, 1]]
