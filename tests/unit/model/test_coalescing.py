"""Few reads for many ranges: each range in one of them, none longer than need be."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from frazil.model.coalescing import coalesce

ranges = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 200), st.integers(1, 30)), min_size=1, max_size=40
)


def columns(items: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    objects = np.array([[number] * 12 for number, _, _ in items], np.uint8)
    return (
        objects,
        np.array([offset for _, offset, _ in items], np.uint64),
        np.array([length for _, _, length in items], np.uint64),
    )


@given(ranges, st.integers(0, 20), st.integers(1, 100))
@example([(0, 75, 2), (0, 75, 1), (0, 77, 1)], 0, 3)
@example([(0, 0, 3), (0, 0, 1), (0, 2, 1), (1, 0, 9), (1, 2, 1), (1, 9, 1)], 0, 1)
def test_every_range_is_in_one_read(
    items: list[tuple[int, int, int]], gap: int, limit: int
) -> None:
    reads = coalesce(*columns(items), gap=gap, limit=limit)
    assert sorted(reads.order.tolist()) == list(range(len(items)))
    assert (reads.first[0], reads.first[-1]) == (0, len(items))
    before = None
    for i, (start, end) in enumerate(zip(reads.start.tolist(), reads.end.tolist(), strict=True)):
        inside = [items[k] for k in reads.order[reads.first[i] : reads.first[i + 1]]]
        assert inside
        number = inside[0][0]
        assert {each for each, _, _ in inside} == {number}
        assert start == min(offset for _, offset, _ in inside)
        assert end == max(offset + length for _, offset, length in inside)
        assert end - start <= max(limit, inside[0][2])
        covered = sorted(offset for _, offset, _ in inside)
        reached = start
        for offset in covered:
            assert offset - reached <= gap
            reached = max([reached, *(o + n for _, o, n in inside if o == offset)])
        # Nothing more would have fitted into the read before.
        if before is not None and before[0] == number and start - before[2] <= gap:
            reached = inside[0][1] + inside[0][2]
            assert reached > before[2]
            assert reached - before[1] > limit
        before = number, start, end


def test_a_range_beyond_all_numbers_is_left_to_the_storage() -> None:
    last = 2**64 - 1
    reads = coalesce(*columns([(1, last - 5, 10), (1, 0, 10)]), gap=0, limit=100)
    assert list(zip(reads.start.tolist(), reads.end.tolist(), strict=True)) == [
        (0, 10),
        (last - 5, last),
    ]
