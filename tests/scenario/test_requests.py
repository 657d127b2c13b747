"""How many requests operations take, and how many of them wait for another one."""

from __future__ import annotations

import pytest

from frazil import BasicConflictSolver, Repository, Storage
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.rounds import Distant, played
from tests.scenario.trees import array, change, chunks, commit, get, group, keys, put, tip

NATIVE = b"x" * 600
"""A chunk that is too large for a manifest."""


@pytest.fixture
def place() -> Distant:
    return Distant(MemoryBackend())


@pytest.fixture
def storage(place: Distant) -> Storage:
    return storage_around(place)


@pytest.fixture
def grown(storage: Storage, place: Distant, spec: int) -> Storage:
    """A repository with an array of 100 chunks."""
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "a": array([100]), **chunks("a", range(100), NATIVE)})
    place.reset()
    return storage


def test_opening_and_reading_a_chunk(grown: Storage, place: Distant, spec: int) -> None:
    with played(place):
        view = tip(Repository.open(grown))
        assert get(view, "a/c/7") == NATIVE
        # `repo`, snapshot, manifest, chunk; in spec 1 there is no `repo`, but a branch.
        assert place.now == (4 if spec == 2 else 5)
        repeated = [key for _, key in place.log if place.log.count(("get", key)) > 1]
        assert not repeated
        place.reset()
        assert get(view, "a/c/8") == NATIVE
        assert place.log == [("get", place.log[0][1])]
        place.reset()
        keys(view)
        assert place.total == 0


def test_a_session_looks_at_its_branch_only_once_more(grown: Storage, place: Distant) -> None:
    repo = Repository.open(grown)
    tip(repo)
    with played(place):
        for session in (repo.readonly_session, repo.writable_session):
            place.reset()
            session("main")
            assert place.total == 1


@pytest.mark.parametrize("count", [1, 2000])
def test_a_commit_waits_three_times_at_most(
    grown: Storage, place: Distant, count: int, spec: int
) -> None:
    session = Repository.open(grown).writable_session("main")
    for i in range(count):
        put(session, f"b{i}", array([2]))
        put(session, f"b{i}/c/0", NATIVE)
    with played(place):
        place.reset()
        session.commit("arrays")
        # The branch is looked at while chunks are stored; manifest, snapshot and log while the
        # old `repo` is copied or the branch is looked at again; then `repo` or the branch.
        assert place.now == 3
        assert place.total == 7
        assert place.requests["put", "manifests"] == 1


def test_a_commit_reads_what_it_changes_all_at_once(grown: Storage, place: Distant) -> None:
    tree: dict[str, bytes | None] = {}
    for i in range(20):
        commit(Repository.open(grown), {f"b{i}": array([9]), f"b{i}/c/0": NATIVE})
    tree = {f"b{i}/c/0": b"new" for i in range(20)}
    session = Repository.open(grown).writable_session("main")
    change(session, tree)
    with played(place):
        place.reset()
        session.commit("all of them")
        assert place.now == 3
        assert place.requests["get", "manifests"] == 20
        assert place.requests["put", "manifests"] == 1


def test_a_commit_that_has_to_rebase(grown: Storage, place: Distant, spec: int) -> None:
    repo = Repository.open(grown)
    session = repo.writable_session("main")
    put(session, "a/c/3", NATIVE)
    commit(Repository.open(grown), {"a/c/4": NATIVE})
    with played(place):
        place.reset()
        session.commit("late", rebase_with=BasicConflictSolver())
        assert place.now == 7
