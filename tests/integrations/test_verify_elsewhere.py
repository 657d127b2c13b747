"""Verification by the workers of a cluster finds what it finds here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil


@pytest.mark.parametrize("level", ["metadata", "data"])
def test_a_cluster_finds_the_same(
    repo: frazil.Repository, client: Any, tmp_path: Path, level: frazil.verification.Level
) -> None:
    for i in range(2):
        with repo.edit("main", "numbers") as tree:
            data = np.random.default_rng(i).integers(1, 1 << 30, 600_000)
            zarr.create_array(tree.store, name=f"a{i}", data=data, chunks=(200_000,))
    (path, *_, other) = sorted((tmp_path / "repository" / "chunks").iterdir())
    damaged = bytearray(path.read_bytes())
    damaged[50] ^= 1
    path.write_bytes(damaged)
    other.unlink()
    here, there = repo.verify(level), repo.verify(level, on=client, max_memory=500)
    assert there.findings == here.findings
    assert len(here.findings) == (2 if level == "data" else 0)
    for name in ("snapshots", "manifests", "objects", "chunks", "checked", "decoded"):
        assert getattr(there, name) == getattr(here, name)
