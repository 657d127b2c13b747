"""Sessions whose base was amended meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

import frazil
from frazil import (
    BasicConflictSolver,
    Conflict,
    ConflictDetector,
    ConflictError,
    ConflictType,
    MetadataMergeSolver,
    RebaseFailedError,
    Repository,
)
from frazil.errors import ErrorKind, InternalError
from tests.scenario.trees import array, change, chunks, commit, content, get, group, tip

DETECTOR = ConflictDetector()


@pytest.fixture
def repo(storage: frazil.Storage) -> Repository:
    repo = Repository.create(storage, spec_version=2)
    commit(repo, {"": group(), "a": array([8]), **chunks("a", range(8), b"base")})
    return repo


def amend(repo: Repository, changes: dict[str, Any]) -> str:
    return change(repo.writable_session("main"), changes).amend("amended")


def test_a_session_goes_on_from_the_amended_commit(repo: Repository) -> None:
    commit(repo, {"a/c/0": b"replaced", "a/c/1": b"replaced"})
    session = change(repo.writable_session("main"), {"a/c/0": b"mine"})
    amended = amend(repo, {"a/c/1": b"amended", "a/c/2": b"amended"})
    id_ = session.commit("mine", rebase_with=DETECTOR)
    assert [item.id for item in repo.ancestry(branch="main")][:2] == [id_, amended]
    # The replaced commit wrote chunk 0 too, but that is what the session started from.
    found = [get(tip(repo), f"a/c/{i}") for i in range(4)]
    assert found == [b"mine", b"amended", b"amended", b"base"]


def test_what_the_amendment_changed_is_in_conflict(repo: Repository) -> None:
    commit(repo, {"a/c/0": b"replaced"})
    session = change(repo.writable_session("main"), {"a/c/0": b"mine", "a/c/1": b"mine"})
    amended = amend(repo, {"a/c/1": b"amended", "a": array([8], k=1)})
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(DETECTOR)
    assert caught.value.snapshot == amended
    assert caught.value.conflicts == [
        Conflict(ConflictType.ChunksUpdatedInUpdatedArray, "/a"),
        Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[1]]),
    ]
    session.commit("mine", rebase_with=MetadataMergeSolver())
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [b"mine", b"mine"]


def test_nodes_of_the_replaced_commit(repo: Repository) -> None:
    commit(repo, {"new": group(), "b": array([2]), "b/c/0": b"replaced"})
    session = change(repo.writable_session("main"), {"b/c/1": b"mine", "new/deep": group()})
    amend(repo, {"b/c/0": b"amended", "other": group()})
    session.commit("mine", rebase_with=DETECTOR)
    assert {"b/zarr.json", "new/deep/zarr.json", "other/zarr.json"} <= content(tip(repo)).keys()
    assert [get(tip(repo), f"b/c/{i}") for i in range(2)] == [b"amended", b"mine"]


def test_amended_twice_with_commits_between(repo: Repository) -> None:
    session = change(repo.writable_session("main"), {"a/c/7": b"mine"})
    amend(repo, {"a/c/0": b"1"})
    behind = change(repo.writable_session("main"), {"a/c/6": b"mine too"})
    amend(repo, {"a/c/1": b"2"})
    commit(repo, {"a/c/2": b"3"})
    last = change(repo.writable_session("main"), {"a/c/5": b"mine as well"})
    amend(repo, {"a/c/3": b"4"})
    commit(repo, {"a/c/4": b"5"})
    for late in (session, behind, last):
        late.commit("late", rebase_with=DETECTOR)
    found = [get(tip(repo), f"a/c/{i}") for i in range(8)]
    assert found == [b"1", b"2", b"3", b"4", b"5", b"mine as well", b"mine too", b"mine"]


def test_an_amendment_that_deletes_an_array(repo: Repository) -> None:
    session = change(repo.writable_session("main"), {"a/c/0": b"mine"})
    amend(repo, {"a": None})
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(BasicConflictSolver())
    assert caught.value.conflicts == [Conflict(ConflictType.ChunksUpdatedInDeletedArray, "/a")]


def test_amending_itself_does_not_retry(repo: Repository) -> None:
    session = change(repo.writable_session("main"), {"a/c/0": b"mine"})
    amend(repo, {"a/c/1": b"theirs"})
    with pytest.raises(ConflictError) as caught:
        session.amend("mine")
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    session.rebase(DETECTOR)
    session.amend("mine")
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [b"mine", b"theirs"]
    assert len(list(repo.ancestry(branch="main"))) == 2


def test_amendments_of_other_branches_do_not_count(repo: Repository) -> None:
    first = commit(repo, {"a/c/0": b"x"})
    repo.create_branch("dev", first)
    change(repo.writable_session("dev"), {"a/c/1": b"dev"}).amend("on dev")
    session = change(repo.writable_session("main"), {"a/c/2": b"mine"})
    (before,) = [info.parent_id for info in repo.ancestry(branch="main") if info.id == first]
    assert before is not None
    repo.reset_branch("main", repo.lookup_branch("dev"))
    with pytest.raises(InternalError) as caught:
        session.rebase(DETECTOR)
    assert caught.value.kind == ErrorKind.CONFLICTING_PATH_NOT_FOUND


def test_the_replaced_snapshot_was_collected(repo: Repository) -> None:
    replaced = commit(repo, {"a/c/0": b"replaced"})
    elsewhere = Repository.open(repo.storage)  # with caches of its own
    session = change(elsewhere.writable_session("main"), {"a/c/1": b"mine"})
    manifests = {item.id for item in repo.list_manifest_files(replaced)}
    amend(repo, {"a/c/2": b"amended"})
    kept = {item.id for item in repo.list_manifest_files(repo.lookup_branch("main"))}
    repo.storage.backend().delete(f"manifests/{id_}" for id_ in manifests - kept)
    session.commit("mine", rebase_with=DETECTOR)
    found = [get(tip(repo), f"a/c/{i}") for i in range(3)]
    assert found == [b"replaced", b"mine", b"amended"]
