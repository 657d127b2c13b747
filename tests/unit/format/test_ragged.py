"""Runs of items, and rows that go in between others: few of them and many."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.format.ragged import inserted, run_items

ROW = np.dtype([("number", "<i8"), ("id", "V4")])


@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 100])
def test_the_items_of_runs(n: int) -> None:
    random = np.random.default_rng(n)
    start, count = random.integers(0, 50, n), random.integers(-1, 4, n)
    expected = [
        s + i for s, c in zip(start.tolist(), count.tolist(), strict=True) for i in range(c)
    ]
    assert run_items(start, count).tolist() == expected


@pytest.mark.parametrize("new", [0, 1, 3, 16, 17, 100])
@pytest.mark.parametrize("old", [0, 1, 50])
def test_rows_are_inserted(old: int, new: int) -> None:
    random = np.random.default_rng(new)
    rows = np.zeros(old, ROW)
    rows["number"] = np.arange(old)
    more = np.zeros(new, ROW)
    more["number"] = -np.arange(1, new + 1)
    at = np.sort(random.integers(0, old + 1, new))
    merged = inserted(rows, more, at.tolist())
    assert merged["number"].tolist() == np.insert(rows["number"], at, more["number"]).tolist()
