"""Commits, amendments, flushes and transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from zarr.core.buffer import cpu

import frazil
from frazil import ConflictDetector, ConflictError, Repository
from frazil.errors import (
    ErrorKind,
    FormatError,
    RefNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
    StorageError,
)
from frazil.format.snapshot import NodeKind
from frazil.format.transaction_log import Move
from frazil.ids import NodeId, SnapshotId
from frazil.storage.doubles import Fault, Faulty, Slow, Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere, everywhere_alike, storage_around
from tests.scenario.trees import array, change, chunks, commit, content, get, group, grown, tip

METADATA: dict[str, Any] = {
    "text": "ünïcode",
    "number": 1,
    "negative": -(2**40),
    "float": 1.5,
    "yes": True,
    "nothing": None,
    "list": [1, "two", [3.0], {}],
    "map": {"a": {"b": []}},
    "": "no name",
}


@pytest.fixture
def repo2(storage: frazil.Storage) -> Repository:
    return Repository.create(storage, spec_version=2)


@everywhere
def test_a_commit_is_the_next_of_its_branch(repo: Repository) -> None:
    before = datetime.now(UTC)
    first = commit(repo, {"": group()}, "one\ntwo ünïcode")
    session = change(repo.writable_session("main"), {"a": array([2])})
    second = session.commit("second")
    assert repo.lookup_branch("main") == second == session.snapshot_id
    history = list(repo.ancestry(branch="main"))
    assert [item.message for item in history] == [
        "second",
        "one\ntwo ünïcode",
        "Repository initialized",
    ]
    assert [item.id for item in history][:2] == [second, first]
    assert [item.parent_id for item in history] == [first, history[2].id, None]
    times = [item.written_at for item in history]
    assert times == sorted(times, reverse=True)
    assert before <= history[1].written_at <= datetime.now(UTC)


def test_metadata_of_all_kinds(repo: Repository) -> None:
    snapshot = commit(repo, {"": group()}, metadata=METADATA)
    assert repo.lookup_snapshot(snapshot).metadata == METADATA
    reopened = Repository.open(repo.storage)
    assert reopened.lookup_snapshot(snapshot).metadata == METADATA
    (newest, _) = reopened.ancestry(branch="main")
    assert newest.metadata == METADATA


def test_default_metadata_goes_under_that_of_the_commit(repo: Repository) -> None:
    early = repo.writable_session("main")
    repo.set_default_commit_metadata({"who": "me", "why": "default"})
    assert repo.default_commit_metadata() == {"who": "me", "why": "default"}
    late = commit(repo, {"": group()}, metadata={"why": "given", "n": 1})
    assert repo.lookup_snapshot(late).metadata == {"who": "me", "why": "given", "n": 1}
    # As a session was opened, so it commits.
    snapshot = change(early, {"x": group()}).commit("x", rebase_with=ConflictDetector())
    assert "who" not in repo.lookup_snapshot(snapshot).metadata
    assert Repository.open(repo.storage).default_commit_metadata() == {}
    repo.set_default_commit_metadata({})
    assert repo.lookup_snapshot(commit(repo, {"y": group()})).metadata == {}


def test_a_commit_needs_changes_unless_told_otherwise(repo: Repository) -> None:
    before = grown(repo)
    session = repo.writable_session("main")
    with pytest.raises(SessionStateError, match="allow_empty") as caught:
        session.commit("nothing")
    assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT
    assert repo.lookup_branch("main") == before
    empty = session.commit("nothing", allow_empty=True)
    assert repo.lookup_snapshot(empty).parent_id == before
    assert content(tip(repo)) == content(repo.readonly_session(snapshot_id=before))


def test_a_session_is_committed_once(repo: Repository) -> None:
    session = change(repo.writable_session("main"), {"": group()})
    session.commit("once")
    for again in (session.commit, session.amend) if repo.spec_version == 2 else (session.commit,):
        with pytest.raises(SessionStateError, match="read-only") as caught:
            again("twice")
        assert caught.value.kind == ErrorKind.COMMIT_NOT_ALLOWED


@everywhere
def test_who_comes_second_is_told_and_keeps_the_changes(repo: Repository) -> None:
    base = grown(repo)
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    theirs = commit(repo, chunks("a", [1], b"theirs"))
    for _ in range(2):
        with pytest.raises(ConflictError) as caught:
            session.commit("mine")
        assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
        assert caught.value.expected_parent == base
        assert caught.value.actual_parent == theirs
        assert f'expected parent: Some("{base}")' in str(caught.value)
    assert repo.lookup_branch("main") == theirs
    assert session.has_uncommitted_changes
    assert not session.read_only
    assert get(session, "a/c/0") == b"mine"
    session.rebase(ConflictDetector())
    session.commit("mine")
    assert [get(tip(repo), f"a/c/{i}") for i in range(3)] == [b"mine", b"theirs", b"base"]


def test_commits_to_other_branches_are_in_nobodys_way(repo: Repository) -> None:
    base = grown(repo)
    repo.create_branch("dev", base)
    session = repo.writable_session("dev")
    assert session.branch == "dev"
    main = commit(repo, chunks("a", [0], b"main"))
    dev = change(session, chunks("a", [0], b"dev")).commit("dev")
    assert repo.lookup_branch("main") == main
    assert repo.lookup_branch("dev") == dev
    assert repo.lookup_snapshot(dev).parent_id == repo.lookup_snapshot(main).parent_id == base
    assert get(repo.readonly_session("dev"), "a/c/0") == b"dev"


@everywhere
def test_a_branch_that_is_gone(repo: Repository) -> None:
    repo.create_branch("dev", grown(repo))
    session = change(repo.writable_session("dev"), {"g": group()})
    repo.delete_branch("dev")
    for call in (
        lambda: session.commit("x"),
        lambda: session.commit("x", rebase_with=ConflictDetector()),
        lambda: session.rebase(ConflictDetector()),
    ):
        with pytest.raises(RefNotFoundError, match="dev") as caught:
            call()
        assert caught.value.kind == ErrorKind.BRANCH_NOT_FOUND
    assert repo.list_branches() == {"main"}
    repo.create_branch("dev", session.snapshot_id)
    session.commit("x")


def test_a_commit_writes_only_what_it_changes(storage: frazil.Storage, spec: int) -> None:
    repo = Repository.create(storage, spec_version=spec)
    commit(
        repo,
        {
            "": group(),
            **{f"a{i}": array([4]) for i in range(5)},
            **{f"a{i}/c/0": b"x" for i in range(5)},
        },
    )
    before = {key for key, _ in storage.list_objects()}
    snapshot = commit(repo, {"a3/c/1": b"y", "a4": array([4], attribute=1)})
    written = {key for key, _ in storage.list_objects()} - before
    folders = sorted(key.partition("/")[0] for key in written)
    backup = ["overwritten"] if spec == 2 else []
    assert folders == ["manifests", *backup, "snapshots", "transactions"]
    assert f"snapshots/{snapshot}" in written


@pytest.mark.parametrize("step", ["chunks", "manifests", "snapshots", "transactions", "reference"])
@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_fails_a_commit_can_be_tried_again(spec: int, step: str, fault: Fault) -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: None)
    repo = Repository.create(storage_around(backend), spec_version=spec)
    base = grown(repo)
    session = change(repo.writable_session("main"), {"a/c/0": bytes(600), "g": group()})
    folder = ("repo" if spec == 2 else "refs") if step == "reference" else step
    backend.plan = lambda operation, key: fault if key.partition("/")[0] == folder else None
    if step == "reference":  # reading it works
        backend.plan = lambda operation, key: fault if (operation, key) in _SWAPS else None
    if step == "reference" and fault is Fault.LOST:
        done = session.commit("made, though the answer is lost")
        assert repo.lookup_branch("main") == done
    else:
        with pytest.raises(StorageError, match="as planned"):
            session.commit("fails")
        backend.plan = lambda operation, key: None
        assert repo.lookup_branch("main") == base
        assert get(session, "a/c/0") == bytes(600)
        done = session.commit("again")
    backend.plan = lambda operation, key: None
    view = repo.readonly_session(snapshot_id=done)
    assert get(view, "a/c/0") == bytes(600)
    assert get(view, "g") == group()


_SWAPS = {("put", "repo"), ("put", "refs/branch.main/ref.json")}


def test_a_storage_behind_a_network(spec: int) -> None:
    repo = Repository.create(storage_around(Slow(MemoryBackend())), spec_version=spec)
    grown(repo)
    session = change(repo.writable_session("main"), {"a/c/0": bytes(600)})
    session.commit("from afar", rebase_with=ConflictDetector())
    assert get(tip(Repository.open(repo.storage)), "a/c/0") == bytes(600)


# Amending


@everywhere_alike
def test_an_amended_commit_takes_the_place_of_the_tip(repo2: Repository) -> None:
    base = grown(repo2)
    replaced = commit(repo2, {"a/c/0": b"one", "g": group()}, "first try", metadata={"a": 1})
    session = change(repo2.writable_session("main"), {"a/c/1": b"two", "h": group(), "g": None})
    amended = session.amend("second try", metadata={"b": 2})
    assert repo2.lookup_branch("main") == amended == session.snapshot_id
    assert session.read_only
    info = repo2.lookup_snapshot(amended)
    assert (info.parent_id, info.message, info.metadata) == (base, "second try", {"b": 2})
    assert [get(tip(repo2), f"a/c/{i}") for i in range(3)] == [b"one", b"two", b"base"]
    assert repo2.lookup_snapshot(replaced).message == "first try"  # still listed
    assert get(repo2.readonly_session(snapshot_id=replaced), "a/c/1") == b"base"
    assert [item.id for item in repo2.ancestry(branch="main")][:2] == [amended, base]
    diff = repo2.diff(from_snapshot_id=base, to_snapshot_id=amended)
    assert diff.updated_chunks == {"/a": [[0], [1]]}
    assert diff.new_groups == {"/h"}  # g is in neither of the two
    newest = next(repo2.ops_log()).kind
    assert isinstance(newest, frazil.UpdateType.CommitAmended)
    assert (newest.previous_snap_id, newest.new_snap_id) == (replaced, amended)


def test_amending_the_message_alone(repo2: Repository) -> None:
    grown(repo2)
    tree = content(tip(repo2))
    session = repo2.writable_session("main")
    with pytest.raises(SessionStateError) as caught:
        session.amend("better words")
    assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT
    session.amend("better words", allow_empty=True)
    assert next(repo2.ancestry(branch="main")).message == "better words"
    assert content(tip(repo2)) == tree


def test_an_array_of_another_rank_can_be_amended(repo2: Repository) -> None:
    commit(repo2, {"": group(), "a": array([2]), "a/c/0": b"x"})
    commit(repo2, {"a/c/1": b"x"})
    session = change(repo2.writable_session("main"), {"a": array([2, 2]), "a/c/1/1": b"y"})
    session.amend("two dimensions")
    assert get(tip(repo2), "a/c/1/1") == b"y"
    diff = repo2.diff(
        from_snapshot_id=repo2.lookup_snapshot(repo2.lookup_branch("main")).parent_id,
        to_branch="main",
    )
    assert diff.updated_chunks == {"/a": [[1, 1]]}


def test_only_the_tip_can_be_amended(repo2: Repository) -> None:
    base = grown(repo2)
    session = change(repo2.writable_session("main"), {"g": group()})
    theirs = commit(repo2, {"h": group()})
    with pytest.raises(ConflictError) as caught:
        session.amend("too late")
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    assert (caught.value.expected_parent, caught.value.actual_parent) == (base, theirs)
    assert session.has_uncommitted_changes


def test_the_first_commit_cannot_be_amended(repo2: Repository) -> None:
    with pytest.raises(SessionStateError) as caught:
        change(repo2.writable_session("main"), {"": group()}).amend("x")
    assert caught.value.kind == ErrorKind.NO_AMEND_FOR_INITIAL_COMMIT


def test_there_is_no_amending_in_spec_1(storage: frazil.Storage) -> None:
    repo = Repository.create(storage, spec_version=1)
    grown(repo)
    session = change(repo.writable_session("main"), {"g": group()})
    with pytest.raises(FormatError, match="spec 2") as caught:
        session.amend("x")
    assert caught.value.kind == ErrorKind.UNSUPPORTED_SPEC_VERSION
    session.commit("x")


def test_an_amendment_that_is_overtaken_is_none() -> None:
    backend = Overtaken(MemoryBackend())
    repo = Repository.create(storage_around(backend), spec_version=2)
    base = grown(repo)
    session = change(repo.writable_session("main"), {"g": group()})
    backend.before = lambda: commit(repo, {"h": group()})
    with pytest.raises(ConflictError) as caught:
        session.amend("too late")
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    assert caught.value.expected_parent == base
    assert get(tip(repo), "g") is None


class Overtaken(Wrapper):
    """Does something else before the next swap of the repo object."""

    before: Callable[[], object] | None = None

    def put(self, key, data, *, mode=None, content_type=None):  # type: ignore[no-untyped-def]
        before = self.before
        if before is not None and key == "repo":
            self.before = None
            before()
        return self.inner.put(key, data, mode=mode, content_type=content_type)


def test_a_commit_that_moves_nodes_is_not_amended_with_other_changes(repo2: Repository) -> None:
    moved = grown(repo2)
    library = Repository.open(repo2.storage)._core.library
    log = library.transaction_log(SnapshotId.parse(moved))
    move = Move("/b", "/a", NodeId(bytes(8)), NodeKind.ARRAY)
    library.write_log(replace(log, moves=(move,)))
    repo = Repository.open(repo2.storage)
    with pytest.raises(SessionStateError, match="moves nodes") as caught:
        change(repo.writable_session("main"), {"g": group()}).amend("x")
    assert caught.value.kind == ErrorKind.REARRANGE_SESSION_ONLY


# Flushing


@everywhere
def test_a_flushed_snapshot_is_on_no_branch(repo: Repository) -> None:
    base = grown(repo)
    repo.set_default_commit_metadata({"who": "me"})
    session = change(repo.writable_session("main"), {"a/c/0": bytes(600)})
    detached = session.flush("aside", metadata={"n": 1})
    assert repo.lookup_branch("main") == base
    assert session.read_only
    assert session.branch is None
    assert session.snapshot_id == detached
    info = repo.lookup_snapshot(detached)
    assert (info.parent_id, info.message) == (base, "aside")
    assert info.metadata == {"who": "me", "n": 1}
    again = Repository.open(repo.storage).readonly_session(snapshot_id=detached)
    assert get(again, "a/c/0") == bytes(600)
    assert [item.id for item in repo.ancestry(snapshot_id=detached)][:2] == [detached, base]
    repo.create_branch("aside", detached)
    repo.create_tag("aside", detached)
    assert get(repo.readonly_session("aside"), "a/c/0") == bytes(600)
    if repo.spec_version == 2:
        kinds = [type(update.kind).__name__ for update in repo.ops_log()][:3]
        assert kinds == ["TagCreated", "BranchCreated", "NewDetachedSnapshot"]


def test_flushing_needs_no_changes_and_no_branch(repo: Repository) -> None:
    base = grown(repo)
    for session in (repo.writable_session("main"), repo.readonly_session("main")):
        detached = session.flush("the same")
        assert detached != base
        assert repo.lookup_snapshot(detached).parent_id == base
        assert content(repo.readonly_session(snapshot_id=detached)) == content(tip(repo))


# Transactions


def test_a_transaction_commits_at_its_end(repo: Repository) -> None:
    with repo.transaction("main", message="inside", metadata={"n": 1}) as store:
        store.set_sync("zarr.json", cpu.Buffer.from_bytes(group()))
        assert repo.lookup_branch("main") == store.session.snapshot_id
    newest = next(repo.ancestry(branch="main"))
    assert (newest.message, newest.metadata) == ("inside", {"n": 1})
    assert get(tip(repo), "") == group()


def test_a_transaction_that_fails_commits_nothing(repo: Repository) -> None:
    before = grown(repo)

    def fail() -> None:
        with repo.transaction("main", message="never") as store:
            store.set_sync("g/zarr.json", cpu.Buffer.from_bytes(group()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert repo.lookup_branch("main") == before


def test_a_transaction_must_change_something(repo: Repository) -> None:
    with pytest.raises(SessionStateError) as caught, repo.transaction("main", message="x"):
        pass
    assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT


@everywhere
def test_a_transaction_can_rebase(repo: Repository) -> None:
    grown(repo)
    with repo.transaction("main", message="mine", rebase_with=ConflictDetector()) as store:
        store.set_sync("a/c/0", cpu.Buffer.from_bytes(b"mine"))
        commit(repo, chunks("a", [1], b"theirs"))
    newest = next(repo.ancestry(branch="main"))
    assert newest.metadata == {"__icechunk": {"rebase_attempts": 1}}
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [b"mine", b"theirs"]


def test_a_transaction_that_may_not_rebase_is_told_of_the_conflict(repo: Repository) -> None:
    grown(repo)

    def lose() -> None:
        with repo.transaction(
            "main", message="mine", rebase_with=ConflictDetector(), rebase_tries=0
        ) as store:
            store.set_sync("a/c/0", cpu.Buffer.from_bytes(b"mine"))
            commit(repo, chunks("a", [2], b"theirs"))

    with pytest.raises(ConflictError) as caught:
        lose()
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT


def test_a_snapshot_that_nobody_knows(repo: Repository) -> None:
    for call in (
        lambda: repo.lookup_snapshot("0" * 20),
        lambda: repo.readonly_session(snapshot_id="0" * 20),
        lambda: list(repo.ancestry(snapshot_id="0" * 20)),
        lambda: repo.list_manifest_files("0" * 20),
    ):
        expected = (StorageError, "object-not-found")
        if repo.spec_version == 2:
            expected = (SnapshotNotFoundError, "snapshot-not-found")
        with pytest.raises(expected[0]) as caught:
            call()
        assert caught.value.kind == expected[1]
