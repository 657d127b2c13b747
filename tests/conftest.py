"""Fixtures for tests of whole repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

import frazil


@pytest.fixture(params=[1, 2], ids=["spec1", "spec2"])
def spec(request: pytest.FixtureRequest) -> int:
    """Each version of the format that can be written."""
    return int(request.param)


@pytest.fixture(params=["memory", "disk"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> frazil.Storage:
    """An empty place."""
    if request.param == "memory":
        return frazil.in_memory_storage()
    return frazil.local_filesystem_storage(str(tmp_path / "repository"))


@pytest.fixture
def repo(storage: frazil.Storage, spec: int) -> frazil.Repository:
    """A new repository: of either version, in memory and on disk."""
    return frazil.Repository.create(storage, spec_version=spec)
