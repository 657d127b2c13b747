"""Fixtures for work with other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

import frazil


@pytest.fixture(autouse=True)
def few_workers() -> Iterator[None]:
    with dask.config.set(num_workers=2):
        yield


@pytest.fixture
def repo(tmp_path: Path) -> frazil.Repository:
    """A new repository on disk."""
    storage = frazil.local_filesystem_storage(str(tmp_path / "repository"))
    return frazil.Repository.create(storage)


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Any]:
    """What Dask computes with while this is open."""
    with Client(cluster) as client:
        yield client


@pytest.fixture(params=["threads", "cluster"])
def computing(request: pytest.FixtureRequest) -> None:
    """Dask computes on threads of this process, or on a cluster."""
    if request.param == "cluster":
        request.getfixturevalue("client")
