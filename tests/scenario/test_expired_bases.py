"""Sessions whose base has expired meanwhile, and snapshots that were collected."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest

import frazil
from frazil import Conflict, ConflictDetector, ConflictType, RebaseFailedError, Repository
from frazil.errors import ErrorKind, SnapshotNotFoundError, StorageError
from frazil.session import Session
from tests.scenario.trees import array, change, chunks, commit, get, group, tip

DETECTOR = ConflictDetector()


@pytest.fixture
def repo(storage: frazil.Storage) -> Repository:
    repo = Repository.create(storage, spec_version=2)
    commit(repo, {"": group(), "a": array([8]), **chunks("a", range(8), b"base")})
    return repo


def overtaken(repo: Repository) -> Session:
    """A session that has written chunk 0, while others wrote 1 and 2 and all but that expired."""
    commit(repo, {"a/c/0": b"before"})
    session = change(repo.writable_session("main"), {"a/c/0": b"mine"})
    commit(repo, {"a/c/1": b"expired"})
    commit(repo, {"a/c/2": b"kept"})
    released = repo.expire_snapshots(datetime.now(UTC))
    assert session.snapshot_id in released
    return session


def test_a_session_goes_on_after_its_base_has_expired(repo: Repository) -> None:
    session = overtaken(repo)
    kept = repo.lookup_branch("main")
    # The commit before the session wrote chunk 0, too, but that is what the session started from.
    id_ = session.commit("mine", rebase_with=DETECTOR)
    assert repo.lookup_snapshot(id_).parent_id == kept
    assert [get(tip(repo), f"a/c/{i}") for i in range(4)] == [b"mine", b"expired", b"kept", b"base"]


def test_what_expired_since_is_in_conflict(repo: Repository) -> None:
    session = change(overtaken(repo), {"a/c/1": b"mine"})
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(DETECTOR)
    assert caught.value.snapshot == repo.lookup_branch("main")
    assert caught.value.conflicts == [Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[1]])]


def test_forks_are_made_of_a_session_whose_base_has_expired(repo: Repository) -> None:
    session = overtaken(repo)
    listed = {item["id"] for item in repo.inspect_repo_info()["snapshots"]}
    fork = pickle.loads(pickle.dumps(session.fork()))
    assert get(fork, "a/c/0") == b"mine"
    change(fork, {"a/c/3": b"forked"})
    session.merge(fork)
    assert {item["id"] for item in repo.inspect_repo_info()["snapshots"]} == listed
    session.commit("mine", rebase_with=DETECTOR)
    assert [get(tip(repo), f"a/c/{i}") for i in (0, 3)] == [b"mine", b"forked"]


def test_nothing_is_flushed_on_top_of_what_has_expired(repo: Repository) -> None:
    session = overtaken(repo)
    with pytest.raises(SnapshotNotFoundError) as caught:
        session.flush("detached")
    assert caught.value.kind == ErrorKind.SNAPSHOT_NOT_FOUND
    assert session.has_uncommitted_changes


def test_no_branch_or_tag_is_put_on_what_was_collected(spec: int, storage: frazil.Storage) -> None:
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group()})
    gone = change(repo.writable_session("main"), {"g": group()}).flush("detached")
    # What this process still has in memory is no longer stored.
    repo.lookup_snapshot(gone)
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
    missing = StorageError if spec == 1 else SnapshotNotFoundError
    for refer in (
        lambda: repo.create_tag("v1", gone),
        lambda: repo.create_branch("side", gone),
        lambda: repo.reset_branch("main", gone),
    ):
        with pytest.raises(missing):
            refer()
    assert (repo.list_branches(), repo.list_tags()) == ({"main"}, set())
