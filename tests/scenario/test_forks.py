"""Forks of sessions: what they see, how they come back, what is refused."""

from __future__ import annotations

import asyncio
import gc
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import frazil
from frazil import ForkSession, IcechunkError, ReadOnlyError, SessionStateError
from frazil.distributed import extract_session, merge_sessions
from frazil.session import Session
from frazil.storage.doubles import Fault, Faulty
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere, storage_around
from tests.scenario.test_resuming import CHANGES
from tests.scenario.trees import array, change, chunks, content, get, group, grown, keys, put, tip

Change = Callable[[Session], object]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sent(fork: ForkSession) -> ForkSession:
    """The fork as another process gets it."""
    again: ForkSession = pickle.loads(pickle.dumps(fork))
    return again


def snapshots(repo: frazil.Repository) -> set[str]:
    return {info.key for info in repo._core.library.backend.list("snapshots")}


def test_a_fork_shows_and_takes_what_a_session_does(repo: frazil.Repository) -> None:
    base = grown(repo)
    before = snapshots(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    assert isinstance(fork, ForkSession)
    assert isinstance(fork, frazil.Session)
    assert fork.mode is frazil.SessionMode.readonly
    assert not fork.read_only
    assert not fork.store.read_only
    assert fork.branch is None
    assert fork.snapshot_id == session.snapshot_id == base
    assert fork.store.session is fork
    assert fork != session
    change(fork, {"a/c/0": b"fork", "new": group(), "a/c/1": None})
    assert get(session, "a/c/0") == b"base"
    assert not session.has_uncommitted_changes
    assert snapshots(repo) == before
    session.merge(fork)
    assert content(session) == content(fork)
    assert fork.has_uncommitted_changes
    assert str(session.status()) == str(fork.status())
    id_ = session.commit("with a fork")
    assert [info.id for info in repo.ancestry(branch="main")][:2] == [id_, base]
    assert content(tip(repo)) == content(fork)


def test_a_fork_of_a_session_with_changes_sees_them(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    change(session, {"n": array([4]), "n/c/0": b"parent", "a/c/0": b"x" * 2000})
    base = session.snapshot_id
    fork = sent(session.fork())
    assert content(fork) == content(session)
    assert not fork.has_uncommitted_changes
    assert session.snapshot_id == base
    assert session.has_uncommitted_changes
    change(fork, {"n/c/1": b"fork", "a/c/1": b"fork" * 500})
    change(session, {"n/c/2": b"parent"})
    session.merge(sent(fork))
    expected = content(session)
    assert (expected["n/c/0"], expected["n/c/1"], expected["n/c/2"]) == (
        b"parent",
        b"fork",
        b"parent",
    )
    session.commit("all")
    assert content(tip(repo)) == expected
    assert [info.message for info in repo.ancestry(branch="main")][:2] == ["all", "grown"]


def test_forks_share_one_snapshot_while_the_session_stays_the_same(
    repo: frazil.Repository,
) -> None:
    session = repo.writable_session("main")
    put(session, "", group())
    forks = [session.fork() for _ in range(5)]
    assert len({fork.snapshot_id for fork in forks}) == 1
    put(session, "g", group())
    other = session.fork()
    assert other.snapshot_id != forks[0].snapshot_id
    assert keys(other) == ["g/zarr.json", "zarr.json"]
    if repo.spec_version == 2:
        kinds = [type(update.kind).__name__ for update in repo.ops_log()]
        assert kinds == ["NewDetachedSnapshot", "NewDetachedSnapshot", "RepoInitialized"]
    session.discard_changes()
    assert session.fork().snapshot_id == session.snapshot_id


def test_forks_of_forks(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"fork")
    grandchild = sent(sent(fork).fork())
    put(grandchild, "a/c/1", b"grandchild")
    assert get(grandchild, "a/c/0") == b"fork"
    session.merge(grandchild)  # holds what it did itself, no more
    assert [get(session, f"a/c/{i}") for i in range(3)] == [b"base", b"grandchild", b"base"]
    fork.merge(grandchild)
    session.merge(fork)
    session.commit("all")
    assert [get(tip(repo), f"a/c/{i}") for i in range(3)] == [b"fork", b"grandchild", b"base"]


def test_the_last_of_the_merged_forks_wins(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    put(session, "a/c/0", b"parent")
    forks = [repo.writable_session("main").fork() for _ in range(3)]
    for i, fork in enumerate(forks):
        change(fork, chunks("a", range(i, i + 3), b"fork %d" % i))
    session.merge(*forks)
    session.commit("all")
    values = [get(tip(repo), f"a/c/{i}") for i in range(6)]
    assert values == [b"fork 0", b"fork 1", b"fork 2", b"fork 2", b"fork 2", b"base"]


def test_a_conflict_leaves_the_session_as_it_was(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    put(session, "a/c/7", b"mine")
    forks = [session.fork() for _ in range(3)]
    put(forks[0], "a/c/0", b"fork")
    put(forks[1], "new", group())
    put(forks[2], "new", group())
    before = content(session)
    with pytest.raises(SessionStateError, match="/new was created by more than one") as caught:
        session.merge(*forks)
    assert caught.value.kind == "merge-failed"
    assert content(session) == before
    session.merge(forks[0], forks[2])
    session.discard_changes()
    session.commit("nothing", allow_empty=True)


def test_a_fork_fits_a_session_that_was_opened_later(repo: frazil.Repository) -> None:
    grown(repo)
    fork = sent(repo.writable_session("main").fork())
    change(fork, {"a/c/0": b"fork", "n": group()})
    with repo.transaction("main", message="meanwhile") as store:
        change(store.session, {"a/c/1": b"meanwhile"})
    session = repo.writable_session("main")
    session.merge(fork)
    session.commit("late")
    assert get(tip(repo), "a/c/0") == b"fork"
    assert get(tip(repo), "a/c/1") == b"meanwhile"


def test_a_session_with_forks_is_rebased_and_committed(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"fork")
    with repo.transaction("main", message="meanwhile") as store:
        change(store.session, {"a/c/1": b"meanwhile"})
    session.merge(fork)
    session.commit("rebased", rebase_with=frazil.ConflictDetector())
    assert get(tip(repo), "a/c/0") == b"fork"
    assert get(tip(repo), "a/c/1") == b"meanwhile"


def test_a_fork_of_another_repository_is_refused(spec: int) -> None:
    one, two = (
        frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec) for _ in range(2)
    )
    grown(one)
    grown(two)
    fork = one.writable_session("main").fork()
    put(fork, "new", group())
    session = two.writable_session("main")
    with pytest.raises(SessionStateError) as caught:
        session.merge(fork)
    assert caught.value.kind == "merge-failed"
    assert not session.has_uncommitted_changes


def test_pickling_stores_the_chunks_durably(
    tmp_path: Path, spec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path / "r"))
    repo = frazil.Repository.create(storage, spec_version=spec)
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    value = bytes(range(256)) * 100
    put(fork, "a/c/0", value)
    backend = fork._workspace.library.backend
    order = []
    sync, dump = backend.sync, fork._workspace.writer.flush  # type: ignore[union-attr]
    monkeypatch.setattr(backend, "sync", lambda: (order.append("sync"), sync())[1])
    monkeypatch.setattr(fork._workspace.writer, "flush", lambda: (order.append("store"), dump())[1])
    data = pickle.dumps(fork)
    assert order == ["store", "sync"]
    assert value not in data
    (file,) = (tmp_path / "r" / "chunks").iterdir()
    assert file.read_bytes().startswith(value)
    again: ForkSession = pickle.loads(data)
    assert get(again, "a/c/0") == value
    put(again, "a/c/1", value)
    session.merge(again)
    session.commit("both")
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [value, value]


@everywhere
def test_a_pickled_fork_keeps_its_configuration(storage: frazil.Storage, spec: int) -> None:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=2)
    repo = frazil.Repository.create(storage, config, spec_version=spec)
    grown(repo)
    fork = sent(repo.writable_session("main").fork())
    change(fork, {"a/c/0": b"12", "a/c/1": b"123"})
    kinds = [fork.chunk_type("/a", [i]) for i in range(2)]
    assert kinds == [frazil.ChunkType.inline, frazil.ChunkType.native]
    assert fork.config.inline_chunk_threshold_bytes == 2


def test_the_store_of_a_fork_is_pickled_with_it(repo: frazil.Repository) -> None:
    grown(repo)
    fork = repo.writable_session("main").fork()
    root = zarr.open_group(fork.store)
    root.create_array("z", shape=(4,), chunks=(2,), dtype="i4")
    store = pickle.loads(pickle.dumps(fork.store))
    zarr.open_array(store, path="z")[2:] = [3, 4]
    assert isinstance(store.session, ForkSession)
    session = repo.writable_session("main")
    session.merge(store.session)
    assert zarr.open_array(session.store, path="z")[:].tolist() == [0, 0, 3, 4]


def test_an_unpickled_fork_that_many_threads_use_at_once(repo: frazil.Repository) -> None:
    grown(repo, 64)
    fork = sent(repo.writable_session("main").fork())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(fork, f"a/c/{i}", b"%d" % i), range(64)))
    session = repo.writable_session("main")
    session.merge(fork)
    assert [get(session, f"a/c/{i}") for i in range(64)] == [b"%d" % i for i in range(64)]


