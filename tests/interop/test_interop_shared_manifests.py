"""The real library and manifests of many arrays: it reads, changes, merges and collects them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, SPECS
from tests.interop.place import Place

COUNT = 12


@pytest.fixture(params=SPECS)
def shared(place: Place, request: pytest.FixtureRequest) -> Place:
    """A dozen arrays in one manifest, of chunks in and outside of it, then some more commits."""
    repo = place.create(FRAZIL, request.param)
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    for i in range(COUNT):
        size = 4 if i % 2 else 300
        root.create_array(
            f"a{i:02}", shape=(6 * size,), chunks=(size,), dtype="i4", compressors=None
        )
        root[f"a{i:02}"][: 3 * size] = i
    session.commit("all")
    assert len(place.files("manifests")) == 1
    for i in range(3):
        append(place, FRAZIL, i, 3)
    return place


def append(place: Place, library: Any, i: int, chunk: int) -> None:
    session = place.open(library).writable_session("main")
    array = zarr.open_array(session.store, path=f"a{i:02}")
    size = array.chunks[0]
    array[chunk * size : (chunk + 1) * size] = 100 + i
    session.commit(f"{i} {chunk}")


def check_values(place: Place, expected: dict[int, int]) -> None:
    """expected: how many chunks of each array were appended."""
    for library in (REAL, FRAZIL):
        store = place.open(library).readonly_session("main").store
        for i in range(COUNT):
            array = zarr.open_array(store, path=f"a{i:02}", mode="r")
            size = array.chunks[0]
            values = [i] * 3 + [100 + i] * expected.get(i, 0)
            values += [0] * (6 - len(values))
            np.testing.assert_array_equal(array[:], np.repeat(values, size))


def test_it_reads_and_changes_them(shared: Place) -> None:
    check_values(shared, {0: 1, 1: 1, 2: 1})
    append(shared, REAL, 1, 4)
    append(shared, REAL, 5, 3)
    append(shared, FRAZIL, 5, 4)
    append(shared, FRAZIL, 0, 4)
    check_values(shared, {0: 2, 1: 2, 2: 1, 5: 2})
    shared.check()


@pytest.mark.parametrize("library", [REAL, FRAZIL], ids=str)
def test_either_collects_what_is_left(shared: Place, library: Any) -> None:
    repo = shared.open(FRAZIL)
    session = repo.writable_session("main")
    for i in (2, 4, 6):
        zarr.open_array(session.store, path=f"a{i:02}")[:] = i
    session.commit("overwritten")
    later = datetime.now(UTC) + timedelta(days=1)
    opened = shared.open(library)
    opened.expire_snapshots(later)
    shared.open(library).garbage_collect(later)
    store = shared.open(REAL).readonly_session("main").store
    for i in (2, 4, 6):
        assert (zarr.open_array(store, path=f"a{i:02}", mode="r")[:] == i).all()
    assert (zarr.open_array(store, path="a08", mode="r")[:900] == 8).all()
    shared.check()


def test_it_rebases_over_them(shared: Place) -> None:
    session = shared.open(REAL).writable_session("main")
    array = zarr.open_array(session.store, path="a07")
    array[3 * 4 : 4 * 4] = 107
    append(shared, FRAZIL, 8, 3)
    append(shared, FRAZIL, 7, 4)
    session.commit("late", rebase_with=REAL.module.BasicConflictSolver())
    for library in (REAL, FRAZIL):
        store = shared.open(library).readonly_session("main").store
        assert zarr.open_array(store, path="a07", mode="r")[::4].tolist() == [7, 7, 7, 107, 107, 0]
    shared.check()


def test_many_appends_by_both(shared: Place) -> None:
    for chunk in (3, 4, 5):
        for i in (9, 10):
            append(shared, REAL if (chunk + i) % 2 else FRAZIL, i, chunk)
    check_values(shared, {0: 1, 1: 1, 2: 1, 9: 3, 10: 3})
    shared.check()
