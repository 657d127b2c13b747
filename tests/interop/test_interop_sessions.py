"""What each kind of session allows in both libraries, and what each makes of the other's."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import cpu

from tests.interop.libraries import (
    FRAZIL,
    REAL,
    Library,
    Repo,
    both_orders,
    every_spec,
    needs_spec_2,
)
from tests.interop.place import Place
from tests.interop.view import plain_diff, tree
from tests.scenario.trees import array, group

newer_only = pytest.mark.skipif(REAL.specs == [1], reason="icechunk 1.x has other rules")

Session = Any
Make = Callable[[Repo], Session]
Act = Callable[[Repo, Session], Any]


def put(session: Session, key: str, data: bytes) -> None:
    asyncio.run(session.store.set(key, cpu.Buffer.from_bytes(data)))


def erase(session: Session, key: str) -> None:
    asyncio.run(session.store.delete(key))


def base(library: Library, path: Path, spec: int) -> Repo:
    """A repository with a few nodes."""
    repo = library.create(path, spec)
    fill(repo)
    return repo


def fill(repo: Repo) -> None:
    session = repo.writable_session("main")
    documents = {"": group(), "a": array([8]), "g": group(), "g/b": array([4])}
    for name, document in documents.items():
        put(session, f"{name}/zarr.json".lstrip("/"), document)
    for i in range(4):
        put(session, f"a/c/{i}", b"%d" % i)
    session.commit("base")


def committed(repo: Repo) -> Session:
    session = repo.writable_session("main")
    put(session, "done/zarr.json", group())
    session.commit("done")
    return session


def fork_with_changes(repo: Repo, name: str = "n") -> Session:
    fork = repo.writable_session("main").fork()
    put(fork, f"{name}/zarr.json", group())
    return fork


MODES: dict[str, Make] = {
    "read-only": lambda repo: repo.readonly_session("main"),
    "writable": lambda repo: repo.writable_session("main"),
    "rearrange": lambda repo: repo.rearrange_session("main"),
    "fork": lambda repo: repo.writable_session("main").fork(),
    "fork of a rearrange session": lambda repo: repo.rearrange_session("main").fork(),
    "fork of a fork": lambda repo: fork_with_changes(repo).fork(),
    "committed": committed,
}

ACTIONS: dict[str, Act] = {
    "properties": lambda _, s: (str(s.mode), s.read_only, s.branch, s.has_uncommitted_changes),
    "a read-only store": lambda _, s: s.store.read_only,
    "set a group": lambda _, s: put(s, "z/zarr.json", group()),
    "set a chunk": lambda _, s: put(s, "a/c/0", b"x"),
    "set if not there": lambda _, s: asyncio.run(
        s.store.set_if_not_exists("z/zarr.json", cpu.Buffer.from_bytes(group()))
    ),
    "set what is there": lambda _, s: asyncio.run(
        s.store.set_if_not_exists("a/zarr.json", cpu.Buffer.from_bytes(array([8])))
    ),
    "delete a chunk": lambda _, s: erase(s, "a/c/0"),
    "delete a node": lambda _, s: erase(s, "a/zarr.json"),
    "delete a folder": lambda _, s: asyncio.run(s.store.delete_dir("a")),
    "clear": lambda _, s: asyncio.run(s.store.clear()),
    "move": lambda _, s: s.move("/g", "/h"),
    "move nothing": lambda _, s: s.move("/no", "/h"),
    "move into itself": lambda _, s: s.move("/g", "/g/h"),
    "move over something": lambda _, s: s.move("/g", "/a"),
    "move below nothing": lambda _, s: s.move("/g", "/no/h"),
    "move below an array": lambda _, s: s.move("/g", "/a/h"),
    "move a relative path": lambda _, s: s.move("g", "/h"),
    "shift": lambda _, s: s.shift_array("/a", [1]),
    "shift nothing": lambda _, s: s.shift_array("/no", [1]),
    "shift a group": lambda _, s: s.shift_array("/g", [1]),
    "reindex": lambda _, s: s.reindex_array("/a", lambda i: [i[0] + 1]),
    "reindex nothing": lambda _, s: s.reindex_array("/no", lambda i: i),
    "commit nothing": lambda _, s: s.commit("m"),
    "commit": lambda _, s: bool(s.commit("m", allow_empty=True)),
    "amend nothing": lambda _, s: s.amend("m"),
    "amend": lambda _, s: bool(s.amend("m", allow_empty=True)),
    "flush": lambda _, s: bool(s.flush("m")),
    "rebase": lambda repo, s: s.rebase(_module(repo).ConflictDetector()),
    "merge": lambda repo, s: s.merge(fork_with_changes(repo, "other")),
    "merge nothing": lambda _, s: s.merge(),
    "merge itself": lambda _, s: s.merge(s),
    "merge a writable session": lambda repo, s: s.merge(repo.writable_session("main")),
    "merge a read-only session": lambda repo, s: s.merge(repo.readonly_session("main")),
    "fork": lambda _, s: type(s.fork()).__name__,
    "discard": lambda _, s: s.discard_changes(),
    "status": lambda _, s: s.status().is_empty(),
    "pickle": lambda _, s: type(pickle.loads(pickle.dumps(s))).__name__,
    "pickle the store": lambda _, s: pickle.loads(pickle.dumps(s.store)).read_only,
    "virtual chunks": lambda _, s: s.all_virtual_chunk_locations(),
    "node id": lambda _, s: len(s.get_node_id("/a")),
    "node id of nothing": lambda _, s: s.get_node_id("/no"),
    "chunk type": lambda _, s: str(s.chunk_type("/a", [0])).rpartition(".")[2].lower(),
    "chunk type outside": lambda _, s: str(s.chunk_type("/a", [9])).rpartition(".")[2].lower(),
    "chunk type of a group": lambda _, s: s.chunk_type("/g", [0]),
    "chunk type of nothing": lambda _, s: s.chunk_type("/no", [0]),
    "coordinates": lambda _, s: _coordinates(s),
}


def _module(repo: Repo) -> Any:
    return FRAZIL.module if type(repo).__module__.startswith("frazil") else REAL.module


def _coordinates(session: Session) -> list[Any]:
    async def collect() -> list[Any]:
        return sorted([c async for c in session.chunk_coordinates("/a", batch_size=3)])

    return asyncio.run(collect())


def outcome(act: Callable[[], Any]) -> Any:
    """The value of a call; of an error the public class and the kind."""
    try:
        value = act()
        return value if value != () else None  # what the real store returns for nothing
    except Exception as error:
        names = [c.__name__ for c in type(error).__mro__ if c.__module__ != "frazil.store.errors"]
        return names[0], getattr(error, "kind", None)


@newer_only
@pytest.mark.parametrize(
    ("spec", "mode"),
    [(s, m) for s in (1, 2) for m in MODES if s == 2 or "rearrange" not in m],
    ids=lambda value: f"spec{value}" if isinstance(value, int) else value,
)
def test_each_kind_of_session_allows_the_same(tmp_path: Path, spec: int, mode: str) -> None:
    found: dict[str, dict[str, Any]] = {}
    for library in (REAL, FRAZIL):
        repo = base(library, tmp_path / library.name, spec)
        for name, act in ACTIONS.items():
            tip = repo.lookup_branch("main")
            session = MODES[mode](repo)
            result = outcome(lambda: act(repo, session))  # noqa: B023
            found.setdefault(name, {})[library.name] = result
            if repo.lookup_branch("main") != tip:
                repo.reset_branch("main", tip)
    differences = {n: r for n, r in found.items() if r["real"] != r["frazil"]}
    assert differences == {}


@every_spec
@both_orders
@pytest.mark.parametrize(
    "dirty", [False, pytest.param(True, marks=newer_only)], ids=["clean", "with changes"]
)
def test_forks_are_committed(
    place: Place, spec: int, first: Library, second: Library, dirty: bool
) -> None:
    session = place.create(first, spec).writable_session("main")
    root = zarr.create_group(session.store)
    root.create_array("a", shape=(60, 60), chunks=(10, 10), dtype="f8", compressors=None)
    root["a"][...] = 1
    session.commit("base")
    expected = np.ones((60, 60))
    for turn, library in enumerate((second, first)):
        session = place.open(library).writable_session("main")
        if dirty:
            name = f"new{turn}"
            zarr.create_array(session.store, name=name, data=np.zeros(100), chunks=(10,))
            zarr.open_array(session.store, path="a")[:10] = expected[:10] = turn
        forks = [pickle.loads(pickle.dumps(session.fork())) for _ in range(5)]
        for part, fork in enumerate(forks):
            rows = slice(10 + part * 10, 20 + part * 10)
            zarr.open_array(fork.store, path="a")[rows] = expected[rows] = 10 * turn + part
            zarr.create_array(fork.store, name=f"part{turn}{part}", data=np.arange(part + 1))
            if dirty:
                zarr.open_array(fork.store, path=name)[part * 10 : part * 10 + 10] = part + 1
        session.merge(*forks)
        session.commit(f"turn {turn}")
    root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root["a"][...], expected)
    if dirty:
        for name in ("new0", "new1"):
            values = np.repeat([1, 2, 3, 4, 5, 0, 0, 0, 0, 0], 10)
            np.testing.assert_array_equal(root[name][...], values)
    place.check()


@every_spec
@newer_only
def test_the_real_library_sees_the_base_of_a_fork(place: Place, spec: int) -> None:
    session = base(FRAZIL, place.path, spec).writable_session("main")
    put(session, "n/zarr.json", array([4]))
    put(session, "n/c/1", b"x" * 1000)
    fork = session.fork()
    seen = place.open(REAL).readonly_session(snapshot_id=fork.snapshot_id)
    assert tree(seen) == tree(session) == tree(fork)
    if spec == 2:
        kinds = [type(update.kind).__name__ for update in place.open(REAL).ops_log()]
        assert kinds[0].endswith("NewDetachedSnapshot")
    place.check()


@every_spec
@newer_only
def test_a_session_that_the_real_library_flushed_is_taken_up(place: Place, spec: int) -> None:
    session = base(REAL, place.path, spec).writable_session("main")
    put(session, "n/zarr.json", array([4]))
    put(session, "n/c/1", b"x" * 1000)
    put(session, "a/c/0", b"new")
    erase(session, "a/c/1")
    put(session, "g/zarr.json", group(x=1))
    erase(session, "g/b/zarr.json")
    shown, status = tree(session), plain_diff(session.status())
    session = place.open(FRAZIL).resume_session("main", session.flush("one part"))
    assert (tree(session), plain_diff(session.status())) == (shown, status)
    put(session, "a/c/7", b"more")
    session.commit("both parts")
    place.check()


MERGES: dict[str, tuple[Callable[[Session], Any], Callable[[Session], Any]]] = {
    "nothing": (lambda s: None, lambda s: None),
    "same chunk": (lambda s: put(s, "a/c/0", b"M"), lambda s: put(s, "a/c/0", b"F")),
    "erased chunk": (lambda s: put(s, "a/c/0", b"M"), lambda s: erase(s, "a/c/0")),
    "two groups": (
        lambda s: put(s, "n/zarr.json", group()),
        lambda s: put(s, "n/zarr.json", group()),
    ),
    "two arrays": (
        lambda s: put(s, "n/zarr.json", array([2])),
        lambda s: put(s, "n/zarr.json", array([2])),
    ),
    "metadata": (
        lambda s: put(s, "a/zarr.json", array([9])),
        lambda s: put(s, "a/zarr.json", array([10])),
    ),
    "same metadata": (
        lambda s: put(s, "a/zarr.json", array([9])),
        lambda s: put(s, "a/zarr.json", array([9])),
    ),
    "metadata of a group": (
        lambda s: put(s, "g/zarr.json", group(x=1)),
        lambda s: put(s, "g/zarr.json", group(x=2)),
    ),
    "deleted and updated": (
        lambda s: erase(s, "a/zarr.json"),
        lambda s: put(s, "a/zarr.json", array([9])),
    ),
    "deleted and written": (lambda s: erase(s, "a/zarr.json"), lambda s: put(s, "a/c/0", b"x")),
    "updated and deleted": (
        lambda s: put(s, "a/zarr.json", array([9])),
        lambda s: erase(s, "a/zarr.json"),
    ),
    "written and deleted": (lambda s: put(s, "a/c/0", b"x"), lambda s: erase(s, "a/zarr.json")),
    "both deleted": (lambda s: erase(s, "a/zarr.json"), lambda s: erase(s, "a/zarr.json")),
    "deleted with a new child": (
        lambda s: erase(s, "g/zarr.json"),
        lambda s: put(s, "g/n/zarr.json", group()),
    ),
    "larger with a chunk": (
        lambda s: put(s, "a/c/1", b"M"),
        lambda s: (put(s, "a/zarr.json", array([12])), put(s, "a/c/11", b"F")),
    ),
    "made anew": (
        lambda s: None,
        lambda s: (erase(s, "a/zarr.json"), put(s, "a/zarr.json", array([3]))),
    ),
    "made anew and written": (
        lambda s: put(s, "a/c/0", b"M"),
        lambda s: (erase(s, "a/zarr.json"), put(s, "a/zarr.json", array([3]))),
    ),
}


@newer_only
@every_spec
@pytest.mark.parametrize("case", MERGES)
def test_the_same_forks_are_merged(tmp_path: Path, spec: int, case: str) -> None:
    mine, theirs = MERGES[case]
    found = {}
    for library in (REAL, FRAZIL):
        session = base(library, tmp_path / library.name, spec).writable_session("main")
        fork = session.fork()
        mine(session)
        theirs(fork)
        result = outcome(lambda: session.merge(fork))  # noqa: B023
        found[library.name] = result, plain_diff(session.status()), tree(session)
    assert found["real"] == found["frazil"]


MOVES: dict[str, list[tuple[str, str]]] = {
    "a group": [("/g", "/h")],
    "deep": [("/a", "/g/deeper"), ("/g", "/é x")],
    "swapped": [("/a", "/t"), ("/g", "/a"), ("/t", "/g")],
    "out of a moved one": [("/g", "/h"), ("/h/b", "/b"), ("/a", "/h/b")],
    "there and back": [("/g", "/h"), ("/h", "/g")],
}
AGAIN = {"a group": "/h", "deep": "/é x", "out of a moved one": "/h"}
"""Where there is something to move after that."""


@needs_spec_2
@both_orders
@pytest.mark.parametrize("name", MOVES)
def test_moves(place: Place, first: Library, second: Library, name: str) -> None:
    repo = base(first, place.path, 2)
    start = repo.lookup_branch("main")
    sessions = [place.open(library).rearrange_session("main") for library in (first, second)]
    for session in sessions:
        for move in MOVES[name]:
            session.move(*move)
    one, two = ((str(s.status()).strip(), s.status().moved_nodes) for s in sessions)
    assert one == two
    sessions[1].commit("moved")
    session = place.open(first).rearrange_session("main")
    session.move(AGAIN.get(name, "/g"), "/z")
    session.commit("moved again")
    diffs = [
        place.open(library).diff(from_snapshot_id=start, to_branch="main")
        for library in (REAL, FRAZIL)
    ]
    assert diffs[0].moved_nodes == diffs[1].moved_nodes
    assert str(diffs[0]).strip() == str(diffs[1]).strip()
    place.check()


PATHS = ["/a", "/g", "/g/b", "/h", "/h/b", "/g/h", "/h/g", "/no/x", "/a-b", "/g!"]


@needs_spec_2
@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.sampled_from(PATHS)] * 2), min_size=1, max_size=8))
def test_random_moves(moves: list[tuple[str, str]]) -> None:
    found = []
    for library in (REAL, FRAZIL):
        repo = library.module.Repository.create(library.module.in_memory_storage())
        fill(repo)
        start = repo.lookup_branch("main")
        session = repo.rearrange_session("main")
        outcomes = [outcome(lambda: session.move(*move)) for move in moves]  # noqa: B023
        status = session.status().moved_nodes
        session.commit("moved", allow_empty=True)
        diff = repo.diff(from_snapshot_id=start, to_branch="main").moved_nodes
        found.append((outcomes, status, diff, tree(repo.readonly_session("main"))))
    assert found[0] == found[1]


@needs_spec_2
@both_orders
def test_edits_and_amendments_around_moves(place: Place, first: Library, second: Library) -> None:
    repo = base(first, place.path, 2)
    start = repo.lookup_branch("main")
    session = place.open(second).rearrange_session("main")
    session.move("/g", "/h")
    session.commit("moved")
    session = place.open(first).rearrange_session("main")
    session.move("/h", "/i")
    session.move("/a", "/i/a")
    session.amend("moved twice")
    diffs = [
        plain_diff(place.open(library).diff(from_snapshot_id=start, to_branch="main"))
        for library in (REAL, FRAZIL)
    ]
    assert diffs[0] == diffs[1] == {"moved_nodes": [("/a", "/i/a"), ("/g", "/i"), ("/g/b", "/i/b")]}
    session = place.open(second).writable_session("main")
    put(session, "i/a/c/7", b"edited")
    put(session, "g/zarr.json", group())
    session.commit("edited")
    session = place.open(first).rearrange_session("main")
    session.move("/i/a", "/a")
    session.amend("edited and moved")
    place.check()


@needs_spec_2
@pytest.mark.parametrize(
    "edit",
    [
        lambda s: put(s, "a/c/0", b"x"),
        lambda s: put(s, "g/zarr.json", group(x=1)),
        lambda s: put(s, "g/b/c/0", b"x"),
        lambda s: put(s, "g/n/zarr.json", group()),
    ],
    ids=["elsewhere", "metadata", "chunk", "child"],
)
def test_moves_are_rebased_alike(tmp_path: Path, edit: Callable[[Session], Any]) -> None:
    found = []
    for library in (REAL, FRAZIL):
        repo = base(library, tmp_path / library.name, 2)
        session = repo.rearrange_session("main")
        session.move("/g", "/h")
        other = repo.writable_session("main")
        edit(other)
        other.commit("theirs")
        session.commit("mine", rebase_with=library.module.ConflictDetector())
        found.append(tree(repo.readonly_session("main")))
    assert found[0] == found[1]


def two_dimensions(library: Library, path: Path, spec: int) -> Session:
    repo = library.create(path, spec)
    session = repo.writable_session("main")
    put(session, "a/zarr.json", array([5, 4]))
    for i, j in itertools.product(range(0, 5, 2), range(4)):
        put(session, f"a/c/{i}/{j}", b"%d%d" % (i, j))
    session.commit("base")
    session = repo.writable_session("main")
    put(session, "a/c/1/1", b"new")
    return session


REINDEXINGS: dict[str, Callable[[Session], Any]] = {
    **{
        f"shift {offset}": lambda s, offset=offset: s.shift_array("/a", offset)
        for offset in ([0, 0], [1, 0], [0, -1], [2, 3], [-1, 2], [9, 0], [1, 1, 1])
    },
    "mirrored": lambda s: s.reindex_array("/a", lambda i: [4 - i[0], i[1]]),
    "shifted by hand": lambda s: s.reindex_array(
        "/a",
        lambda i: [i[0] + 1, i[1]] if i[0] < 4 else None,
        lambda i: [i[0] - 1, i[1]] if i[0] else None,
    ),
    "some only": lambda s: s.reindex_array("/a", lambda i: [3, i[1]] if i[0] == 2 else None),
    "all left alone": lambda s: s.reindex_array("/a", lambda i: None),
    "all emptied": lambda s: s.reindex_array("/a", lambda i: None, lambda i: None),
    "out of the grid": lambda s: s.reindex_array("/a", lambda i: [i[0] + 1, i[1]]),
    "one that fails": lambda s: s.reindex_array("/a", lambda i: 1 // 0),
}


@newer_only
@every_spec
@pytest.mark.parametrize("name", REINDEXINGS)
def test_arrays_are_reindexed_alike(tmp_path: Path, spec: int, name: str) -> None:
    found = []
    for library in (REAL, FRAZIL):
        session = two_dimensions(library, tmp_path / library.name, spec)
        result = outcome(lambda: REINDEXINGS[name](session))  # noqa: B023
        found.append((result, plain_diff(session.status()), tree(session)))
        session.commit("reindexed")
    assert found[0] == found[1]


@every_spec
def test_shifted_arrays_are_read_by_the_real_library(place: Place, spec: int) -> None:
    session = place.create(FRAZIL, spec).writable_session("main")
    data = np.arange(1200, dtype="i4").reshape(40, 30)
    zarr.create_array(session.store, name="a", data=data, chunks=(4, 10), compressors=None)
    session.commit("base")
    session = place.open(FRAZIL).writable_session("main")
    session.shift_array("/a", [-2, 1])
    session.commit("shifted")
    expected = np.zeros_like(data)
    expected[:32, 10:] = data[8:, :20]
    shifted = zarr.open_array(place.open(REAL).readonly_session("main").store, path="a")
    np.testing.assert_array_equal(shifted[...], expected)
    place.check()


@every_spec
def test_locations_of_virtual_chunks(place: Place, spec: int) -> None:
    session = place.create(REAL, spec).writable_session("main")
    put(session, "a/zarr.json", array([8]))
    put(session, "g/zarr.json", group())
    put(session, "g/b/zarr.json", array([4]))
    urls = {0: "s3://bucket/one", 3: "s3://bucket/two.nc", 5: "s3://bucket/one"}
    for i, url in urls.items():
        session.store.set_virtual_ref(f"a/c/{i}", url, offset=i, length=1, validate_container=False)
    session.store.set_virtual_ref(
        "g/b/c/1", "s3://other/x", offset=0, length=5, validate_container=False
    )
    put(session, "a/c/1", b"not virtual")
    session.commit("virtual")
    locations = []
    for library in (REAL, FRAZIL):
        session = place.open(library).writable_session("main")
        erase(session, "a/c/0")
        locations.append(sorted(session.all_virtual_chunk_locations()))
    assert locations[0] == locations[1]
    assert "s3://other/x" in locations[0]
