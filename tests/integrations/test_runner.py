"""The steps of a plan on threads, processes and a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from frazil.runner import run


@pytest.fixture(params=["threads", "executor", "cluster"])
def place(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Where to run."""
    if request.param == "threads":
        yield None
    elif request.param == "executor":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        yield request.getfixturevalue("client")


def square(number: int) -> int:
    return number * number


def leave_a_mark(folder: Path, name: str) -> str:
    (folder / f"{name}-{os.urandom(4).hex()}").touch()
    if name == "bad":
        raise LookupError("the bad one")
    return name


def test_results_come_in_order(place: Any) -> None:
    assert list(run(square, range(20), on=place, ahead=3)) == [n * n for n in range(20)]
    assert list(run(square, [], on=place)) == []


def test_equal_steps_are_all_done(place: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert list(run(partial(leave_a_mark, tmp_path), ["a"] * 3, on=place)) == ["a"] * 3
    assert len(list(tmp_path.iterdir())) == 6


def test_the_first_error_ends_it(place: Any, tmp_path: Path) -> None:
    plan = run(
        partial(leave_a_mark, tmp_path), ["a", "bad", *map(str, range(50))], on=place, ahead=2
    )
    with pytest.raises(LookupError, match="the bad one"):
        list(plan)
    assert len(list(tmp_path.iterdir())) < 10


def test_no_more_steps_than_allowed_are_begun(place: Any) -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    plan = run(square, items(), on=place, ahead=5)
    assert [next(plan) for _ in range(3)] == [0, 1, 4]
    assert len(asked) <= 8
    plan.close()  # type: ignore[attr-defined]
