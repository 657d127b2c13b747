"""Which parts of manifests snapshots have, as differences."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frazil.model.holdings import PART, Holdings, parents_first

histories = st.lists(st.frozensets(st.integers(0, 6), max_size=5), min_size=1, max_size=8)


def key(number: int) -> bytes:
    return bytes(12) + bytes([number]) * 8


@given(histories)
def test_what_was_put_in_comes_out(history: list[frozenset[int]]) -> None:
    holdings = Holdings()
    order: list[int] = []
    for held in history:
        new = holdings.add(np.array(sorted(map(key, held)), f"S{PART}"))
        order += [raw[12] for raw in new]
    seen = [number for held in history for number in held]
    assert sorted(order) == sorted(set(seen))
    assert len(holdings) == len(order)
    assert holdings.nodes().tolist() == [[number] * 8 for number in order]
    where = {n: [i for i, held in enumerate(history) if n in held] for n in order}
    assert holdings.first().tolist() == [where[n][0] for n in order]
    assert holdings.last().tolist() == [where[n][-1] for n in order]
    sums = np.array([[10**n, 1] for n in order], np.int64).reshape(-1, 2)
    totals = [[sum(10**n for n in held), len(held)] for held in history]
    assert holdings.totals(sums).tolist() == totals
    for rank, held in enumerate(history):
        assert {order[part] for part in holdings.of(rank).tolist()} == held


@given(st.lists(st.tuples(st.integers(-1, 20), st.integers(0, 5)), max_size=20))
def test_parents_come_first(rows: list[tuple[int, int]]) -> None:
    parent = np.array([min(p, i - 1) for i, (p, _) in enumerate(rows)], np.int64)
    when = np.array([t for _, t in rows], np.int64)
    shuffle = np.random.default_rng(len(rows)).permutation(len(rows))
    place = np.empty(len(rows) + 1, np.int64)
    place[shuffle], place[-1] = np.arange(len(rows)), -1
    order = parents_first(place[parent[shuffle]], when[shuffle])
    assert sorted(order) == list(range(len(rows)))
    at = {row: i for i, row in enumerate(order)}
    for row, above in enumerate(place[parent[shuffle]].tolist()):
        assert above < 0 or at[above] < at[row]


def test_time_decides_between_lines_and_circles_end() -> None:
    none = np.full(3, -1)
    assert parents_first(none, np.array([3, 1, 2])) == [1, 2, 0]
    assert sorted(parents_first(np.array([1, 0]), np.array([0, 0]))) == [0, 1]
