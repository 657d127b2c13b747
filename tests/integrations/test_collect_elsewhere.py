"""Collections whose manifests are read on a cluster: the same plan, the same result."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import zarr
from distributed import Client

import frazil
from frazil import Repository


def test_a_cluster_reads_the_manifests(tmp_path: Path, client: Client) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    repo = Repository.create(frazil.local_filesystem_storage(str(here)))
    for number in range(4):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store)
        for name in "ab":
            data = np.random.default_rng(number).random((30, 100))
            root.create_array(name, data=data, chunks=(1, 100), overwrite=True)
        session.commit(f"{number}")
    future = datetime.now(UTC) + timedelta(days=1)
    repo.expire_snapshots(future)
    shutil.copytree(here, there)
    expected = repo.garbage_collect(future)
    assert expected.chunks_deleted > 0
    other = Repository.open(frazil.local_filesystem_storage(str(there)))
    assert other.garbage_collect(future, on=client) == expected
    for folder in ("chunks", "manifests", "snapshots", "transactions"):
        names = [{path.name for path in (place / folder).iterdir()} for place in (here, there)]
        assert names[0] == names[1]
    assert other.garbage_collect(future, on=client, incremental=True).bytes_deleted == 0
    assert other.verify("data").is_healthy
