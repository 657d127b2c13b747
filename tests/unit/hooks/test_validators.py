"""What the validators find in trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from frazil.hooks import missing_values, schema
from frazil.hooks.event import Callback
from frazil.hooks.validators.missing import _regions


@pytest.fixture
def repo() -> Repository:
    repo = Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "make") as tree:
        root = zarr.open_group(tree.store, mode="a", attributes={"title": "Weather"})
        t2m = root.create_array(
            "t2m",
            shape=(4, 6),
            chunks=(1, 3),
            dtype="f4",
            fill_value=0,
            dimension_names=("time", "x"),
            attributes={"units": "K"},
        )
        t2m[:2] = 280
        root.create_array("ocean/salt", data=np.arange(5, dtype="i2"))
    return repo


def found(repo: Repository, validator: Callback) -> list[str]:
    """What it finds in main."""
    repo.hooks.before_commit(validator)
    texts = [f"{one.path}: {one.message}" for one in repo.hooks.run()]
    repo.hooks.remove(validator)
    return texts


def test_a_schema_that_holds(repo: Repository) -> None:
    rules: Any = {
        "t2m": {
            "dimensions": ["time", "x"],
            "dtype": "float32",
            "attributes": ["units"],
            "shape": [None, 6],
        },
        "/ocean/*": {"dtype": "int16"},
        "/nothing/*": {"dtype": "int8"},
    }
    groups: Any = {"/": {"attributes": {"title": "Weather"}}, "ocean": {}}
    assert found(repo, schema(arrays=rules, groups=groups)) == []


def test_a_schema_that_does_not(repo: Repository) -> None:
    rules: Any = {
        "t2m": {
            "dimensions": ["time", "y"],
            "dtype": "float64",
            "attributes": {"units": "degC", "long_name": "x"},
            "shape": [4],
        },
        "*/salt": {"dimensions": ["x"]},
        "rain": {},
    }
    assert found(repo, schema(arrays=rules, groups={"t2m": {}})) == [
        "/t2m: 'units' is 'K', not 'degC'",
        "/t2m: the attribute 'long_name' is missing",
        "/t2m: its dimensions are time, x, not time, y",
        "/t2m: its type is float32, not float64",
        "/t2m: its shape is [4, 6], not [4]",
        "/ocean/salt: its dimensions are not named, not x",
        "/rain: the array is missing",
        "/t2m: the group is missing",
    ]
    empty = Repository.create(frazil.in_memory_storage())
    assert found(empty, schema(groups={"/": {}})) == ["/: the group is missing"]


def test_only_what_is_written_is_counted(repo: Repository) -> None:
    seen: list[str] = []
    validator = missing_values(arrays=["t2m"], at_most=0.4)

    @repo.hooks.after_commit
    def look(event: Any) -> None:
        seen.extend(one.message for one in validator(event))

    session = repo.writable_session("main")
    session["t2m"][2, 3:5] = np.nan  # 2 of a chunk of 3
    session["ocean/salt"][:] = 0
    session.commit("x")
    assert seen == ["2 of 3 values that are written are missing, 66.67%, and at most 40.00% may be"]
    assert found(repo, missing_values(at_most=0.09)) == []
    assert found(repo, missing_values(arrays="/t2m", at_most=0.08)) == [
        "/t2m: 2 of 24 values that are written are missing, 8.33%, and at most 8.00% may be"
    ]


def test_fill_values_are_missing(repo: Repository) -> None:
    with repo.edit("main", "x") as tree:
        tree["ocean/salt"].attrs["_FillValue"] = 3
        tree["ocean/salt"].attrs["missing_value"] = -99999
        tree["hot"] = np.array([1e20, 1, np.nan, 4], "f4")
        tree["hot"].attrs["_FillValue"] = "AAAAgB2vFUQ="  # as xarray writes 1e20
        tree["cold"] = np.ones(2)
        tree["cold"].attrs["_FillValue"] = "none"
        tree["when"] = np.array(["NaT", "2020-01-01"], "M8[s]")
        tree["one"] = np.nan
        tree["names"] = np.array(["a", "b"])
    assert found(repo, missing_values()) == [
        "/hot: 2 of 4 values that are written are missing, 50.00%, and at most 0.00% may be",
        "/ocean/salt: 1 of 5 values that are written are missing, 20.00%, and at most 0.00% may be",
        "/one: 1 of 1 values that are written are missing, 100.00%, and at most 0.00% may be",
        "/when: 1 of 2 values that are written are missing, 50.00%, and at most 0.00% may be",
    ]


class Grid:
    """An array's sizes."""

    shards = None

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        self.shape, self.chunks = shape, chunks


@pytest.mark.parametrize("written", [None, [[0, 0], [0, 1], [2, 1], [9, 9], [3, 3], [4, 3]]])
def test_regions_cover_the_chunks_and_nothing_twice(written: list[list[int]] | None) -> None:
    grid = Grid((9, 7), (2, 2))
    chunks = None if written is None else np.array(written, np.uint32)
    covered = np.zeros(grid.shape, int)
    regions = list(_regions(grid, chunks))
    for region in regions:
        covered[region] += 1
    expected = np.zeros(grid.shape, int)
    for row, column in written or [[i, j] for i in range(5) for j in range(4)]:
        expected[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    assert (covered == expected).all()
    assert len(regions) <= 5
