"""One commit written by several processes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from frazil import ForkSession
from frazil.distributed import merge_sessions

PARTS = 6
ROWS = 20


def write_part(fork: ForkSession, part: int) -> ForkSession:
    """What a worker process does."""
    rows = slice(part * ROWS, (part + 1) * ROWS)
    zarr.open_array(fork.store, path="data")[rows] = part + 1
    zarr.open_array(fork.store, path="large")[part] = np.full(600_000, part, "u1")
    zarr.create_array(fork.store, name=f"part-{part}", data=np.arange(part + 1))
    return fork


def merged(forks: list[ForkSession]) -> ForkSession:
    """Merging, done by a worker process as well."""
    return merge_sessions(forks)


@pytest.mark.parametrize("method", sorted(set(multiprocessing.get_all_start_methods())))
@pytest.mark.parametrize("committed", [True, False], ids=["clean", "with changes"])
def test_processes_write_their_parts(
    tmp_path: Path, spec: int, method: str, committed: bool
) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path / "repository"))
    repo = frazil.Repository.create(storage, spec_version=spec)
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    root.create_array(
        "data", shape=(PARTS * ROWS, 50), chunks=(5, 50), dtype="i4", compressors=None
    )
    root.create_array(
        "large", shape=(PARTS, 600_000), chunks=(1, 600_000), dtype="u1", compressors=None
    )
    if committed:
        session.commit("empty arrays")
        session = repo.writable_session("main")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        fork = session.fork()
        futures = [pool.submit(write_part, fork, part) for part in range(PARTS)]
        forks = [future.result() for future in futures]
        half = pool.submit(merged, forks[:3]).result()
    session.merge(half, *forks[3:])
    session.commit("all parts")

    again = frazil.Repository.open(storage)
    root = zarr.open_group(again.readonly_session("main").store, mode="r")
    expected = np.repeat(np.arange(PARTS) + 1, ROWS)
    assert (root["data"][...] == expected[:, None]).all()
    assert (root["large"][...] == np.arange(PARTS)[:, None]).all()
    assert {name for name, _ in root.arrays()} == {"data", "large"} | {
        f"part-{part}" for part in range(PARTS)
    }
    messages = [info.message for info in again.ancestry(branch="main")]
    assert messages[: len(messages) - 1] == ["all parts", "empty arrays"][: 1 + committed]
