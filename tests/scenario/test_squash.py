"""Several commits made one."""

from __future__ import annotations

import pytest

import frazil
from frazil import (
    BasicConflictSolver,
    ConflictDetector,
    ConflictError,
    InvalidInputError,
    Repository,
    UpdateType,
)
from frazil.errors import ErrorKind, InternalError
from tests.scenario.trees import array, change, chunks, commit, content, get, group, tip

INITIAL = "1CECHNKREP0F1RSTCMT0"


def history(repo: Repository) -> list[str]:
    return [item.id for item in repo.ancestry(branch="main")]


@pytest.fixture
def commits(repo: Repository) -> list[str]:
    """Four commits on top of the initial snapshot."""
    return [
        commit(repo, {"": group(), "a": array([8]), **chunks("a", range(8), b"base")}),
        commit(repo, {"a/c/0": b"1", "b": group(), "gone": group()}),
        commit(repo, {"a/c/1": b"2", "a": array([8], k=1), "gone": None}),
        commit(repo, {"a/c/0": b"3", "b/x": array([1])}),
    ]


def test_a_squash_shows_the_same_in_one_commit(repo: Repository, commits: list[str]) -> None:
    before = content(tip(repo))
    whole = repo.diff(from_snapshot_id=commits[0], to_branch="main")
    id_ = repo.squash("main", commits[0], "squashed", metadata={"n": 3})
    assert history(repo) == [id_, commits[0], INITIAL]
    assert content(tip(repo)) == before
    assert repo.diff(from_snapshot_id=commits[0], to_branch="main") == whole
    info = repo.lookup_snapshot(id_)
    assert (info.message, info.metadata, info.parent_id) == ("squashed", {"n": 3}, commits[0])
    assert repo.list_manifest_files(id_) == repo.list_manifest_files(commits[3])


def test_all_of_a_history(repo: Repository, commits: list[str]) -> None:
    before = content(tip(repo))
    id_ = repo.squash("main", INITIAL, "all")
    assert history(repo) == [id_, INITIAL]
    assert content(tip(repo)) == before
    assert repo.diff(from_snapshot_id=INITIAL, to_branch="main").new_arrays == {"/a", "/b/x"}


def test_work_goes_on_after_a_squash(repo: Repository, commits: list[str]) -> None:
    repo.create_tag("before", commits[2])
    squashed = repo.squash("main", commits[0], "squashed")
    last = commit(repo, {"a/c/2": b"on top"})
    assert history(repo)[:2] == [last, squashed]
    assert get(repo.readonly_session(tag="before"), "a/c/0") == b"1"


@pytest.mark.parametrize("at", [1, 2, 3])
def test_sessions_on_squashed_commits(at: int) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=2)
    first = commit(repo, {"": group(), "a": array([8]), **chunks("a", range(8), b"base")})
    sessions = []
    for i in range(1, 4):
        commit(repo, {f"a/c/{i}": b"theirs"})
        sessions.append(change(repo.writable_session("main"), {"a/c/1": b"mine"}))
    squashed = repo.squash("main", first, "squashed")
    id_ = sessions[at - 1].commit("mine", rebase_with=ConflictDetector())
    assert history(repo)[:3] == [id_, squashed, first]
    assert [get(tip(repo), f"a/c/{i}") for i in range(5)] == [
        b"base",
        b"mine",
        b"theirs",
        b"theirs",
        b"base",
    ]


def test_a_session_based_on_a_squashed_commit_of_spec_1() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=1)
    first = commit(repo, {"": group()})
    commit(repo, {"b": group()})
    session = change(repo.writable_session("main"), {"d": group()})
    repo.squash("main", first, "squashed")
    with pytest.raises(InternalError) as caught:
        session.rebase(BasicConflictSolver())
    assert caught.value.kind == ErrorKind.CONFLICTING_PATH_NOT_FOUND


def test_the_log_of_operations(commits: list[str], repo: Repository) -> None:
    id_ = repo.squash("main", commits[0], "squashed")
    if repo.spec_version == 2:
        assert next(repo.ops_log()).kind == UpdateType.CommitAmended("main", commits[3], id_)


def test_what_cannot_be_squashed(repo: Repository, commits: list[str]) -> None:
    repo.create_branch("dev", commits[1])
    for branch, start in (("main", commits[3]), ("dev", commits[2])):
        with pytest.raises(InvalidInputError, match="no commits to squash") as caught:
            repo.squash(branch, start, "no")
        assert caught.value.kind == ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF
    with pytest.raises(frazil.RefNotFoundError):
        repo.squash("nowhere", commits[0], "no")
    assert history(repo) == [*reversed(commits), INITIAL]


def test_a_branch_that_moves_meanwhile(spec: int) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    first = commit(repo, {"": group()})
    commit(repo, {"b": group()})
    library = repo._core.library
    write, other = library.write_snapshot, Repository.open(repo.storage)

    def late(snapshot: object) -> None:
        commit(other, {"d": group()}, "faster")
        write(snapshot)  # type: ignore[arg-type]

    library.write_snapshot = late  # type: ignore[method-assign]
    with pytest.raises(ConflictError) as caught:
        repo.squash("main", first, "no")
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    assert next(repo.ancestry(branch="main")).message == "faster"


def test_missing_logs_are_made_up_for(repo: Repository, commits: list[str]) -> None:
    whole = repo.diff(from_snapshot_id=commits[0], to_branch="main")
    repo.storage.backend().delete([f"transactions/{commits[2]}"])
    again = Repository.open(repo.storage)
    again.squash("main", commits[0], "squashed")
    found = again.diff(from_snapshot_id=commits[0], to_branch="main")
    assert found.updated_chunks == whole.updated_chunks
    assert found.updated_arrays == whole.updated_arrays
    assert found.new_groups == whole.new_groups


async def test_the_twin(repo: Repository, commits: list[str]) -> None:
    id_ = await repo.squash_async("main", commits[1], "squashed")
    assert history(repo)[:2] == [id_, commits[1]]
