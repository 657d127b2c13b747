"""Budgets of caches, what is fetched ahead, limits of requests, and the counters of it all."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import frazil
from frazil import CachingConfig, ManifestConfig, ManifestPreloadCondition, Repository, Storage
from frazil.config import ManifestPreloadConfig, RepositoryConfig
from frazil.storage.doubles import Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.rounds import Distant, played
from tests.scenario.trees import array, chunks, commit, content, get, group, put, tip

NATIVE = b"x" * 600
LARGE = b"l" * (2 << 20)
"""A chunk with an object of its own."""


@pytest.fixture
def place() -> Distant:
    return Distant(MemoryBackend())


@pytest.fixture
def storage(place: Distant, spec: int) -> Storage:
    """Arrays `time`, of few chunks, and `data`, of many, in manifests of their own."""
    storage = storage_around(place)
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "time": array([9]), **chunks("time", range(9), NATIVE)})
    commit(repo, {"data": array([2000]), **chunks("data", range(2000), NATIVE)})
    place.reset()
    return storage


def reads(place: Distant, folder: str) -> int:
    return sum(place.requests[operation, folder] for operation in ("get", "get_ranges"))


def opened(storage: Storage, **options: Any) -> Repository:
    return Repository.open(storage, RepositoryConfig(**options))


# Caches


def test_without_budgets_nothing_is_kept(storage: Storage, place: Distant) -> None:
    caching = CachingConfig(num_snapshot_nodes=0, num_chunk_refs=0)
    repo = opened(storage, caching=caching, **preloading(max_total_refs=0))
    view = tip(repo)
    place.reset()
    for _ in range(3):
        get(view, "data/c/0")
    assert reads(place, "manifests") == 3
    tip(repo)
    tip(repo)
    assert reads(place, "snapshots") == 2
    assert repo.stats.caches["manifests"].entries == 0


def test_the_budget_is_for_as_many_references(storage: Storage, place: Distant) -> None:
    repo = opened(storage, caching=CachingConfig(num_chunk_refs=1000))
    view = tip(repo)
    for key in ("data/c/0", "time/c/0"):
        get(view, key)
    place.reset()
    get(view, "time/c/1")
    assert reads(place, "manifests") == 0
    get(view, "data/c/1")
    assert reads(place, "manifests") == 1
    assert repo.stats.caches["manifests"].budget == 64_000


def test_chunks_are_kept_if_asked_for(storage: Storage, place: Distant) -> None:
    for budget, expected in ((None, 3), (10_000, 1), (100, 3)):
        repo = opened(storage, caching=CachingConfig(num_bytes_chunks=budget))
        view = tip(repo)
        place.reset()
        for _ in range(3):
            assert get(view, "data/c/7") == NATIVE
        assert reads(place, "chunks") == expected
    view = tip(opened(storage, caching=CachingConfig(num_bytes_chunks=10_000_000)))
    first = content(view)
    place.reset()
    assert content(view) == first
    assert place.total == 0


def test_counters(storage: Storage, place: Distant) -> None:
    repo = opened(storage, **preloading(max_total_refs=0))
    view = tip(repo)
    before = repo.stats
    get(view, "data/c/0")
    get(view, "data/c/1")
    after = repo.stats
    assert after.num_requests - before.num_requests == 3
    assert after.requests["get"] - before.requests["get"] == 3
    assert after.bytes_read - before.bytes_read > 1200
    manifests = after.caches["manifests"]
    assert (manifests.hits, manifests.misses, manifests.entries) == (1, 1, 1)
    commit(repo, {"time/c/0": LARGE})
    assert repo.stats.bytes_written - after.bytes_written > len(LARGE)
    assert "hits" in str(repo.stats)
    assert repo.stats.num_requests == place.total


# Fetching ahead


def preloading(**options: Any) -> dict[str, Any]:
    return {"manifest": ManifestConfig(preload=ManifestPreloadConfig(**options))}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1),
        (preloading(preload_if=ManifestPreloadCondition.true()), 2),
        (preloading(preload_if=ManifestPreloadCondition.true(), max_total_refs=9), 1),
        (preloading(preload_if=ManifestPreloadCondition.true(), max_arrays_to_scan=1), 1),
        (preloading(preload_if=ManifestPreloadCondition.name_matches("^data$")), 1),
        (preloading(max_total_refs=0), 0),
        (preloading(preload_if=ManifestPreloadCondition.false()), 0),
    ],
    ids=["default", "all", "few references", "one array", "a name", "none at all", "never"],
)
def test_manifests_are_fetched_ahead(
    storage: Storage, place: Distant, options: dict[str, Any], expected: int
) -> None:
    repo = opened(storage, **options)
    with played(place):
        view = tip(repo)
        assert reads(place, "manifests") == expected
        tip(repo)
        repo.writable_session("main")
        assert reads(place, "manifests") == expected
        get(view, "time/c/0")
        get(view, "data/c/0")
        assert reads(place, "manifests") == 2


def test_a_coordinate_in_a_shared_file_is_fetched_ahead(place: Distant, spec: int) -> None:
    storage = storage_around(place)
    repo = Repository.create(storage, spec_version=spec)
    tree: dict[str, bytes | None] = {"": group(), "lat": array([3]), "lat/c/0": NATIVE}
    for i in range(1200):
        tree |= {f"many{i}": array([1]), f"many{i}/c/0": b"x"}
    commit(repo, tree)
    with played(place):
        view = tip(Repository.open(storage))
        place.reset()
        get(view, "lat/c/0")
        assert [key.split("/")[0] for _, key in place.log] == ["chunks"]


def test_nothing_is_fetched_ahead_from_a_local_disk_unless_asked_for() -> None:
    storage = frazil.in_memory_storage()
    commit(Repository.create(storage), {"": group(), "time": array([9]), "time/c/0": b"x"})
    repo = Repository.open(storage)
    tip(repo)
    assert repo.stats.caches["manifests"].misses == 0


def test_what_cannot_be_fetched_ahead_is_told_when_it_is_needed(
    storage: Storage, place: Distant
) -> None:
    for info in place.inner.list("manifests"):
        place.inner.put(info.key, b"nonsense")
    with played(place):
        view = tip(Repository.open(storage))
        with pytest.raises(frazil.IcechunkError):
            get(view, "time/c/0")


# Limits


class Crowd(Wrapper):
    """Tells how many requests went on at the same time."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.here = self.most = 0
        self.lock = threading.Lock()
        self.full = threading.Event()

    def request(self, operation, key, call, sent=0):  # type: ignore[no-untyped-def]
        with self.lock:
            self.here += 1
            self.most = max(self.most, self.here)
        self.full.wait(0.01)
        try:
            return call()
        finally:
            with self.lock:
                self.here -= 1

    @property
    def local(self) -> bool:
        return False


