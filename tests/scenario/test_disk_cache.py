"""A repository behind a cache on local disk."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, Storage
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

READS = {"get", "get_ranges", "fetch"}


@pytest.fixture
def counting() -> Counting:
    return Counting(MemoryBackend())


def reads(counting: Counting) -> set[str]:
    return {what for (operation, what), n in counting.requests.items() if operation in READS and n}


def fill(repo: Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(
        session.store, name="a", shape=(100, 1000), chunks=(10, 1000), dtype="f8"
    )
    array[...] = np.random.default_rng(1).random((100, 1000))
    session.commit("filled")


def values(storage: Storage) -> np.ndarray:
    session = Repository.open(storage).readonly_session("main")
    return zarr.open_array(session.store, path="a", mode="r")[...]


def test_the_second_reader_asks_only_what_is_new(
    counting: Counting, spec: int, tmp_path: Path
) -> None:
    plain = storage_around(counting)
    fill(Repository.create(plain, spec_version=spec))
    cached = plain.with_cache(tmp_path, 10_000_000)
    expected = values(plain)
    np.testing.assert_array_equal(values(cached), expected)
    counting.reset()
    # as in another process
    again = storage_around(counting).with_cache(tmp_path, 10_000_000)
    np.testing.assert_array_equal(values(again), expected)
    # in format 1 an expiration may have replaced the snapshot
    changing = {"repo"} if spec == 2 else {"repo", "refs", "config.yaml", "snapshots"}
    assert reads(counting) <= changing
    fill_again = Repository.open(again).writable_session("main")
    zarr.open_array(fill_again.store, path="a")[0] = 1
    fill_again.commit("changed")
    np.testing.assert_array_equal(values(cached)[0], 1)
    np.testing.assert_array_equal(values(cached)[1:], expected[1:])


def test_what_was_collected_and_made_again_is_new(spec: int, tmp_path: Path) -> None:
    plain = frazil.in_memory_storage()
    cached = plain.with_cache(tmp_path, 10_000_000)
    repo = Repository.create(cached, spec_version=spec)
    fill(repo)
    before = values(cached)
    old = repo.lookup_branch("main")
    repo.reset_branch("main", list(repo.ancestry(branch="main"))[-1].id)
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
    assert not list(plain.backend().list("chunks"))
    fill(Repository.open(cached))
    assert Repository.open(cached).lookup_branch("main") != old
    np.testing.assert_array_equal(values(cached), before)


def test_a_value_that_travels(tmp_path: Path) -> None:
    folder = frazil.local_filesystem_storage(str(tmp_path / "repo"))
    cached = folder.with_cache(tmp_path / "cache", 2**20)
    copy = pickle.loads(pickle.dumps(cached))
    assert copy == cached
    assert copy.backend() is cached.backend()
    assert cached != folder
    assert cached != folder.with_cache(tmp_path / "other", 2**20)
    assert f"{tmp_path / 'cache'}, at most 1048576 bytes" in repr(cached)
    with pytest.raises(ValueError, match="too small"):
        folder.with_cache(tmp_path, 1000)