def test_forks_in_threads(repo: frazil.Repository) -> None:
    grown(repo, 64)
    session = repo.writable_session("main")

    def work(part: int) -> ForkSession:
        fork = session.fork()
        change(fork, chunks("a", range(part, 64, 8), b"%d" % part * 400))
        return fork

    with ThreadPoolExecutor(8) as pool:
        session.merge(*pool.map(work, range(8)))
    session.commit("threads")
    assert [get(tip(repo), f"a/c/{i}") for i in range(64)] == [
        b"%d" % (i % 8) * 400 for i in range(64)
    ]


def test_what_a_fork_may_not_do(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"x")
    calls: list[Change] = [
        lambda s: s.commit("no"),
        lambda s: s.commit("no", allow_empty=True),
        lambda s: s.rebase(frazil.ConflictDetector()),
    ]
    if repo.spec_version == 2:
        calls.append(lambda s: s.amend("no"))
    for call in calls:
        with pytest.raises(SessionStateError, match="merge it into the session") as caught:
            call(fork)
        assert caught.value.kind == "commit-not-allowed"
    with pytest.raises(IcechunkError, match="cannot be flushed") as failed:
        fork.flush("no")
    assert failed.value.kind == "unknown"
    with pytest.raises(SessionStateError) as caught:
        fork.merge(session)  # type: ignore[arg-type]
    assert caught.value.kind == "merge-not-allowed"
    fork.discard_changes()
    assert not fork.has_uncommitted_changes


