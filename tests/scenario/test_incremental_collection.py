"""Collections that read what has changed: they delete what full ones do, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting, Faulty
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere_alike, storage_around

ARRAYS = ("a", "b", "g/c")
SIZE = 40


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def copy_of(backend: Backend) -> MemoryBackend:
    """All objects, as if they had been stored now."""
    other = MemoryBackend()
    for info in list(backend.list()):
        other.put(info.key, backend.get(info.key))
    return other


def twin_of(backend: Backend) -> MemoryBackend:
    """All objects, of the same age."""
    times: list[datetime] = []
    other = MemoryBackend(lambda: times[-1])
    for info in list(backend.list()):
        times.append(info.last_modified)
        other.put(info.key, backend.get(info.key))
    times.append(future())
    return other


class Ticks:
    """The clock of a storage that tells whole seconds: each request to write takes one."""

    def __init__(self) -> None:
        self.begin = datetime(2024, 1, 1, tzinfo=UTC)
        self.count = 0

    def __call__(self) -> datetime:
        self.count += 1
        return self.begin + timedelta(seconds=self.count)

    def some(self, random: random.Random) -> datetime:
        """Some time until now."""
        return self.begin + timedelta(seconds=random.randrange(self.count + 2))


def objects(backend: Backend) -> set[str]:
    folders = ("snapshots", "transactions", "manifests", "chunks")
    return {info.key for folder in folders for info in backend.list(folder)}


def write(session: frazil.Session, name: str, seed: int, low: int = 0, high: int = SIZE) -> None:
    root = zarr.open_group(session.store)
    if name not in root:
        # Each chunk is larger than what is kept inline, many share an object.
        root.create_array(name, shape=(SIZE, 80), chunks=(2, 80), dtype="f8", compressors=None)
    root[name][low:high] = np.random.default_rng(seed).random((high - low, 80))


def commit(repo: Repository, name: str, seed: int, branch: str = "main", **part: int) -> str:
    session = repo.writable_session(branch)
    write(session, name, seed, **part)
    return session.commit(f"{name} {seed}")


def collect(backend: Backend, **options: Any) -> frazil.ops.GCSummary:
    return Repository.open(storage_around(backend)).garbage_collect(future(), **options)


def check(backend: Backend) -> None:
    report = Repository.open(storage_around(backend)).verify("data")
    assert report.is_healthy, report


class History:
    """Random operations on a repository, the same ones for a seed."""

    def __init__(self, backend: Backend, seed: int) -> None:
        self.repo = Repository.create(storage_around(backend), spec_version=2)
        self.random = random.Random(seed)
        self.number = count(100 * seed)
        self.steps: list[Callable[[], object]] = [
            self.commit,
            self.commit,
            self.commit,
            self.amend,
            self.branch,
            self.reset,
            self.tag,
            self.untag,
            self.expire,
            self.pick,
            self.revert,
            self.merge,
            self.detach,
            self.delete_array,
            self.cut,
            self.abandon,
            self.repack,
        ]

    def step(self) -> None:
        with suppress(frazil.IcechunkError, KeyError):  # not possible in this state
            self.random.choice(self.steps)()

    def _branch(self) -> str:
        return self.random.choice(sorted(self.repo.list_branches()))

    def _any(self) -> str:
        times = {
            info.id: info.written_at
            for branch in self.repo.list_branches()
            for info in self.repo.ancestry(branch=branch)
        }
        return self.random.choice(sorted(times, key=times.__getitem__))

    def _session(self) -> frazil.Session:
        session = self.repo.writable_session(self._branch())
        low = self.random.randrange(0, SIZE, 2)
        name = self.random.choice(ARRAYS)
        write(session, name, next(self.number), low, self.random.choice([low + 2, SIZE]))
        return session

    def commit(self) -> None:
        self._session().commit("commit")

    def amend(self) -> None:
        self._session().amend("amended")

    def detach(self) -> None:
        self._session().flush("detached")

    def abandon(self) -> None:
        """Is committed in vain: manifests are there, but no snapshot that is known."""
        session = self._session()
        self.commit()
        session.commit("too late")

    def branch(self) -> None:
        self.repo.create_branch(f"b{next(self.number)}", self._any())

    def reset(self) -> None:
        branch = self._branch()
        if branch != "main" and self.random.random() < 0.5:
            self.repo.delete_branch(branch)
        else:
            self.repo.reset_branch(branch, self._any())

    def tag(self) -> None:
        self.repo.create_tag(f"t{next(self.number)}", self._any())

    def untag(self) -> None:
        tags = sorted(self.repo.list_tags())
        if tags:
            self.repo.delete_tag(self.random.choice(tags))

    def expire(self) -> None:
        self.repo.expire_snapshots(self.repo.lookup_snapshot(self._any()).written_at)

    def pick(self) -> None:
        self.repo.cherry_pick(self._any(), self._branch())

    def revert(self) -> None:
        self.repo.revert(self._any(), "main")

    def merge(self) -> None:
        self.repo.merge(self._branch(), "main")

    def delete_array(self) -> None:
        session = self.repo.writable_session(self._branch())
        del zarr.open_group(session.store)[self.random.choice(ARRAYS)]
        session.commit("deleted")

    def cut(self) -> None:
        self.repo.rewrite_manifests("cut", branch="main")

    def repack(self) -> None:
        """Replaces the files of snapshots."""
        self.repo.repack(history=True, smaller_than=2**30)


@pytest.mark.parametrize("seed", range(6))
def test_random_histories(seed: int) -> None:
    """After each incremental collection, a full one finds only what was never committed."""
    backend = MemoryBackend()
    history = History(backend, seed)
    collect(backend, incremental=True)
    freed = 0
    for _ in range(8):
        for _ in range(history.random.randrange(3, 9)):
            history.step()
        full, planned = copy_of(backend), copy_of(backend)
        collect(full)
        plan = collect(planned, incremental=True, dry_run=True)
        assert objects(planned) == objects(backend)
        done = collect(backend, incremental=True)
        assert done == plan
        assert objects(backend) == objects(full)
        freed += done.chunks_deleted
    assert freed > 0
    check(backend)


class Forgetful(History):
    """Repacks that die before they remove the record, as those of others may."""

    def repack(self) -> None:
        backend = self.repo._core.library.backend
        with suppress(frazil.IcechunkError):
            record = backend.get("frazil/collection")
            super().repack()
            backend.put("frazil/collection", record)


@pytest.mark.parametrize("seed", range(20, 24))
def test_never_more_than_a_full_one(seed: int) -> None:
    """Whatever is too young, and however the files of snapshots have been replaced."""
    clock = Ticks()
    backend = MemoryBackend(clock)
    history = Forgetful(backend, seed)
    deleted = 0
    for turn in range(8):
        for _ in range(history.random.randrange(3, 9)):
            history.step()
        cutoff = future() if turn == 7 else clock.some(history.random)
        full, before = twin_of(backend), objects(backend)
        Repository.open(storage_around(full)).garbage_collect(cutoff)
        repo = Repository.open(storage_around(backend))
        deleted += repo.garbage_collect(cutoff, incremental=True).chunks_deleted
        assert objects(full) <= objects(backend) <= before
        check(backend)
    assert deleted > 0


def test_a_record_from_before_a_repack_is_of_no_use() -> None:
    """Older snapshots need an object that it counts for the newest one only."""
    backend = MemoryBackend(Ticks())
    repo = Repository.create(storage_around(backend))
    for number in range(3):
        commit(repo, "a", number, low=10 * number, high=10 * number + 10)
    collect(backend, incremental=True)
    record = backend.get("frazil/collection")
    older = repo.lookup_branch("main")
    repo.repack(history=True, smaller_than=2**30)
    backend.put("frazil/collection", record)
    repo.create_tag("older", older)
    collect(backend, incremental=True)
    repo.reset_branch("main", older)
    collect(backend, incremental=True)
    check(backend)
    assert collect(backend).bytes_deleted == 0


def test_what_was_never_committed_is_left_to_full_collections() -> None:
    backend = MemoryBackend()
    repo = Repository.create(storage_around(backend))
    commit(repo, "a", 1)
    collect(backend, incremental=True)
    session = repo.writable_session("main")
    zarr.create_array(
        session.store, name="x", data=np.ones(2_200_000, "u1"), chunks=1_100_000, compressors=None
    )
    session.discard_changes()
    before = objects(backend)
    assert collect(backend, incremental=True).bytes_deleted == 0
    assert objects(backend) == before
    assert collect(backend).chunks_deleted == 2


@pytest.mark.parametrize("length", [4, 40])
def test_what_an_incremental_collection_reads(length: int) -> None:
    """As much after a long history as after a short one."""
    backend = Counting(MemoryBackend(Ticks()))
    repo = Repository.create(storage_around(backend))
    first = commit(repo, "b", 0)
    for number in range(length):
        commit(repo, "a", number)
    collect(backend, incremental=True)
    commit(repo, "a", 99)
    backend.reset()
    found = collect(backend, incremental=True)
    assert found.snapshots_deleted == 0
    # The new snapshot, and the one before it, which was the newest when the folder was listed.
    assert backend.requests["get", "snapshots"] == 2
    assert backend.requests["get", "manifests"] == 1
    assert ("list", "chunks") not in backend.requests
    repo.expire_snapshots(repo.lookup_snapshot(first).written_at + timedelta(microseconds=1))
    repo.expire_snapshots(list(repo.ancestry(branch="main"))[-3].written_at)
    backend.reset()
    found = collect(backend, incremental=True)
    assert (found.snapshots_deleted, found.manifests_deleted, found.chunks_deleted) == (2, 1, 1)
    assert backend.requests["get", "snapshots"] == 3
    assert backend.requests["get", "manifests"] == 1
    assert backend.requests["info", "snapshots"] == 0
    assert sum(count for (what, _), count in backend.requests.items() if what != "delete") < 30
    assert ("list", "chunks") not in backend.requests
    check(backend)


def test_the_record_does_not_grow_with_what_has_gone() -> None:
    backend = MemoryBackend(Ticks())
    repo = Repository.create(storage_around(backend))
    sizes = []
    for number in range(12):
        commit(repo, "a", number)
        commit(repo, "b", number)
        repo.expire_snapshots(repo.lookup_snapshot(repo.lookup_branch("main")).written_at)
        collect(backend, incremental=True)
        sizes.append(len(backend.get("frazil/collection")))
    # The logs of the 22 commits that are in the history no more are kept by the one that is left.
    assert sizes[-1] - sizes[1] == 20 * 12
    commit(repo, "a", 99)
    repo.reset_branch("main", list(repo.ancestry(branch="main"))[-1].id)
    collect(backend, incremental=True)
    assert len(backend.get("frazil/collection")) == 72 + 28 + 8


class Killed(BaseException):
    pass


def test_a_collection_killed_at_any_request_is_gone_on_with() -> None:
    """The next one deletes what it was about to, and nothing that is needed is lost."""
    start = MemoryBackend()
    repo = Repository.create(storage_around(start))
    for number in range(4):
        commit(repo, "a", number)
        commit(repo, "b", number, low=2 * number)
    collect(start, incremental=True)
    kept = repo.lookup_snapshot(repo.lookup_branch("main")).written_at
    commit(repo, "g/c", 9)
    repo.expire_snapshots(kept)
    done = copy_of(start)
    collect(done, incremental=True)
    for moment in count():
        backend, requests = copy_of(start), count()

        def plan(operation: str, key: str, moment: int = moment, requests: Any = requests) -> None:
            if next(requests) == moment:
                raise Killed

        repo = Repository.open(storage_around(backend))
        killing = Repository.open(storage_around(Faulty(backend, plan if moment else _never)))
        try:
            killing.garbage_collect(future(), incremental=True)
        except Killed:
            check(backend)
            collect(backend, incremental=True)
            assert objects(backend) == objects(done), moment
        else:
            if moment:
                assert moment > 30
                break
    check(backend)


def _never(operation: str, key: str) -> None:
    return None


def test_a_record_that_does_not_fit_is_made_anew() -> None:
    backend = MemoryBackend()
    repo = Repository.create(storage_around(backend))
    for number in range(3):
        commit(repo, "a", number)
    collect(backend, incremental=True)
    commit(repo, "a", 5)
    repo.expire_snapshots(future())
    data = backend.get("frazil/collection")
    done = copy_of(backend)
    collect(done)
    lost = min(key for key in objects(backend) - objects(done) if key.startswith("manifests/"))
    damages = [
        lambda other: other.put("frazil/collection", data[:-1]),
        lambda other: other.put("frazil/collection", data[:50] + b"\xff" + data[51:]),
        lambda other: other.put("frazil/collection", b"FrazilGC\x02" + data[9:]),
        lambda other: other.put("frazil/collection", b""),
        lambda other: other.put(lost, b"damaged"),
        lambda other: other.delete([lost]),
    ]
    for damage in damages:
        other = copy_of(backend)
        damage(other)
        collect(other, incremental=True)
        assert objects(other) == objects(done)
        assert collect(other).bytes_deleted == 0
        check(other)


def test_two_incremental_collections_at_once() -> None:
    backend = MemoryBackend()
    repo = Repository.create(storage_around(backend))
    for number in range(3):
        commit(repo, "a", number)
    collect(backend, incremental=True)
    repo.expire_snapshots(future())
    other = [lambda: collect(backend, incremental=True)]

    def meanwhile(operation: str, key: str) -> None:
        if (operation, key) == ("put", "frazil/collection") and other:
            other.pop()()

    overtaken = Repository.open(storage_around(Faulty(backend, meanwhile)))
    with pytest.raises(frazil.ConflictError, match="another incremental collection"):
        overtaken.garbage_collect(future(), incremental=True)
    check(backend)
    assert collect(backend).bytes_deleted == 0


def test_what_is_too_young_waits() -> None:
    backend = MemoryBackend()
    repo = Repository.create(storage_around(backend))
    for number in range(3):
        commit(repo, "a", number)
    collect(backend, incremental=True)
    repo.expire_snapshots(future())
    before = objects(backend)
    repo.garbage_collect(datetime.now(UTC) - timedelta(days=1), incremental=True)
    assert objects(backend) == before
    full = copy_of(backend)
    collect(full)
    assert collect(backend, incremental=True).chunks_deleted == 2
    assert objects(backend) == objects(full)


def test_an_older_state_that_was_put_back_is_whole() -> None:
    """What was going to be deleted is needed again."""
    backend = MemoryBackend()
    repo = Repository.create(storage_around(backend))
    for number in range(3):
        commit(repo, "a", number)
    collect(backend, incremental=True)
    state = backend.get("repo")
    repo.expire_snapshots(future())
    stop = [True]

    def plan(operation: str, key: str) -> None:
        if operation == "delete" and stop:
            raise Killed

    with pytest.raises(Killed):
        collect(Faulty(backend, plan), incremental=True)
    backend.put("repo", state)
    assert collect(backend, incremental=True).bytes_deleted == 0
    check(backend)
    assert len(list(Repository.open(storage_around(backend)).ancestry(branch="main"))) == 4


def test_spec_1_has_no_incremental_collections() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=1)
    with pytest.raises(frazil.IcechunkError, match="migrate"):
        repo.garbage_collect(future(), incremental=True)


def test_manifests_are_read_elsewhere() -> None:
    """The same plan, the same result, full and incremental."""
    backend = MemoryBackend()
    history = History(backend, 3)
    for _ in range(12):
        history.step()
    full = copy_of(backend)
    expected = collect(full)
    elsewhere = copy_of(backend)
    with ThreadPoolExecutor(2) as pool:
        assert collect(elsewhere, on=pool) == expected
        assert objects(elsewhere) == objects(full)
        collect(backend, incremental=True, on=pool)
        assert objects(backend) == objects(full)
        commit(history.repo, "a", 999)
        history.repo.expire_snapshots(future())
        full = copy_of(backend)
        collect(full)
        collect(backend, incremental=True, on=pool)
    assert objects(backend) == objects(full)
    check(backend)


@everywhere_alike
def test_on_each_storage(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    for number in range(3):
        commit(repo, "a", number)
    repo.garbage_collect(future(), incremental=True)
    repo.expire_snapshots(future())
    assert repo.garbage_collect(future(), incremental=True).chunks_deleted == 2
    assert repo.garbage_collect(future()).bytes_deleted == 0
    assert repo.verify("data").is_healthy
