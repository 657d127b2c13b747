"""Repacking by the workers of a cluster, and by an executor: the same as here."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil

SHAPE, CHUNKS = (60, 400), (1, 400)
PACKS = frazil.PackConfig(target_bytes=32_000)


def opened(folder: Path) -> frazil.Repository:
    config = frazil.RepositoryConfig()
    config.packs = PACKS
    return frazil.Repository.open(frazil.local_filesystem_storage(str(folder)), config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with two versions of two arrays, an object for each chunk."""
    config = frazil.RepositoryConfig()
    config.packs = frazil.PackConfig.off()
    place = tmp_path / "here"
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(place)), config)
    rng = np.random.default_rng(0)
    for _ in range(2):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for name in "uv":
            array = root.require_array(name, shape=SHAPE, chunks=CHUNKS, dtype="i4")
            array[:] = rng.integers(0, 99, SHAPE)
        session.commit("values")
    return place


def objects(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "chunks").iterdir()}


@pytest.mark.parametrize("where", ["executor", "cluster"])
def test_the_same_plan_with_the_same_result(
    folder: Path, where: str, request: pytest.FixtureRequest
) -> None:
    expected = zarr.open_group(opened(folder).readonly_session("main").store, mode="r")["u"][:]  # type: ignore[index]
    other = folder.with_name("there")
    shutil.copytree(folder, other)
    here = opened(folder).repack(history=True, together=["/u", "/v"])
    assert here.objects_written > 4
    if where == "executor":
        with ThreadPoolExecutor(2) as pool:
            there = opened(other).repack(history=True, together=["/u", "/v"], on=pool)
    else:
        client: Any = request.getfixturevalue("client")
        there = opened(other).repack(history=True, together=["/u", "/v"], on=client)
    plain = [one.to_dict() | {"commits": None} for one in (here, there)]
    assert plain[0] == plain[1]
    assert objects(folder) == objects(other)
    repo = opened(other)
    np.testing.assert_array_equal(
        zarr.open_group(repo.readonly_session("main").store, mode="r")["u"][:],  # type: ignore[index]
        expected,
    )
    assert repo.verify("data").is_healthy
    if where == "cluster":
        # Copies are compared there, too.
        done = opened(other).repack(history=True, recompress=19, recompress_saves=0, on=client)
        assert done.chunks_recompressed > 0
        assert opened(other).verify("data").is_healthy
