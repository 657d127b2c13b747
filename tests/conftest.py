"""Fixtures for tests of whole repositories."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import settings

import frazil

pytest_plugins = ("tests.servers.fixtures",)

# No test depends on how fast the machine is. What lets a change in tries the same examples each
# time; HYPOTHESIS_PROFILE=random looks for new ones, HYPOTHESIS_PROFILE=long for many.
settings.register_profile("usual", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=50)
settings.register_profile("long", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


@pytest.fixture(params=[1, 2], ids=["spec1", "spec2"])
def spec(request: pytest.FixtureRequest) -> int:
    """Each version of the format that can be written."""
    return int(request.param)


@pytest.fixture(params=["memory", "disk"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> frazil.Storage:
    """An empty place; in an object store where a test says `everywhere`."""
    if request.param == "memory":
        return frazil.in_memory_storage()
    if request.param == "disk":
        return frazil.local_filesystem_storage(str(tmp_path / "repository"))
    servers = request.getfixturevalue("servers")
    stored: frazil.Storage = servers.cloud(request.param).storage(
        frazil, f"scenario/{secrets.token_hex(8)}"
    )
    return stored


@pytest.fixture
def repo(storage: frazil.Storage, spec: int) -> frazil.Repository:
    """A new repository: of either version, in memory and on disk."""
    return frazil.Repository.create(storage, spec_version=spec)
