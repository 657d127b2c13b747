"""The search for the first bad commit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.model.bisection import Search


@given(st.integers(1, 300), st.data())
def test_finds_the_first_bad_one(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, count - 1))
    search, looked = Search(-1, count - 1), 0
    while (number := search.next()) is not None:
        search = search.judged(number, number < first)
        looked += 1
    assert search.suspects == [first]
    assert looked <= count.bit_length()


@given(st.integers(1, 60), st.data())
def test_what_cannot_be_judged_stays_suspect(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, count - 1))
    silent = data.draw(st.sets(st.integers(0, count - 1)))
    search = Search(-1, count - 1)
    while (number := search.next()) is not None:
        search = search.judged(number, None if number in silent else number < first)
    assert first in search.suspects
    assert all(i in silent for i in search.suspects[:-1])


def test_looks_near_the_middle() -> None:
    assert Search(-1, 9).next() == 4
    assert Search(-1, 9, frozenset({4})).next() == 3
    assert Search(3, 4).next() is None


@pytest.mark.parametrize("good", [True, False])
def test_a_judgement_halves_the_suspects(good: bool) -> None:
    assert len(Search(-1, 9).judged(4, good).suspects) == 5
