"""Dask arrays into sessions: on a cluster, on threads, merged in a tree."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster

import frazil
from benchmarks.cluster import write_and_read
from frazil import ForkSession, InvalidInputError, Repository
from frazil.dask import (
    computing_meta,
    merge_sessions_array_kwargs,
    merged,
    session_merge_reduction,
    store_dask,
)
from frazil.xarray import to_icechunk


def prepared(repo: Repository, *names: str, size: int = 40) -> frazil.Session:
    """A session with arrays of `size` values in chunks of two."""
    with repo.transaction("main", message="arrays") as store:
        for name in names:
            zarr.create_array(store, name=name, shape=(size,), chunks=(2,), dtype="f8")
    return repo.writable_session("main")


def opened(fork: ForkSession, *names: str) -> list[Any]:
    return [zarr.open_array(fork.store, path=name, mode="r+") for name in names]


def values(repo: Repository, name: str) -> Any:
    return zarr.open_array(repo.readonly_session("main").store, path=name, mode="r")[...]


@pytest.mark.parametrize("split_every", [None, 2, 3])
def test_a_cluster_writes_arrays(repo: Repository, client: Client, split_every: int | None) -> None:
    session = prepared(repo, "a", "b")
    a = da.arange(40.0, chunks=2)
    fork = store_dask(
        sources=[a, a[:20] * 2],
        targets=opened(session.fork(), "a", "b"),
        regions=[(slice(0, 40),), (slice(10, 30),)],
        split_every=split_every,
    )
    session.merge(fork)
    session.commit("written")
    expected = np.arange(40.0)
    assert (values(repo, "a") == expected).all()
    assert (values(repo, "b")[10:30] == expected[:20] * 2).all()
    assert not values(repo, "b")[:10].any()


def test_a_cluster_writes_a_dataset(repo: Repository, client: Client) -> None:
    steps = np.arange(24)
    ds = xr.Dataset(
        {
            "t": (("time", "x"), da.random.default_rng(0).random((24, 6), chunks=(2, 3))),
            "n": ("x", np.arange(6)),
        },
        coords={"time": np.datetime64("2020-01-01") + steps},
    )
    expected = ds.compute()
    for part in (ds.isel(time=slice(0, 16)), ds.isel(time=slice(16, 24))):
        session = repo.writable_session("main")
        append_dim = "time" if part.time[0] > ds.time[0] else None
        to_icechunk(part, session, append_dim=append_dim, split_every=4)
        session.commit("part")
    again = xr.open_zarr(repo.readonly_session("main").store, consolidated=False)
    # Workers read: a read-only session goes to them as it is.
    xr.testing.assert_identical(again.mean().compute(), expected.mean())
    xr.testing.assert_identical(again.load(), expected)


def test_threads_that_call_themselves_a_cluster_may_write_to_memory() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = prepared(repo, "a")
    with (
        LocalCluster(processes=False, n_workers=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        fork = store_dask(sources=[da.ones(40, chunks=2)], targets=opened(session.fork(), "a"))
    session.merge(fork)
    session.commit("written")
    assert values(repo, "a").all()


def test_a_cluster_cannot_write_to_the_memory_of_this_process(client: Client) -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = prepared(repo, "a")
    with pytest.raises(InvalidInputError, match="keep it in a folder or a bucket"):
        store_dask(sources=[da.ones(40, chunks=2)], targets=opened(session.fork(), "a"))


def test_threads_share_the_fork(repo: Repository) -> None:
    session = prepared(repo, "a", "b")
    one, two = session.fork(), session.fork()
    targets = [*opened(one, "a"), *opened(two, "b")]
    fork = store_dask(sources=[da.ones(40, chunks=2)] * 2, targets=targets)
    assert fork is one
    session.merge(fork)
    session.commit("written")
    assert values(repo, "a").all()
    assert values(repo, "b").all()


def test_what_store_dask_refuses(repo: Repository) -> None:
    session = prepared(repo, "a")
    a, (target,) = da.ones(40, chunks=2), opened(session.fork(), "a")
    with pytest.raises(TypeError, match=r"session\.fork\(\)\.store"):
        store_dask(sources=[a], targets=[zarr.open_array(session.store, path="a")])
    with pytest.raises(ValueError, match="sources is empty"):
        store_dask(sources=[], targets=[])
    with pytest.raises(ValueError, match="dask arrays, not ndarray"):
        store_dask(sources=[np.ones(40)], targets=[target])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="compute, lock"):
        store_dask(sources=[a], targets=[target], compute=True, lock=True)
    with pytest.raises(ValueError, match="at least two forks"):
        session_merge_reduction(a, split_every=1)
    with pytest.raises(TypeError, match="expected a dask array"):
        session_merge_reduction([1], split_every=2)  # type: ignore[list-item]


def test_thousands_of_forks_are_merged_by_few_tasks(repo: Repository) -> None:
    """Each task merges as many as it is told to, and the columns come together once a level."""
    session = prepared(repo, "a", size=400)
    stored = da.store(
        da.ones(400, chunks=2),
        opened(session.fork(), "a")[0],
        lock=False,
        compute=False,
        return_stored=True,
        load_stored=False,
    )
    calls: list[int] = []

    def counted(parts: list[Any]) -> ForkSession:
        calls.append(len(parts))
        # As if each had come from a worker of its own.
        return merged([pickle.loads(pickle.dumps(part)) for part in parts])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frazil.dask.merged", counted)
        fork = session_merge_reduction(stored, split_every=10, scheduler="sync")
    assert sorted(calls) == [2] + [10] * 22
    session.merge(fork)
    session.commit("merged")
    assert values(repo, "a").all()


def test_steps_of_a_reduction(repo: Repository) -> None:
    @computing_meta
    def step(value: int, **kwargs: Any) -> int:
        return value + 1

    assert step(1) == 2
    assert len(step(1, computing_meta=True)) == 1
    session = prepared(repo, "a")
    one, two = session.fork(), session.fork()
    opened(two, "a")[0][:] = 1
    assert merge_sessions_array_kwargs([one, [two]], axis=0, keepdims=False) is one
    assert one.has_uncommitted_changes


def test_dask_names_what_it_reads_by_snapshot(repo: Repository) -> None:
    """A cluster keeps results by name: those of an older snapshot must not stand for a newer."""

    def commit(value: float) -> None:
        session = repo.writable_session("main")
        to_icechunk(xr.Dataset({"v": ("x", [value])}), session, mode="w")
        session.commit("v")

    def tokens() -> tuple[str, str, str]:
        store = repo.readonly_session("main").store
        other = repo.readonly_session("main").store
        writable = repo.writable_session("main").store
        return dask.base.tokenize(store), dask.base.tokenize(other), dask.base.tokenize(writable)

    commit(1.0)
    one, again, writable = tokens()
    commit(2.0)
    two, _, another = tokens()
    assert one == again != two
    assert len({one, two, writable, another}) == 4


@pytest.mark.parametrize("version", ["2024.12.1", "2025.1.0"])
def test_old_versions_of_dask_are_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr("frazil.dask.version", lambda _: version)
    with pytest.raises(ValueError, match=f"2025.2.0 or newer, this is {version}"):
        store_dask(sources=[], targets=[])


def test_a_large_array_is_no_load_for_who_has_it_written(tmp_path: Path, client: Client) -> None:
    """The same as `python -m benchmarks.cluster`, which is for larger ones."""
    outcome = write_and_read(tmp_path, gigabytes=0.1)
    assert outcome.total == outcome.expected
    assert outcome.chunks == 64
    assert outcome.grown_bytes < 100e6
