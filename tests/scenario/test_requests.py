"""How many requests operations take, and how many of them wait for another one."""

from __future__ import annotations

import pytest

from frazil import Repository, Storage
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.rounds import Distant, played
from tests.scenario.trees import array, chunks, commit, get, group, keys, put, tip

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


@pytest.mark.parametrize("count", [1, 100])
def test_a_commit_waits_three_times(grown: Storage, place: Distant, count: int) -> None:
    session = Repository.open(grown).writable_session("main")
    for i in range(count):
        put(session, f"b{i}", array([2]))
        put(session, f"b{i}/c/0", NATIVE)
    with played(place):
        place.reset()
        session.commit("arrays")
        # chunks; the branch; manifests, snapshot, log and a copy; `repo` or the branch
        assert place.now <= 5 + count // 33
