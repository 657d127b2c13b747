"""Where rows go, and which chunks stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.model.insertion import place, plan_chunks


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_rows_that_overwrite_come_between_and_follow() -> None:
    # Stored a b d, new: c, b, e. In order: a b c d e.
    placement = place(ints(-1, 1, -1), ints(0, 1, 3, 2, 4), stored=3)
    assert placement.old.tolist() == [0, 1, -1, 2, -1]
    assert placement.new.tolist() == [-1, 1, 0, -1, 2]
    assert (placement.overwritten, placement.inserted, placement.appended) == (1, 1, 1)
    assert len(placement) == 5


@pytest.mark.parametrize(
    ("order", "size", "sources", "written"),
    [
        pytest.param([0, 1, 2, 3, 4], 2, [0, 1, -1], [0, 0, 1], id="appended"),
        pytest.param([4, 0, 1, 2, 3], 2, [-1, -1, -1], [1, 1, 1], id="one before all"),
        pytest.param([4, 5, 0, 1, 2, 3], 2, [-1, 0, 1], [1, 0, 0], id="a chunk before all"),
        pytest.param([0, 4, 5, 1, 2, 3], 2, [0, 0, 1], [1, 1, 0], id="a chunk inside of one"),
        pytest.param([0, 1, 4, 2, 3], 2, [0, -1, -1], [0, 1, 1], id="one in between"),
        pytest.param([0, 1, 2, 3], 8, [0], [0], id="nothing new"),
        pytest.param([4, 5, 6, 7, 0, 1, 2, 3], 2, [-1, -1, 0, 1], [1, 1, 0, 0], id="two chunks"),
    ],
)
def test_chunks_whose_rows_stay_together(
    order: list[int], size: int, sources: list[int], written: list[int]
) -> None:
    matches = np.full(len(order) - 4, -1, np.int64)
    plan = plan_chunks(place(matches, ints(*order), stored=4), size)
    assert plan.sources.tolist() == sources
    assert plan.written.tolist() == [bool(w) for w in written]
    assert plan.moves == any(s not in (-1, q) for q, s in enumerate(sources))


def test_chunks_that_are_overwritten_as_a_whole_need_no_source() -> None:
    placement = place(ints(0, 1, 2), ints(0, 1, 2, 3), stored=4)
    plan = plan_chunks(placement, 2)
    assert plan.sources.tolist() == [-1, 1]
    assert plan.written.tolist() == [True, True]
    assert not plan.moves
