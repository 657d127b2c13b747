"""Each library rebases its changes over commits of the other, and sees the same conflicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import (
    FRAZIL,
    REAL,
    SPECS,
    Library,
    both_orders,
    every_spec,
    needs_spec_2,
)
from tests.interop.place import Place

Change = Callable[[zarr.Group], Any]


def build(place: Place, library: Library, spec: int) -> None:
    session = place.create(library, spec).writable_session("main")
    root = zarr.create_group(session.store)
    root.create_array("a", data=np.arange(100), chunks=10)
    root.create_array("b", data=np.arange(10), chunks=10)
    root.create_array("g/inner", data=np.arange(4), chunks=1)
    session.commit("base")


def write(first: int, last: int, value: int = -1, name: str = "a") -> Change:
    def change(root: zarr.Group) -> None:
        root[name][first:last] = value

    return change


def attributes(path: str, **values: Any) -> Change:
    def change(root: zarr.Group) -> None:
        (root[path] if path else root).update_attributes(values)

    return change


def delete(path: str) -> Change:
    def change(root: zarr.Group) -> None:
        del root[path]

    return change


def group(path: str) -> Change:
    def change(root: zarr.Group) -> None:
        root.create_group(path)

    return change


def array(path: str, **options: Any) -> Change:
    def change(root: zarr.Group) -> None:
        root.create_array(path, data=np.ones(3), chunks=1, **options)

    return change


def resize(path: str, n: int) -> Change:
    def change(root: zarr.Group) -> None:
        root[path].resize((n,))

    return change


def move(source: str, target: str) -> Change:
    def change(root: zarr.Group) -> None:
        root.store.session.move(source, target)

    change.rearranges = True  # type: ignore[attr-defined]
    return change


# What one library has changed, and what the other committed meanwhile.
PAIRS: dict[str, tuple[Change, Change]] = {
    "other chunks of an array": (write(0, 20), write(50, 70)),
    "other arrays": (write(0, 100), write(0, 10, name="b")),
    "one chunk twice": (write(0, 20), write(15, 40)),
    "one chunk twice, alike": (write(0, 10, 5), write(0, 10, 5)),
    "chunks and attributes": (write(0, 20), attributes("a", x=1)),
    "attributes and chunks": (attributes("a", x=1), write(0, 20)),
    "attributes of an array": (attributes("a", x=1), attributes("a", y=1)),
    "attributes of a group": (attributes("g", x=1), attributes("g", x=1)),
    "attributes of the root": (attributes("", x=1), attributes("", x=2)),
    "attributes of a deleted array": (attributes("a", x=1), delete("a")),
    "attributes of a deleted group": (attributes("g", x=1), delete("g")),
    "chunks of a deleted array": (write(0, 20), delete("a")),
    "chunks below a deleted group": (write(0, 1, name="g/inner"), delete("g")),
    "deleting changed chunks": (delete("a"), write(0, 20)),
    "deleting changed attributes": (delete("a"), attributes("a", x=1)),
    "deleting a changed group": (delete("g"), attributes("g", x=1)),
    "deleting a group with changes below": (delete("g"), write(0, 1, name="g/inner")),
    "deleting a group with a new child": (delete("g"), group("g/new")),
    "deleting twice": (delete("a"), delete("a")),
    "one path twice": (group("new"), group("new")),
    "a group and an array": (group("new"), array("new")),
    "below a new array": (group("new/child"), array("new")),
    "below a deleted group": (group("g/child"), delete("g")),
    "neighbours": (array("new-1"), array("new")),
    "made anew": (array("a", overwrite=True), write(0, 20)),
    "chunks of what is made anew": (write(0, 20), array("a", overwrite=True)),
    "larger and chunks": (resize("a", 150), write(0, 20)),
    "chunks and larger": (write(0, 20), resize("a", 150)),
    "smaller and chunks": (resize("a", 50), write(80, 100)),
}
MOVED: dict[str, tuple[Change, Change]] = {
    "chunks of a moved array": (write(0, 20), move("/a", "/moved")),
    "a new node and a moved one": (group("new"), move("/g", "/moved")),
}


def start(place: Place, library: Library, change: Change) -> Any:
    repo = place.open(library)
    if hasattr(change, "rearranges"):
        session = repo.rearrange_session("main")
        change(zarr.open_group(session.store, mode="r"))
    else:
        session = repo.writable_session("main")
        change(zarr.open_group(session.store))
    return session


def outcome(library: Library, session: Any, solver: Any) -> list[Any]:
    """The conflicts that a rebase finds; none if it succeeds, and then it is committed."""
    try:
        session.rebase(solver)
    except library.module.RebaseFailedError as error:
        return sorted(
            (
                str(found.conflict_type),
                found.path,
                sorted(map(list, found.conflicted_chunks or [])),
            )
            for found in error.conflicts
        )
    session.commit("mine, rebased")
    return []


def solvers(library: Library) -> dict[str, Any]:
    solver, versions = library.module.BasicConflictSolver, library.module.VersionSelection
    return {
        "detect": library.module.ConflictDetector(),
        "ours": solver(on_chunk_conflict=_version(versions, "UseOurs")),
        "theirs": solver(on_chunk_conflict=_version(versions, "UseTheirs")),
        "fail": solver(
            on_chunk_conflict=_version(versions, "Fail"),
            fail_on_delete_of_updated_array=True,
            fail_on_delete_of_updated_group=True,
        ),
    }


def _version(versions: Any, name: str) -> Any:
    # icechunk 1.x spells them in another case.
    spellings = {n.replace("_", "").lower(): n for n in dir(versions) if not n.startswith("_")}
    return getattr(versions, spellings[name.lower()])


def run(
    place: Place, spec: int, mine: Library, theirs: Library, pair: tuple[Change, Change], name: str
) -> tuple[list[Any], dict[str, Any]]:
    """Conflicts that `mine` meets over a commit of `theirs`, and what the arrays hold then."""
    build(place, theirs, spec)
    session = start(place, mine, pair[0])
    start(place, theirs, pair[1]).commit("theirs")
    conflicts = outcome(mine, session, solvers(mine)[name])
    root = zarr.open_group(place.open(mine).readonly_session("main").store, mode="r")
    return conflicts, {path: array[...].tolist() for path, array in root.arrays()}


if SPECS == [1]:
    # icechunk 1.x does not record the chunks that a resize cuts off.
    del PAIRS["smaller and chunks"]

# Those whose outcome depends on the solver are tried with all of them.
CASES = [("detect", name) for name in PAIRS] + [
    (solver, name)
    for solver in ("ours", "theirs", "fail")
    for name in PAIRS
    if "twice" in name or name.startswith("deleting changed") or name == "deleting a changed group"
]


@every_spec
@pytest.mark.parametrize(("solver", "name"), CASES)
def test_rebases_end_alike(place: Place, spec: int, solver: str, name: str) -> None:
    """What Frazil makes of a commit of the real library is what the reverse gives."""
    there = Place(place.path.with_name("there"))
    ours = run(place, spec, FRAZIL, REAL, PAIRS[name], solver)
    assert ours == run(there, spec, REAL, FRAZIL, PAIRS[name], solver)
    if solver == "ours":
        place.check()
    else:
        place.agree()


@needs_spec_2
@both_orders
@pytest.mark.parametrize("name", MOVED)
def test_no_rebase_over_moves(place: Place, first: Library, second: Library, name: str) -> None:
    conflicts, values = run(place, 2, first, second, MOVED[name], "ours")
    assert [(kind, path) for kind, path, _ in conflicts] == [
        ("Move operation cannot be rebased", "")
    ]
    assert ("moved" in values) == (name == "chunks of a moved array")
    place.check()


@every_spec
@both_orders
@pytest.mark.parametrize("turns", [1, 4])
def test_commits_rebase_themselves(
    place: Place, spec: int, first: Library, second: Library, turns: int
) -> None:
    build(place, first, spec)
    session = place.open(second).writable_session("main")
    zarr.open_array(session.store, path="a")[0:5] = -1
    for i in range(turns):
        write_one = place.open(first).writable_session("main")
        zarr.open_array(write_one.store, path="a")[10 * (i + 2) : 10 * (i + 3)] = i
        write_one.commit(f"turn {i}")
    with pytest.raises(second.module.ConflictError) as caught:
        session.commit("without a solver")
    assert caught.value.actual_parent == place.open(first).lookup_branch("main")
    session.commit("rebased", rebase_with=second.module.ConflictDetector())
    for library in (first, second):
        repo = place.open(library)
        newest = next(iter(repo.ancestry(branch="main")))
        if SPECS == [1, 2]:
            assert newest.metadata["__icechunk"] == {"rebase_attempts": 1}
        values = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")[...]
        assert values[:6].tolist() == [-1] * 5 + [5]
        assert values[20 : 20 + 10 * turns : 10].tolist() == list(range(turns))
    place.check()


@every_spec
@both_orders
def test_a_rebase_keeps_split_manifests(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    """Both rewrite manifests of one array; the parts of the other stay."""
    m = first.module
    sizes = {m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): 4}}
    config = m.RepositoryConfig()
    config.manifest = m.ManifestConfig(splitting=m.ManifestSplittingConfig.from_dict(sizes))
    session = place.create(first, spec, config).writable_session("main")
    zarr.create_array(session.store, name="a", data=np.arange(100), chunks=5)
    session.commit("base")
    mine = place.open(second).writable_session("main")
    zarr.open_array(mine.store, path="a")[18:30] = -1
    theirs = place.open(first).writable_session("main")
    zarr.open_array(theirs.store, path="a")[45:90] = -2
    theirs.commit("theirs")
    mine.commit("mine", rebase_with=second.module.ConflictDetector())
    expected = np.arange(100)
    expected[18:30], expected[45:90] = -1, -2
    store = place.open(first).readonly_session("main").store
    np.testing.assert_array_equal(zarr.open_array(store, path="a", mode="r")[...], expected)
    place.check()
