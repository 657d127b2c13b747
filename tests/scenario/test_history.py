"""Looking back: ancestry, times, differences, the operations log, the drawing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import frazil
from frazil import Diff, Repository, RepositoryConfig, UpdateType
from frazil.errors import (
    ErrorKind,
    FormatError,
    InvalidInputError,
    RefNotFoundError,
    SnapshotNotFoundError,
)
from tests.scenario.trees import array, change, chunks, commit, get, group, grown, tip

MICROSECOND = timedelta(microseconds=1)


def three(repo: Repository) -> list[str]:
    """Three commits; the initial snapshot and theirs, oldest first."""
    initial = repo.lookup_branch("main")
    return [
        initial,
        grown(repo),
        commit(repo, chunks("a", [0], b"two"), "two"),
        commit(repo, chunks("a", [0, 1], b"three"), "three"),
    ]


# Ancestry


def test_ancestry_from_everywhere(repo: Repository) -> None:
    initial, one, two, last = three(repo)
    repo.create_tag("t", two)
    repo.create_branch("dev", one)
    assert [item.id for item in repo.ancestry(branch="main")] == [last, two, one, initial]
    assert [item.id for item in repo.ancestry(tag="t")] == [two, one, initial]
    assert [item.id for item in repo.ancestry(branch="dev")] == [one, initial]
    assert [item.id for item in repo.ancestry(snapshot_id=initial)] == [initial]
    for item in repo.ancestry(branch="main"):
        assert repo.lookup_snapshot(item.id) == item


@pytest.mark.parametrize(
    "arguments", [{}, {"branch": "main", "tag": "t"}, {"tag": "t", "snapshot_id": "x"}]
)
def test_exactly_one_start(repo: Repository, arguments: dict[str, str]) -> None:
    for call in (repo.ancestry, repo.readonly_session):
        with pytest.raises(ValueError, match="exactly one"):
            call(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="exactly one"):
        repo.diff(**{f"from_{k}": v for k, v in arguments.items()}, to_branch="main")  # type: ignore[arg-type]


async def test_ancestry_without_waiting(repo: Repository) -> None:
    for i in range(120):
        commit(repo, {"": group(i=i)})
    found = [item.id async for item in repo.async_ancestry(branch="main")]
    assert found == [item.id for item in repo.ancestry(branch="main")]
    assert len(found) == 121
    with pytest.raises(RefNotFoundError):
        [item async for item in repo.async_ancestry(branch="missing")]


def test_the_drawing_shows_every_branch_once(repo: Repository) -> None:
    initial, one, _, last = three(repo)
    repo.create_branch("dev", one)
    repo.create_tag("t", one)
    session = change(repo.writable_session("dev"), {"g": group()})
    dev = session.commit("on dev")
    text = str(repo.ancestry_graph(plain=True))
    for id_ in (initial, one, last, dev):
        assert text.count(id_[:8]) == 1
    assert "(main)" in text
    assert "(dev)" in text
    assert "(t)" in text
    assert "on dev" not in str(repo.ancestry_graph(branch="main", plain=True))
    assert "three" not in str(repo.ancestry_graph(snapshot_id=dev, plain=True))
    assert "three" not in str(repo.ancestry_graph(tag="t", plain=True))


# As of


def test_the_newest_version_that_is_old_enough(repo: Repository) -> None:
    history = {item.id: item for item in repo.ancestry(snapshot_id=three(repo)[-1])}
    for id_, item in history.items():
        assert repo.readonly_session("main", as_of=item.written_at).snapshot_id == id_
        if item.parent_id is not None:
            earlier = item.written_at - MICROSECOND
            assert repo.readonly_session("main", as_of=earlier).snapshot_id == item.parent_id
    future = datetime.now(timezone(timedelta(hours=5))) + timedelta(days=1)
    assert repo.readonly_session("main", as_of=future).snapshot_id == repo.lookup_branch("main")


def test_times_before_the_beginning_and_times_without_a_zone(repo: Repository) -> None:
    three(repo)
    with pytest.raises(SnapshotNotFoundError) as caught:
        repo.readonly_session("main", as_of=datetime(2001, 1, 1, tzinfo=UTC))
    assert caught.value.kind == ErrorKind.NO_SNAPSHOT_AT_TIME
    with pytest.raises(TypeError, match="timezone"):
        repo.readonly_session("main", as_of=datetime(2001, 1, 1))
    now = datetime.now(UTC)
    repo.create_tag("t", repo.lookup_branch("main"))
    for arguments in ({"tag": "t"}, {"snapshot_id": repo.lookup_branch("main")}):
        with pytest.raises(ValueError, match="as_of goes with a branch"):
            repo.readonly_session(**arguments, as_of=now)  # type: ignore[arg-type]
    with pytest.raises(RefNotFoundError):
        repo.readonly_session("missing", as_of=now)


# Differences


def test_the_difference_over_several_commits(repo: Repository) -> None:
    first = commit(
        repo,
        {
            "": group(),
            "a": array([9]),
            "gone": group(),
            "gone/a": array([2]),
            "gone/a/c/0": b"x",
            "again": array([2]),
            "again/c/0": b"old",
            **chunks("a", range(9), b"base"),
        },
    )
    commit(repo, {"g": group(), "gone": None, "brief": array([2]), "brief/c/1": b"x"})
    commit(repo, {"brief": None, "g": group(later=1), **chunks("a", [8, 1], b"x"), "a/c/2": None})
    commit(repo, {"again": None, **chunks("a", [1, 0], b"y")})
    last = commit(repo, {"again": array([2]), "again/c/1": b"new", "a": array([8])})
    diff = repo.diff(from_snapshot_id=first, to_snapshot_id=last)
    assert diff.new_groups == {"/g"}
    assert diff.updated_groups == {"/g"}
    assert diff.deleted_groups == {"/gone"}
    assert diff.deleted_arrays == {"/gone/a", "/again"}
    assert diff.new_arrays == {"/again"}
    assert diff.updated_arrays == {"/a"}
    assert diff.updated_chunks == {"/a": [[0], [1], [2], [8]], "/again": [[1]]}
    assert diff.moved_nodes == []
    assert not diff.is_empty()


def test_the_difference_of_an_array_that_was_cut(repo: Repository) -> None:
    grown(repo, 4)
    session = repo.writable_session("main")
    change(session, {"a/c/3": None, "a/c/2": b"x", "a": array([2])})
    assert session.status().updated_chunks == {"/a": [[2], [3]]}
    before, after = tip(repo).snapshot_id, session.commit("cut")
    assert repo.diff(from_snapshot_id=before, to_snapshot_id=after).updated_chunks == {
        "/a": [[2], [3]]
    }


def test_the_difference_can_be_asked_for_by_any_name(repo: Repository) -> None:
    _, one, two, _ = three(repo)
    repo.create_tag("one", one)
    repo.create_branch("two", two)
    by_id = repo.diff(from_snapshot_id=one, to_snapshot_id=two)
    assert by_id.updated_chunks == {"/a": [[0]]}
    assert repo.diff(from_tag="one", to_branch="two") == by_id
    assert repo.diff(from_branch="two", to_branch="main").updated_chunks == {"/a": [[0], [1]]}


def test_a_commit_without_changes_has_an_empty_difference(repo: Repository) -> None:
    one = grown(repo)
    repo.writable_session("main").commit("empty", allow_empty=True)
    diff = repo.diff(from_snapshot_id=one, to_branch="main")
    assert diff.is_empty()
    assert diff == Diff()


def test_the_older_version_comes_first(repo: Repository) -> None:
    _, one, two, last = three(repo)
    repo.create_branch("dev", one)
    dev = change(repo.writable_session("dev"), {"g": group()}).commit("aside")
    for older, newer in ((last, one), (two, two), (dev, last), (last, dev)):
        text = "there is nothing between them" if older == newer else "give the older version first"
        with pytest.raises(InvalidInputError, match=text) as caught:
            repo.diff(from_snapshot_id=older, to_snapshot_id=newer)
        assert caught.value.kind == ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF


def test_the_difference_from_the_beginning(repo: Repository) -> None:
    initial, *_ = three(repo)
    diff = repo.diff(from_snapshot_id=initial, to_branch="main")
    assert diff.new_groups == {"/"}
    assert diff.new_arrays == {"/a"}
    assert len(diff.updated_chunks["/a"]) == 8


def test_what_is_not_recorded_any_more_is_missing_in_the_difference(
    repo: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    _, one, two, _ = three(repo)
    repo.storage.backend().delete([f"transactions/{two}"])
    reopened = Repository.open(repo.storage)
    diff = reopened.diff(from_snapshot_id=one, to_branch="main")
    assert diff.updated_chunks == {"/a": [[0], [1]]}
    assert two in caplog.text


# The operations log


@pytest.mark.parametrize("per_file", [1, 2, 3, 1000])
def test_the_log_has_everything_however_it_is_cut(storage: frazil.Storage, per_file: int) -> None:
    repo = Repository.create(storage, RepositoryConfig(num_updates_per_repo_info_file=per_file))
    expected: list[dict[str, Any]] = [{"type": "RepoInitialized"}]
    for i in range(4):
        snapshot = commit(repo, {"": group(i=i)})
        repo.create_tag(f"t{i}", snapshot)
        expected += [
            {"type": "NewCommit", "branch": "main", "new_snap_id": snapshot},
            {"type": "TagCreated", "name": f"t{i}"},
        ]
    for opened in (repo, Repository.open(storage)):
        log = list(opened.ops_log())
        found = [{"type": type(u.kind).__name__, **_fields(u.kind)} for u in log]
        assert found == expected[::-1]
        times = [update.updated_at for update in log]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == len(times)
        assert log[0].backup_path is None
        backups = [update.backup_path for update in log[1:]]
        assert all(storage.backend().exists(f"overwritten/{backup}") for backup in backups)
        assert len(set(backups)) == len(backups)


def _fields(kind: UpdateType) -> dict[str, Any]:
    names = ("branch", "new_snap_id", "previous_snap_id", "name")
    return {name: getattr(kind, name) for name in names if hasattr(kind, name)}


def test_every_change_is_in_the_log(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    initial, one = repo.lookup_branch("main"), grown(repo)
    repo.create_branch("dev", one)
    repo.reset_branch("dev", initial)
    repo.delete_branch("dev")
    repo.create_tag("t", one)
    repo.delete_tag("t")
    repo.save_config()
    change(repo.writable_session("main"), {"g": group()}).amend("again")
    repo.writable_session("main").flush("aside")
    found = [(type(u.kind).__name__, _fields(u.kind)) for u in repo.ops_log()]
    amended = repo.lookup_branch("main")
    assert found[::-1][2:] == [
        ("BranchCreated", {"name": "dev"}),
        ("BranchReset", {"name": "dev", "previous_snap_id": one}),
        ("BranchDeleted", {"name": "dev", "previous_snap_id": initial}),
        ("TagCreated", {"name": "t"}),
        ("TagDeleted", {"name": "t", "previous_snap_id": one}),
        ("ConfigChanged", {}),
        (
            "CommitAmended",
            {"branch": "main", "previous_snap_id": one, "new_snap_id": amended},
        ),
        ("NewDetachedSnapshot", {"new_snap_id": found[0][1]["new_snap_id"]}),
    ]
    assert repo.lookup_snapshot(found[0][1]["new_snap_id"]).message == "aside"


async def test_the_log_without_waiting(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    three(repo)
    assert [u async for u in repo.ops_log_async()] == list(repo.ops_log())


def test_spec_1_has_no_operations_log(storage: frazil.Storage) -> None:
    repo = Repository.create(storage, spec_version=1)
    with pytest.raises(FormatError, match="spec 2") as caught:
        repo.ops_log()
    assert caught.value.kind == ErrorKind.UNSUPPORTED_SPEC_VERSION


def test_reading_old_versions_needs_nothing_else(repo: Repository) -> None:
    _, *ids = three(repo)
    values = []
    for id_ in ids:
        values.append(get(Repository.open(repo.storage).readonly_session(snapshot_id=id_), "a/c/0"))
    assert values == [b"base", b"two", b"three"]
