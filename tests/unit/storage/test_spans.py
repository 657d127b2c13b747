"""Which requests read many ranges of one object."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from frazil.storage.spans import cut, pieces_of, spans_of

edges = st.integers(0, 300)
ranges_ = st.lists(st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair))), max_size=12)


def test_near_ranges_go_together() -> None:
    assert spans_of([(50, 60), (0, 10), (5, 12), (22, 22), (13, 20)], gap=2) == [(0, 20), (50, 60)]
    assert spans_of([(50, 60), (0, 10)], gap=40) == [(0, 60)]
    assert spans_of([(0, 100), (10, 20), (30, 40)], gap=0) == [(0, 100)]
    assert spans_of([(3, 3)]) == []


def test_pieces_are_nearly_equal() -> None:
    assert pieces_of([(0, 10), (20, 45)], 10) == [(0, 10), (20, 28), (28, 36), (36, 45)]


@given(ranges_, st.integers(0, 50), st.integers(1, 100))
def test_pieces_hold_all_ranges(ranges: list[tuple[int, int]], gap: int, size: int) -> None:
    data = bytes(i % 251 for i in range(300))
    spans = spans_of(ranges, gap=gap)
    assert all(after[0] - before[1] > gap for before, after in pairwise(spans))
    pieces = pieces_of(spans, size)
    assert all(0 < end - start <= size for start, end in pieces)
    read = [(start, data[start:end]) for start, end in pieces]
    assert [cut(read, start, end) for start, end in ranges] == [data[a:b] for a, b in ranges]
