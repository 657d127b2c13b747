"""The real library reads merged, picked, reverted and squashed commits, and goes on from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from tests.interop.libraries import FRAZIL, REAL, Library, every_spec, needs_spec_2
from tests.interop.place import Place


def build(place: Place, library: Library, spec: int) -> None:
    repo = place.create(library, spec)
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    root.create_array("a", data=np.arange(100), chunks=10)
    root.create_array("g/inner", data=np.arange(6), chunks=2)
    repo.create_branch("dev", session.commit("base"))


def edit(repo: Any, branch: str, message: str, change: Any) -> str:
    session = repo.writable_session(branch)
    change(zarr.open_group(session.store))
    return session.commit(message)


def write(first: int, last: int, value: int, **attributes: Any) -> Any:
    def change(root: zarr.Group) -> None:
        root["a"][first:last] = value
        root["a"].update_attributes(attributes)

    return change


def values(repo: Any, name: str = "a", branch: str = "main") -> np.ndarray:
    root = zarr.open_group(repo.readonly_session(branch).store, mode="r")
    return np.asarray(root[name])


@every_spec
@pytest.mark.parametrize("first", [REAL, FRAZIL], ids=str)
def test_merges(place: Place, spec: int, first: Library) -> None:
    build(place, first, spec)

    def dev(root: zarr.Group) -> None:
        write(0, 20, -1, dev=1)(root)
        root.create_array("new/big", data=np.arange(5000), chunks=1000)
        root["g/inner"].append(np.full(4, 7))

    real, ours = place.open(REAL), place.open(FRAZIL)
    edit(real, "dev", "on dev", dev)
    edit(ours, "main", "on main", write(50, 60, -2, main=1))
    edit(real, "main", "appended", lambda root: root["g/inner"].append(np.full(2, 9)))
    id_ = ours.merge("dev", "main", solver=frazil.MetadataMergeSolver(appends="order"))
    seen = place.open(REAL)
    assert values(seen, "g/inner").tolist() == [*range(6), 9, 9, 7, 7, 7, 7]
    assert values(seen, "new/big").tolist() == list(range(5000))
    expected = np.arange(100)
    expected[:20], expected[50:60] = -1, -2
    assert np.array_equal(values(seen), expected)
    info = next(iter(seen.ancestry(branch="main")))
    assert (info.id, info.metadata["frazil"]) == (
        id_,
        {"merge_parents": [seen.lookup_branch("dev")]},
    )
    edit(seen, "main", "real again", write(90, 100, -3))
    edit(seen, "dev", "real again", write(70, 80, -4))
    place.open(FRAZIL).merge("dev", "main")
    assert values(place.open(REAL))[[0, 50, 70, 90]].tolist() == [-1, -2, -4, -3]
    place.check()


@every_spec
def test_a_branch_without_commits_of_its_own(place: Place, spec: int) -> None:
    build(place, REAL, spec)
    edit(place.open(REAL), "dev", "one", write(0, 20, -1))
    edit(place.open(REAL), "dev", "two", write(30, 40, -2, k=1))
    place.open(FRAZIL).merge("dev", "main")
    edit(place.open(REAL), "main", "three", write(50, 60, -3))
    place.open(FRAZIL).create_branch("ff", place.open(FRAZIL).lookup_branch("dev"))
    place.open(FRAZIL).merge("main", "ff", fast_forward=True)
    assert values(place.open(REAL), branch="ff")[[0, 30, 50]].tolist() == [-1, -2, -3]
    place.check()


@every_spec
def test_picked_and_reverted_commits(place: Place, spec: int) -> None:
    build(place, REAL, spec)
    real, ours = place.open(REAL), place.open(FRAZIL)
    edit(real, "dev", "not this", write(0, 20, -1))

    def more(root: zarr.Group) -> None:
        write(30, 40, -2, k=1)(root)
        root.create_array("new", data=np.arange(3), chunks=1)
        del root["g"]

    picked = edit(real, "dev", "this", more)
    edit(real, "main", "meanwhile", write(80, 90, -3))
    id_ = ours.cherry_pick(picked, "main")
    assert values(place.open(REAL))[[0, 30, 80]].tolist() == [0, -2, -3]
    assert values(place.open(REAL), "new").tolist() == [0, 1, 2]
    edit(place.open(REAL), "main", "on top", write(50, 60, -4))
    ours.revert(id_, "main")
    assert values(place.open(REAL))[[0, 30, 50, 80]].tolist() == [0, 30, -4, -3]
    assert values(place.open(REAL), "g/inner").tolist() == list(range(6))
    edit(place.open(REAL), "main", "and on", write(30, 40, -5))
    place.check()


@every_spec
@pytest.mark.parametrize("first", [REAL, FRAZIL], ids=str)
def test_squashed_commits(place: Place, spec: int, first: Library) -> None:
    build(place, first, spec)
    base = place.open(FRAZIL).lookup_branch("main")
    for i, library in enumerate((REAL, FRAZIL, REAL)):
        edit(place.open(library), "main", f"{i}", write(10 * i, 10 * i + 10, -i - 1, k=i))
    edit(
        place.open(REAL),
        "main",
        "new",
        lambda root: root.create_array("n", data=np.ones(1), chunks=1),
    )
    before = place.open(REAL).diff(from_snapshot_id=base, to_branch="main")
    place.open(FRAZIL).squash("main", base, "squashed")
    after = place.open(REAL).diff(from_snapshot_id=base, to_branch="main")
    assert (after.updated_arrays, after.new_arrays) == (before.updated_arrays, before.new_arrays)
    assert {k: sorted(v) for k, v in after.updated_chunks.items()} == {
        k: sorted(v) for k, v in before.updated_chunks.items()
    }
    edit(place.open(REAL), "main", "on top", write(90, 100, -9))
    assert values(place.open(REAL))[[0, 10, 20, 30, 90]].tolist() == [-1, -2, -3, 30, -9]
    place.check()


@needs_spec_2
def test_a_session_whose_base_the_real_library_amended(place: Place) -> None:
    build(place, REAL, 2)
    session = place.open(FRAZIL).writable_session("main")
    write(0, 10, -1)(zarr.open_group(session.store))
    for i in range(2):
        other = place.open(REAL).writable_session("main")
        write(20 + 10 * i, 30 + 10 * i, -2, k=i)(zarr.open_group(other.store))
        other.amend("amended")
    session.commit("mine", rebase_with=frazil.MetadataMergeSolver())
    assert values(place.open(REAL))[[0, 20, 30, 40]].tolist() == [-1, -2, -2, 40]
    place.check()
