"""Sessions that settle metadata conflicts when they are put on top of other commits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import zarr

from frazil import (
    UNSOLVED,
    BasicConflictSolver,
    CallbackSolver,
    Conflict,
    ConflictType,
    MetadataMergeSolver,
    RebaseFailedError,
    Repository,
    ThreeWay,
    VersionSelection,
)
from frazil.errors import InvalidInputError
from frazil.session import Session
from tests.scenario.trees import array, change, chunks, commit, content, get, group, put, tip

MERGE = MetadataMergeSolver()
ORDER = MetadataMergeSolver(appends="order")


@pytest.fixture
def base(repo: Repository) -> Repository:
    commit(
        repo,
        {"": group(), "a": array([4]), "g": group(), **chunks("a", range(4), b"base")},
    )
    return repo


def both(repo: Repository, mine: dict[str, Any], *theirs: dict[str, Any]) -> Session:
    session = change(repo.writable_session("main"), mine)
    for tree in theirs:
        commit(repo, tree)
    return session


def attributes(session: Session, key: str) -> Any:
    return json.loads(get(session, key) or b"")["attributes"]


def test_different_attributes(base: Repository) -> None:
    session = both(
        base,
        {"a": array([4], mine=1), "g": group(mine=1), "a/c/1": b"mine"},
        {"a": array([4], theirs=1), "a/c/2": b"theirs"},
        {"g": group(theirs=1)},
        {"a": array([4], theirs=2)},
    )
    session.commit("merged", rebase_with=MERGE)
    assert attributes(tip(base), "a") == {"mine": 1, "theirs": 2}
    assert attributes(tip(base), "g") == {"mine": 1, "theirs": 1}
    assert [get(tip(base), f"a/c/{i}") for i in range(4)] == [b"base", b"mine", b"theirs", b"base"]


def test_one_attribute_with_two_values(base: Repository) -> None:
    session = both(base, {"a": array([4], k=1, mine=1)}, {"a": array([4], k=2)})
    before = content(session)
    with pytest.raises(RebaseFailedError) as caught:
        session.commit("no", rebase_with=MERGE)
    assert caught.value.conflicts == [Conflict(ConflictType.ZarrMetadataDoubleUpdate, "/a")]
    assert content(session) == before


def test_chunks_beside_attributes(base: Repository) -> None:
    theirs = {"a": array([4], theirs=1)}
    session = both(base, {"a/c/0": b"mine"}, theirs)
    with pytest.raises(RebaseFailedError):
        session.rebase(BasicConflictSolver())
    session.commit("both", rebase_with=MERGE)
    assert attributes(tip(base), "a") == {"theirs": 1}
    assert get(tip(base), "a/c/0") == b"mine"


def test_chunks_beside_an_append_of_theirs(base: Repository) -> None:
    session = both(base, {"a/c/0": b"mine"}, {"a": array([6]), "a/c/5": b"theirs"})
    session.commit("both", rebase_with=MERGE)
    found = [get(tip(base), f"a/c/{i}") for i in range(6)]
    assert found == [b"mine", b"base", b"base", b"base", None, b"theirs"]


def test_chunks_do_not_go_with_another_encoding(base: Repository) -> None:
    session = both(base, {"a/c/0": b"mine"}, {"a": array([4], [2])})
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(MERGE)
    (conflict,) = caught.value.conflicts
    assert conflict.conflict_type is ConflictType.ChunksUpdatedInUpdatedArray
    session = both(base, {"a": array([4], [1])}, {"a/c/0": b"theirs"})
    with pytest.raises(RebaseFailedError):
        session.rebase(MERGE)


def test_appends_fail_unless_allowed(base: Repository) -> None:
    session = both(base, {"a": array([5]), "a/c/4": b"mine"}, {"a": array([6]), "a/c/5": b"x"})
    with pytest.raises(RebaseFailedError):
        session.rebase(MERGE)
    session.commit("in order", rebase_with=ORDER)
    found = [get(tip(base), f"a/c/{i}") for i in range(8)]
    assert found == [b"base"] * 4 + [None, b"x", b"mine", None]
    assert json.loads(get(tip(base), "a") or b"")["shape"] == [7]


def test_appends_of_many_writers(repo: Repository) -> None:
    first = repo.writable_session("main")
    root = zarr.create_group(first.store)
    data = root.create_array("x", shape=(0, 3), chunks=(2, 3), dtype="i4")
    times = root.create_array("t", shape=(0,), chunks=(2,), dtype="i4")
    first.commit("empty")
    sessions = [repo.writable_session("main") for _ in range(4)]
    for number, session in enumerate(sessions):
        opened = zarr.open_group(session.store)
        rows = 2 * (number + 1)
        x, t = opened["x"], opened["t"]
        assert isinstance(x, zarr.Array)
        assert isinstance(t, zarr.Array)
        x.append(np.full((rows, 3), number, "i4"))
        t.append(np.full(rows, number, "i4"))
    for session in sessions:
        session.commit("rows", rebase_with=ORDER)
    found = zarr.open_group(tip(repo).store, mode="r")
    expected = np.repeat(np.arange(4, dtype="i4"), [2, 4, 6, 8])
    assert np.array_equal(np.asarray(found["t"]), expected)
    assert np.array_equal(np.asarray(found["x"]), np.repeat(expected[:, None], 3, axis=1))
    assert data.shape == (0, 3)
    assert times.shape == (0,)


def test_an_append_within_a_chunk_cannot_be_ordered(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([3], [2]), **chunks("a", range(2), b"base")})
    session = both(repo, {"a": array([5], [2]), "a/c/2": b"mine"}, {"a": array([6], [2])})
    with pytest.raises(RebaseFailedError):
        session.rebase(ORDER)


def test_nodes_below_a_deleted_group(base: Repository) -> None:
    session = both(base, {"g/n": group()}, {"g": None})
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(MERGE)
    assert caught.value.conflicts == [Conflict(ConflictType.NewNodeInInvalidGroup, "/g")]


class TestCallbacks:
    def test_metadata(self, base: Repository) -> None:
        def longest(item: ThreeWay) -> Any:
            return max(item.ours, item.theirs, key=lambda d: d["attributes"]["history"])

        session = both(
            base, {"a": array([4], history="ab")}, {"a": array([4], history="a"), "a/c/0": b"x"}
        )
        session.commit("asked", rebase_with=CallbackSolver(longest))
        assert attributes(tip(base), "a") == {"history": "ab"}
        assert get(tip(base), "a/c/0") == b"x"

    def test_chunks(self, base: Repository) -> None:
        large = bytes(range(256)) * 4
        seen = []

        def joined(item: ThreeWay) -> Any:
            seen.append((item.path, item.chunk, item.base, item.ours, item.theirs))
            if item.chunk == (3,):
                return UNSOLVED
            return None if item.ours is None else item.ours + item.theirs

        mine = {"a/c/0": large, "a/c/1": None, "a/c/3": b"mine"}
        theirs = {"a/c/0": b"0", "a/c/1": b"1", "a/c/2": b"2", "a/c/3": b"3"}
        session = both(base, mine, theirs)
        with pytest.raises(RebaseFailedError) as caught:
            session.rebase(CallbackSolver(joined))
        assert caught.value.conflicts == [Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[3]])]
        assert get(session, "a/c/0") == large  # nothing was done of what was answered
        session.commit("asked", rebase_with=CallbackSolver(joined, BasicConflictSolver()))
        assert (
            seen[:3]
            == seen[3:]
            == [
                ("/a", (0,), b"base", large, b"0"),
                ("/a", (1,), b"base", None, b"1"),
                ("/a", (3,), b"base", b"mine", b"3"),
            ]
        )
        assert [get(tip(base), f"a/c/{i}") for i in range(4)] == [large + b"0", None, b"2", b"mine"]

    def test_answers_that_are_no_chunk(self, base: Repository) -> None:
        session = both(base, {"a/c/0": b"mine"}, {"a/c/0": b"theirs"})
        for answer in (b"", {"a": 1}):
            with pytest.raises(InvalidInputError, match=r"/a.*expected its encoded bytes"):
                session.rebase(CallbackSolver(lambda _, answer=answer: answer))
        assert get(session, "a/c/0") == b"mine"

    def test_errors_are_passed_on(self, base: Repository) -> None:
        def fail(item: ThreeWay) -> Any:
            raise ZeroDivisionError(item.path)

        session = both(base, {"a/c/0": b"mine"}, {"a/c/0": b"theirs"})
        with pytest.raises(ZeroDivisionError, match="/a"):
            session.commit("no", rebase_with=CallbackSolver(fail))
        put(session, "a/c/1", b"mine")
        session.commit(
            "yes",
            rebase_with=MetadataMergeSolver(on_chunk_conflict=VersionSelection.UseTheirs),
        )
        assert [get(tip(base), f"a/c/{i}") for i in range(2)] == [b"theirs", b"mine"]
