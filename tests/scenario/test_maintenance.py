"""Keeping a repository in shape: expiration, collection of garbage, statistics, manifests."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, Storage
from frazil.engine.collection import marking
from frazil.ids import SnapshotId
from frazil.model.sweep import Depends
from frazil.storage.doubles import Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend
from frazil.storage.osfiles import scratch_name
from tests.scenario.places import everywhere, storage_around

LARGE = 1_100_000
"""Bytes of a chunk that gets an object of its own."""
ROOT = "1CECHNKREP0F1RSTCMT0"


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def edit(repo: Repository, number: int, branch: str = "main") -> frazil.Session:
    session = repo.writable_session(branch)
    root = zarr.open_group(session.store)
    if "a" not in root:
        root.create_array("a", shape=(3, LARGE), chunks=(1, LARGE), dtype="u1", compressors=None)
    root["a"][number % 3] = number + 1
    return session


def commit(repo: Repository, number: int, branch: str = "main") -> str:
    return edit(repo, number, branch).commit(f"{branch} {number}")


def values(repo: Repository, branch: str = "main") -> list[int]:
    array = zarr.open_array(repo.readonly_session(branch).store, path="a", mode="r")
    return [int(row[0]) for row in array[:, :1]]


def keys(repo: Repository, folder: str = "") -> set[str]:
    return {info.key for info in repo.storage.backend().list(folder)}


@everywhere
def test_expired_history_is_collected(repo: Repository, spec: int) -> None:
    ids = [commit(repo, i) for i in range(6)]
    repo.create_tag("kept", ids[0])
    cutoff = repo.lookup_snapshot(ids[4]).written_at
    released = repo.expire_snapshots(cutoff)
    assert released == set(ids[:4] if spec == 1 else ids[1:4])
    assert [info.id for info in repo.ancestry(branch="main")] == [ids[5], ids[4], ROOT]
    assert [info.id for info in repo.ancestry(tag="kept")] == [ids[0], ROOT]
    summary = repo.garbage_collect(future())
    assert summary.snapshots_deleted == 3
    assert summary.manifests_deleted == 3
    assert summary.chunks_deleted == 1  # those of 0, 2, 3, 4 and 5 are in what is left
    assert repo.garbage_collect(future()).bytes_deleted == 0
    assert values(repo) == [4, 5, 6]
    array = zarr.open_array(repo.readonly_session(tag="kept").store, path="a", mode="r")
    assert [int(row[0]) for row in array[:, :1]] == [1, 0, 0]
    assert not {f"snapshots/{id_}" for id_ in ids[1:4]} & keys(repo)


def test_what_a_difference_needs_outlives_both(storage: Storage) -> None:
    repo = Repository.create(storage)
    ids = [commit(repo, i) for i in range(4)]
    before = repo.diff(from_snapshot_id=ROOT, to_branch="main")
    repo.expire_snapshots(future())
    repo.garbage_collect(future())
    assert repo.diff(from_snapshot_id=ROOT, to_branch="main") == before
    kinds = [type(update.kind).__name__ for update in repo.ops_log()]
    assert kinds[:2] == ["GCRan", "ExpirationRan"]
    assert len(keys(repo, "transactions")) == 5
    assert keys(repo, "snapshots") == {f"snapshots/{ROOT}", f"snapshots/{ids[3]}"}


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_half_files_of_commits_that_died_are_in_nobodys_way(repo: Repository, part: float) -> None:
    commit(repo, 0)
    backend = repo.storage.backend()
    halves = set()
    for folder in ("manifests", "transactions", "snapshots"):
        whole = backend.get(min(key for key in keys(repo, folder) if ROOT not in key))
        halves.add(f"{folder}/{SnapshotId(b'a fresh name')}")
        backend.put(f"{folder}/{SnapshotId(b'a fresh name')}", whole[: int(part * len(whole))])
    again = Repository.open(repo.storage)
    last = commit(again, 1)
    assert again.verify().is_healthy
    assert again.chunk_storage_stats().total_bytes() > 0
    assert next(again.ancestry(branch="main")).id == last
    again.garbage_collect(future())
    assert not halves & keys(repo)
    assert values(Repository.open(repo.storage)) == [1, 2, 0]


@everywhere
def test_only_what_is_old_is_deleted(repo: Repository) -> None:
    commit(repo, 0)
    edit(repo, 1)  # stores a chunk that nothing refers to
    session = edit(repo, 2)
    before = keys(repo)
    assert repo.garbage_collect(datetime.now(UTC) - timedelta(hours=1)).chunks_deleted == 0
    assert before <= keys(repo)
    session.commit("late")
    assert repo.garbage_collect(future()).chunks_deleted == 1
    assert values(repo) == [1, 0, 3]


@everywhere
def test_strange_objects_are_left_alone(repo: Repository) -> None:
    commit(repo, 0)
    backend = repo.storage.backend()
    strange = ["notes.txt", "chunks/README", "snapshots/x/y", "other/" + "0" * 20, "manifests/a.b"]
    for key in strange:
        backend.put(key, b"?")
    backend.put("chunks/" + "0" * 20, b"garbage")
    repo.save_config()
    repo.reopen(frazil.RepositoryConfig(inline_chunk_threshold_bytes=1)).save_config()
    before = keys(repo)
    assert repo.garbage_collect(future()).chunks_deleted == 1
    assert before - keys(repo) == {"chunks/" + "0" * 20}


def test_a_dry_run_changes_nothing(repo: Repository, spec: int) -> None:
    commit(repo, 0)
    repo.create_branch("side", repo.lookup_branch("main"))
    commit(repo, 1, "side")
    repo.delete_branch("side")
    before = keys(repo)
    planned = repo.garbage_collect(future(), dry_run=True)
    assert keys(repo) == before
    if spec == 2:
        assert not isinstance(next(iter(repo.ops_log())).kind, frazil.UpdateType.GCRan)
    done = repo.garbage_collect(future())
    assert done == planned
    assert (done.snapshots_deleted, done.chunks_deleted) == (1, 1)
    assert done.bytes_deleted > LARGE


async def test_the_coroutine_twins(repo: Repository) -> None:
    commit(repo, 0)
    commit(repo, 1)
    assert await repo.expire_snapshots_async(future())
    assert (await repo.chunk_storage_stats_async()).native_bytes == 2 * LARGE
    assert (await repo.garbage_collect_async(future())).snapshots_deleted == 1
    id_ = await repo.rewrite_manifests_async("again", branch="main")
    assert (await repo.inspect_snapshot_async(id_))["commit_message"] == "again"


@pytest.mark.parametrize("limit", [
    "max_snapshots_in_memory",
    "max_compressed_manifest_mem_bytes",
    "max_decoded_manifest_mem_bytes",
    "max_concurrent_manifest_fetches",
    "max_concurrent_deletes",
    "max_consecutive_delete_failures",
    "max_concurrent_listings",
    "max_memory_bytes",
])  # fmt: skip
def test_limits(repo: Repository, limit: str) -> None:
    for i in range(4):
        commit(repo, i)
    zero: Any = {limit: 0}
    one: Any = {limit: 1}
    with pytest.raises(ValueError, match="at least 1"):
        repo.garbage_collect(future(), **zero)
    repo.expire_snapshots(future())
    assert repo.garbage_collect(future(), **one).snapshots_deleted == 3
    assert values(repo) == [4, 2, 3]
    if "delete" not in limit and "listings" not in limit and "memory_bytes" not in limit:
        with pytest.raises(ValueError, match="at least 1"):
            repo.chunk_storage_stats(**zero)
        assert repo.chunk_storage_stats(**one).native_bytes == 3 * LARGE


@everywhere
def test_ids_beyond_the_memory_are_looked_at_in_turns(repo: Repository) -> None:
    """What is deleted does not depend on how many ids fit into memory."""
    for i in range(9):
        commit(repo, i)
    repo.expire_snapshots(future())
    before = keys(repo, "chunks")
    few = 2 * 100 * 2  # two ids
    planned = repo.garbage_collect(future(), dry_run=True)
    assert repo.garbage_collect(future(), dry_run=True, max_memory_bytes=few) == planned
    assert repo.garbage_collect(future(), max_memory_bytes=few) == planned
    assert planned.chunks_deleted == 6
    assert len(before - keys(repo, "chunks")) == 6
    assert values(repo) == [7, 8, 9]


def test_times_need_a_timezone(repo: Repository) -> None:
    for call in (repo.expire_snapshots, repo.garbage_collect):
        with pytest.raises(TypeError, match="timezone"):
            call(datetime(2020, 1, 1))


def test_a_read_only_repository_is_not_maintained(storage: Storage) -> None:
    repo = Repository.create(storage)
    commit(repo, 0)
    repo.set_status(frazil.RepoStatus(frazil.RepoAvailability.read_only))
    for call in (
        lambda: repo.expire_snapshots(future()),
        lambda: repo.garbage_collect(future()),
        lambda: repo.garbage_collect(future(), dry_run=True),
        lambda: repo.rewrite_manifests("x", branch="main"),
    ):
        with pytest.raises(frazil.ReadOnlyError) as error:
            call()
        assert error.value.kind == "read-only-repository"
    assert repo.chunk_storage_stats().native_bytes == LARGE


def test_another_object_notices_that_history_was_cut(storage: Storage) -> None:
    """In spec 1 the history is in files that an expiration replaces."""
    repo = Repository.create(storage, spec_version=1)
    ids = [commit(repo, i) for i in range(4)]
    other = Repository.open(storage)
    other.lookup_snapshot(ids[2])  # has it in memory, but nothing before it
    repo.expire_snapshots(repo.lookup_snapshot(ids[2]).written_at)
    repo.garbage_collect(future())
    fresh = Repository.open(storage)
    assert [info.id for info in fresh.ancestry(branch="main")] == [ids[3], ids[2], ROOT]
    assert [info.id for info in other.ancestry(branch="main")] == [ids[3], ids[2], ROOT]


@everywhere
def test_statistics(repo: Repository) -> None:
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    data = np.random.default_rng(0).integers(0, 255, (12, 1000), "u1")
    root.create_array("packed", data=data, chunks=(1, 1000), compressors=None)
    root.create_array("inline", data=data[:3, :10], chunks=(1, 10), compressors=None)
    session.commit("small chunks share an object")
    assert len(keys(repo, "chunks")) == 1
    stats = repo.chunk_storage_stats()
    assert (stats.native_bytes, stats.inlined_bytes, stats.virtual_bytes) == (12_000, 30, 0)
    session = repo.writable_session("main")
    array = zarr.open_array(session.store, path="packed")
    array[0] = 1
    session.commit("one more")
    assert repo.chunk_storage_stats().native_bytes == 13_000
    with pytest.warns(DeprecationWarning, match="chunk_storage_stats"):
        assert repo.total_chunks_storage() == 13_000


# Manifests


def split(size: int) -> frazil.RepositoryConfig:
    sizes = {
        frazil.ManifestSplitCondition.AnyArray(): {frazil.ManifestSplitDimCondition.Any(): size}
    }
    splitting = frazil.ManifestSplittingConfig.from_dict(sizes)
    return frazil.RepositoryConfig(manifest=frazil.ManifestConfig(splitting=splitting))


def grid(repo: Repository) -> None:
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    root.create_array("a", data=np.arange(100), chunks=10)
    root.create_array("b", data=np.arange(10), chunks=10)
    root.create_array("empty", shape=(10,), chunks=(1,), dtype="i4")
    session.commit("data")


def manifests(repo: Repository, id_: str) -> dict[str, list[Any]]:
    nodes = repo.inspect_snapshot(id_)["nodes"]
    return {n["path"]: [r["extents"] for r in n.get("manifest_refs", [])] for n in nodes}


def test_manifests_are_cut_anew(storage: Storage, spec: int) -> None:
    grid(Repository.create(storage, spec_version=spec))
    repo = Repository.open(storage, split(4))
    before = repo.lookup_branch("main")
    id_ = repo.rewrite_manifests("cut", branch="main", metadata={"k": 1})
    wanted = {"/a": [[[0, 4]], [[4, 8]], [[8, 10]]], "/b": [[[0, 1]]], "/empty": [], "/": []}
    assert manifests(repo, id_) == wanted
    info = repo.lookup_snapshot(id_)
    assert (info.message, info.parent_id) == ("cut", before)
    assert info.metadata["k"] == 1
    sizes = info.metadata["__icechunk"]["splitting_config"]["split_sizes"]
    assert sizes == [["any_array", [{"condition": "Any", "num_chunks": 4}]]]
    assert repo.diff(from_snapshot_id=before, to_snapshot_id=id_).is_empty()
    array = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")
    assert (array[:] == np.arange(100)).all()
    files = {info.id for info in repo.list_manifest_files(id_)}
    again = repo.rewrite_manifests("again", branch="main")
    assert {info.id for info in repo.list_manifest_files(again)} == files


def test_rewriting_can_amend(storage: Storage) -> None:
    grid(Repository.create(storage))
    repo = Repository.open(storage, split(5))
    before, first, *_ = repo.ancestry(branch="main")
    diff = repo.diff(from_snapshot_id=ROOT, to_branch="main")
    id_ = repo.rewrite_manifests("cut", branch="main", commit_method="amend")
    assert [info.id for info in repo.ancestry(branch="main")] == [id_, first.id]
    assert repo.diff(from_snapshot_id=ROOT, to_branch="main") == diff
    kind = next(iter(repo.ops_log())).kind
    assert kind == frazil.UpdateType.CommitAmended("main", before.id, id_)


def test_what_rewriting_refuses(repo: Repository, spec: int) -> None:
    with pytest.raises(ValueError, match="commit_method"):
        repo.rewrite_manifests("x", branch="main", commit_method="other")  # type: ignore[arg-type]
    with pytest.raises(frazil.RefNotFoundError):
        repo.rewrite_manifests("x", branch="nope")
    kinds = {1: "unsupported-operation-for-version", 2: "no-amend-for-initial-commit"}
    with pytest.raises(frazil.IcechunkError) as error:
        repo.rewrite_manifests("x", branch="main", commit_method="amend")
    assert error.value.kind == kinds[spec]


class Meanwhile(Wrapper):
    """Does something else, once, before an operation on a folder."""

    def __init__(self, inner: MemoryBackend, operation: str, folder: str) -> None:
        super().__init__(inner)
        self.action: Any = None
        self._awaited = operation, folder

    def request(self, operation: str, key: str, call: Any, sent: int = 0) -> Any:
        if self.action is not None and (operation, key.partition("/")[0]) == self._awaited:
            action, self.action = self.action, None
            action()
        return super().request(operation, key, call, sent)


def test_rewriting_while_others_commit(spec: int) -> None:
    backend = Meanwhile(MemoryBackend(), "put", "snapshots")
    storage = storage_around(backend)
    grid(Repository.create(storage, spec_version=spec))
    repo = Repository.open(storage, split(4))

    def other() -> None:
        session = Repository.open(storage).writable_session("main")
        zarr.open_array(session.store, path="a")[95:] = -1
        session.commit("meanwhile")

    backend.action = other
    id_ = repo.rewrite_manifests("cut", branch="main")
    messages = [info.message for info in repo.ancestry(branch="main")]
    assert messages == ["cut", "meanwhile", "data", "Repository initialized"]
    assert manifests(repo, id_)["/a"] == [[[0, 4]], [[4, 8]], [[8, 10]]]
    array = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")
    assert array[94:97].tolist() == [94, -1, -1]


# Accidents


def build(storage: Storage, spec: int) -> Repository:
    repo = Repository.create(storage, spec_version=spec)
    for i in range(5):
        commit(repo, i)
    repo.create_branch("side", repo.lookup_branch("main"))
    commit(repo, 6, "side")
    repo.delete_branch("side")
    edit(repo, 7)
    return repo


def check(storage: Storage) -> None:
    """Everything that the history leads to can be read, and work goes on."""
    repo = Repository.open(storage)
    for info in repo.ancestry(branch="main"):
        session = repo.readonly_session(snapshot_id=info.id)
        if info.parent_id is not None:
            assert zarr.open_array(session.store, path="a", mode="r")[:, :2].shape == (3, 2)
    assert values(repo) == [4, 5, 3]
    repo.expire_snapshots(future())
    repo.garbage_collect(future())
    commit(repo, 8)
    assert values(repo) == [4, 5, 9]
    if repo.spec_version == 2:
        assert list(repo.ops_log())


class Killed(BaseException):
    pass


def test_a_process_killed_at_any_moment_leaves_a_whole_repository(spec: int) -> None:
    for moment in count():
        inner = MemoryBackend()
        repo = build(storage_around(inner), spec)
        done = count()

        def plan(operation: str, key: str, moment: int = moment, done: Any = done) -> None:
            if operation in ("put", "copy", "delete") and next(done) == moment:
                raise Killed

        faulty = Repository.open(storage_around(Faulty(inner, plan)))
        try:
            faulty.expire_snapshots(repo.lookup_snapshot(repo.lookup_branch("main")).written_at)
            faulty.garbage_collect(future())
        except Killed:
            check(storage_around(inner))
        else:
            assert moment > 10
            break


def test_what_cannot_be_deleted_is_reported(spec: int) -> None:
    inner = MemoryBackend()
    build(storage_around(inner), spec)

    def plan(operation: str, key: str) -> Fault | None:
        refused = operation == "delete" and key.startswith("transactions/")
        return Fault.REFUSED if refused else None

    repo = Repository.open(storage_around(Faulty(inner, plan)))
    summary = repo.garbage_collect(future())
    assert summary.snapshots_deleted == 1
    assert summary.objects_failed_to_delete == 1
    assert summary.skipped_phases == ["manifests", "chunks"]
    assert "transactions/" in summary.delete_errors[0]
    with pytest.raises(frazil.ConflictError) as error:
        repo.garbage_collect(future(), max_consecutive_delete_failures=1)
    assert error.value.kind == "gc-deletes-failing"
    summary = Repository.open(storage_around(inner)).garbage_collect(future())
    assert (summary.transaction_logs_deleted, summary.chunks_deleted) == (1, 2)
    check(storage_around(inner))


def test_a_lost_commit_that_is_repeated_during_a_collection(spec: int) -> None:
    """The new commit is young, but refers to chunks that are old and were not needed before."""
    inner = MemoryBackend()
    storage = storage_around(inner)
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, 0)
    repo.create_branch("side", repo.lookup_branch("main"))
    lost = commit(repo, 1, "side")
    repo.delete_branch("side")
    backend = Meanwhile(inner, "get", "manifests")
    collecting = Repository.open(storage_around(backend))
    backend.action = lambda: Repository.open(storage).cherry_pick(lost, "main")
    collecting.garbage_collect(future())
    assert backend.action is None
    assert values(Repository.open(storage)) == [1, 2, 0]
    with pytest.raises(frazil.IcechunkError):
        Repository.open(storage).readonly_session(snapshot_id=lost)


@pytest.mark.parametrize("what", ["branch", "tag", "reset", "commit"])
def test_references_that_appear_during_a_collection_count(spec: int, what: str) -> None:
    """Also those to what was about to be deleted."""
    inner = MemoryBackend()
    storage = storage_around(inner)
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, 0)
    repo.create_branch("side", repo.lookup_branch("main"))
    lost = commit(repo, 1, "side")
    repo.delete_branch("side")
    commit(repo, 2)

    def action() -> None:
        other = Repository.open(storage)
        match what:
            case "branch":
                other.create_branch("back", lost)
            case "tag":
                other.create_tag("back", lost)
            case "reset":
                other.reset_branch("main", lost)
            case "commit":
                other.create_branch("back", lost)
                commit(other, 5, "back")

    backend = Meanwhile(inner, "get", "manifests")
    repo = Repository.open(storage_around(backend))
    backend.action = action
    summary = repo.garbage_collect(datetime.now(UTC) if what == "commit" else future())
    assert backend.action is None
    repo = Repository.open(storage)
    array = zarr.open_array(repo.readonly_session(snapshot_id=lost).store, path="a", mode="r")
    assert [int(row[0]) for row in array[:, :1]] == [1, 2, 0]
    assert summary.snapshots_deleted == (1 if what == "reset" and spec == 2 else 0)


def test_a_collection_that_is_overtaken_again_and_again_gives_up(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = count()

    def always_overtaken(*_: Any) -> None:
        next(tries)
        raise Depends

    monkeypatch.setattr(marking, "drop", always_overtaken)
    retries = frazil.config.RepoUpdateRetryConfig(
        frazil.StorageRetriesSettings(max_tries=3, initial_backoff_ms=0, max_backoff_ms=0)
    )
    config = frazil.RepositoryConfig(repo_update_retries=retries)
    repo = Repository.create(storage, config)
    commit(repo, 0)
    before = keys(repo)
    with pytest.raises(frazil.ConflictError) as error:
        repo.garbage_collect(future())
    assert error.value.kind == "update-attempts-exhausted"
    assert next(tries) == 3
    assert keys(repo) == before


@everywhere
def test_commits_during_a_collection_keep_their_data(storage: Storage, spec: int) -> None:
    """Whatever is younger than the cutoff stays."""
    repo = Repository.create(storage, spec_version=spec)
    for number in range(8):
        # Times of files lag behind the clock by some milliseconds.
        cutoff = datetime.now(UTC) - timedelta(seconds=0.1)
        session = edit(repo, number)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            repo.garbage_collect(cutoff)
        session.commit("survives")
        repo.expire_snapshots(cutoff)
    assert values(repo) == [7, 8, 6]


def test_a_collection_removes_what_a_killed_process_did_not_finish(
    tmp_path: Path, spec: int
) -> None:
    repo = Repository.create(frazil.local_filesystem_storage(str(tmp_path)), spec_version=spec)
    commit(repo, 0)
    half = tmp_path / "chunks" / scratch_name()
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half")
    repo.garbage_collect(datetime.now(UTC) - timedelta(hours=1))
    repo.garbage_collect(future(), dry_run=True)
    assert half.exists()
    repo.garbage_collect(future())
    assert not half.exists()