def test_read_only_sessions_neither_fork_nor_merge(repo: frazil.Repository) -> None:
    grown(repo)
    committed = repo.writable_session("main")
    fork = committed.fork()
    committed.commit("nothing", allow_empty=True)
    for session in (tip(repo), committed):
        with pytest.raises(SessionStateError) as caught:
            session.fork()
        assert caught.value.kind == "cannot-fork-read-only-session"
        with pytest.raises(ReadOnlyError) as refused:
            session.merge(fork)
        assert refused.value.kind == "read-only-session"
        session.merge()


def test_a_writable_session_is_pickled_as_a_fork_only(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    for value in (session, session.store):
        with pytest.raises(ValueError, match=r"Session\.fork"):
            pickle.dumps(value)


def test_a_commit_fails_while_forks_are_not_in_it(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    forks = [session.fork() for _ in range(4)]
    for i, fork in enumerate(forks[:3]):
        put(fork, f"a/c/{i}", b"fork")
    grandchild = forks[3].fork()
    put(grandchild, "a/c/5", b"x")
    session.merge(forks[0])
    back = sent(forks[1])
    for call in (session.commit, session.amend):
        if repo.spec_version == 1 and call == session.amend:
            continue
        with pytest.raises(SessionStateError, match=r"^3 forks of this session have") as caught:
            call("without")
        assert caught.value.kind == "uncommitted-changes"
    grandchild.discard_changes()
    session.merge(forks[2], back)
    session.commit("all")
    assert [get(tip(repo), f"a/c/{i}") for i in (0, 1, 2, 5)] == [b"fork"] * 3 + [b"base"]


def test_copies_of_a_fork_are_merged_once(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    data = pickle.dumps(session.fork())
    away: ForkSession = pickle.loads(data)
    assert not away.has_uncommitted_changes
    put(away, "a/c/0", b"away")
    data = pickle.dumps(away)
    one, two, three = (pickle.loads(data) for _ in range(3))
    assert get(three, "a/c/0") == b"away"
    with pytest.raises(SessionStateError, match="3 forks of this session have"):
        session.commit("none", allow_empty=True)
    session.merge(two)
    three.discard_changes()
    assert get(one, "a/c/0") == b"away"
    session.commit("once")
    assert get(tip(repo), "a/c/0") == b"away"


def test_forks_of_other_sessions_are_no_concern_of_a_commit(repo: frazil.Repository) -> None:
    grown(repo)
    sessions = [repo.writable_session("main") for _ in range(2)]
    forks = [sent(session.fork()) for session in sessions]
    for fork in forks:
        put(fork, "a/c/0", b"x")
    forks = [sent(fork) for fork in forks]
    sessions[0].merge(forks[0])
    sessions[0].commit("mine")
    put(sessions[1], "a/c/1", b"y")
    with pytest.raises(SessionStateError, match="1 fork of this session has"):
        sessions[1].commit("also", rebase_with=frazil.BasicConflictSolver())
    del forks[1]
    gc.collect()
    sessions[1].commit("also", rebase_with=frazil.BasicConflictSolver())


def test_no_error_where_all_forks_came_back(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    forks = [session.fork() for _ in range(3)]
    put(forks[0], "a/c/0", b"fork")
    put(forks[1], "a/c/1", b"fork")
    forks[2].merge(forks[0], forks[1])
    session.merge(forks[2])
    gone = session.fork()
    put(gone, "a/c/2", b"thrown away")
    gone.discard_changes()
    session.commit("all")
    assert get(tip(repo), "a/c/0") == b"fork"


def test_a_fork_that_nobody_has_any_more_is_forgotten(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"fork")
    del fork
    gc.collect()
    session.commit("without", allow_empty=True)


def test_merge_sessions(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    forks = [session.fork() for _ in range(5)]
    for i, fork in enumerate(forks):
        put(fork, f"a/c/{i}", b"fork")
    merged = merge_sessions(forks[0], [forks[1], [forks[2], forks[3]]], forks[4])
    assert merged is forks[0]
    session.merge(merged)
    session.commit("all")
    assert [get(tip(repo), f"a/c/{i}") for i in range(6)] == [b"fork"] * 5 + [b"base"]


def test_merge_sessions_takes_forks_only(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    for wrong in (session, 1, None):
        with pytest.raises(TypeError, match="ForkSession"):
            merge_sessions(session.fork(), wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no sessions"):
        merge_sessions()


def test_extract_session(repo: frazil.Repository) -> None:
    fork = repo.writable_session("main").fork()
    data = zarr.create_array(fork.store, name="z", data=np.arange(4))
    assert extract_session(data) is fork
    assert extract_session(data, axis=(0,), keepdims=True) is fork


def test_coroutines(repo: frazil.Repository) -> None:
    grown(repo)

    async def run() -> list[str]:
        session = repo.writable_session("main")
        fork = session.fork()
        change(fork, {"a/c/0": b"fork"})
        await session.merge_async(fork)
        return await session.all_virtual_chunk_locations_async()

    assert asyncio.run(run()) == []


def test_a_pickled_fork_has_no_more_than_its_own_chunks(repo: frazil.Repository) -> None:
    grown(repo)
    change(session := repo.writable_session("main"), chunks("a", range(8), b"y" * 500))
    session.commit("much")
    fork = repo.writable_session("main").fork()
    fork.reindex_array("/a", lambda i: [7] if i == [0] else None)
    assert len(pickle.dumps(fork)) < len(pickle.dumps(repo)) + 2500
    assert get(sent(fork), "a/c/7") == b"y" * 500


Write = tuple[int, int, bool]
"""Who writes (0 is the session, others are forks), which chunk, and whether it erases."""


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7), st.booleans()), max_size=30),
    st.lists(st.integers(1, 3), max_size=6),
)
def test_merging_is_writing_over(writes: list[Write], order: list[int]) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    grown(repo)
    session = repo.writable_session("main")
    writers: list[Session] = [session, *(session.fork() for _ in range(3))]
    edits: list[dict[int, bytes | None]] = [{} for _ in writers]
    for number, (who, chunk, erases) in enumerate(writes):
        value = None if erases else b"%d by %d" % (number, who)
        change(writers[who], {f"a/c/{chunk}": value})
        edits[who][chunk] = value
    session.merge(*(writers[who] for who in order))  # type: ignore[misc]
    expected = dict.fromkeys(range(8), b"base") | edits[0]
    for who in order:
        expected |= edits[who]
    assert {i: get(session, f"a/c/{i}") for i in range(8)} == expected
    for fork in writers[1:]:
        fork.discard_changes()  # those that were not merged are not wanted
    session.commit("merged", allow_empty=True)
    assert {i: get(tip(repo), f"a/c/{i}") for i in range(8)} == expected


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("folder", ["chunks", "manifests", "snapshots", "transactions", "repo"])
def test_a_fork_that_could_not_be_made_changes_nothing(
    spec: int, folder: str, fault: Fault
) -> None:
    if spec == 1 and folder == "repo":
        return  # which spec 1 does not have
    backend = Faulty(MemoryBackend(), lambda operation, key: None)
    repo = frazil.Repository.create(storage_around(backend), spec_version=spec)
    grown(repo)
    session = repo.writable_session("main")
    change(session, {"n": array([2]), "n/c/0": b"x" * 1000, "a/c/0": b"y"})
    before = content(session)
    backend.plan = lambda operation, key: (
        fault if operation == "put" and key.startswith(folder) else None
    )
    if folder == "repo" and fault is Fault.LOST:
        fork = session.fork()  # the object is looked at again: the change was made
    else:
        with pytest.raises(frazil.StorageError):
            session.fork()
    backend.plan = lambda operation, key: None
    assert content(session) == before
    fork = session.fork()
    assert content(fork) == before
    put(fork, "n/c/1", b"fork")
    session.merge(fork)
    session.commit("after all")
    assert content(tip(repo)) == before | {"n/c/1": b"fork"}


def test_chunks_that_could_not_be_stored_keep_a_fork_at_home(spec: int) -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: None)
    repo = frazil.Repository.create(storage_around(backend), spec_version=spec)
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"x" * 1000)
    backend.plan = lambda operation, key: (
        Fault.REFUSED if operation == "put" and key.startswith("chunks") else None
    )
    for call in (lambda: fork._part(None), lambda: session.merge(fork)):
        with pytest.raises(frazil.StorageError):
            call()
    assert not session.has_uncommitted_changes
    with pytest.raises(SessionStateError, match="1 fork of this session"):
        session.commit("without", allow_empty=True)
    backend.plan = lambda operation, key: None
    late = repo.writable_session("main")
    late.merge(fork)
    late.commit("after all")
    assert get(tip(repo), "a/c/0") == b"x" * 1000


# Forks that are left in the storage


@pytest.mark.parametrize("name", CHANGES)
def test_a_saved_fork_is_merged_by_its_id(repo: frazil.Repository, name: str) -> None:
    grown(repo)
    session = repo.writable_session("main")
    put(session, "mine", group())
    fork = sent(session.fork())
    for step in CHANGES[name]:
        change(fork, dict(step))
    shown = content(fork)
    before, id_ = [info.id for info in repo.ancestry(branch="main")], fork.save()
    del fork
    assert [info.id for info in repo.ancestry(branch="main")] == before
    session.merge(id_)
    assert content(session) == shown
    session.commit("merged")
    assert content(tip(frazil.Repository.open(repo.storage))) == shown


def test_many_saved_forks_and_sent_ones(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    results: list[ForkSession | str] = []
    for i in range(8):
        fork = sent(session.fork())
        put(fork, f"a/c/{i}", b"%d" % i * 700)
        results.append(fork.save() if i % 2 else fork)
    half = session.fork()
    half.merge(*results[:4])
    session.merge(half.save(), *results[4:])
    session.commit("all")
    assert [get(tip(repo), f"a/c/{i}") for i in range(8)] == [b"%d" % i * 700 for i in range(8)]


def test_a_saved_fork_that_went_on_is_not_all_there(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    fork = session.fork()
    put(fork, "a/c/0", b"saved")
    id_ = asyncio.run(fork.save_async())
    put(fork, "a/c/1", b"not saved")
    session.merge(id_)
    with pytest.raises(SessionStateError, match="1 fork of this session has"):
        session.commit("too early")
    session.merge(fork.save())
    session.commit("all")
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [b"saved", b"not saved"]


def test_ids_that_are_no_saved_forks(repo: frazil.Repository) -> None:
    base = grown(repo)
    session = repo.writable_session("main")
    for id_, text in [(base, "a snapshot of the history"), ("0" * 20, "there is no fork saved")]:
        with pytest.raises(SessionStateError, match=text) as caught:
            session.merge(id_)
        assert caught.value.kind == "merge-failed"
    with pytest.raises(frazil.InvalidInputError):
        session.merge("no id")
    assert not session.has_uncommitted_changes