def test_at_most_so_many_requests_at_the_same_time() -> None:
    crowd = Crowd()
    storage = storage_around(crowd)
    repo = Repository.create(storage)
    commit(repo, {"": group(), "a": array([20])})
    for i in range(20):
        commit(repo, {f"a{i}": array([1]), f"a{i}/c/0": b"x" * 600})
    for limit in (1, 3):
        repo = opened(storage, max_concurrent_requests=limit)
        session = repo.writable_session("main")
        crowd.most = 0
        for i in range(20):
            put(session, f"a{i}/c/0", b"y" * 600)
        session.commit("all")
        assert crowd.most == limit


def test_manifests_that_a_commit_reads_at_the_same_time(storage: Storage, place: Distant) -> None:
    for i in range(6):
        commit(Repository.open(storage), {f"a{i}": array([1]), f"a{i}/c/0": NATIVE})
    for limit, expected in ((None, 3), (2, 5)):
        config = ManifestConfig(
            preload=ManifestPreloadConfig(max_total_refs=0),
            max_concurrent_manifest_fetches_during_commit=limit,
        )
        session = opened(storage, manifest=config).writable_session("main")
        for i in range(6):
            put(session, f"a{i}/c/0", b"y" * 600)
        with played(place):
            place.reset()
            session.commit("all")
            assert place.now == expected
        Repository.open(storage).reset_branch("main", parent(storage))


def parent(storage: Storage) -> str:
    repo = Repository.open(storage)
    return [info.id for info in repo.ancestry(branch="main")][1]
