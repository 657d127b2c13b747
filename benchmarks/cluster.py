"""A large array written by a Dask cluster, and read again by it.

    python -m benchmarks.cluster --gigabytes 20 --workers 4

Prints seconds, chunks, and how much the memory of the coordinating process grew; that should not
depend on the size of the array, only a little on the number of its chunks. The values are constant,
so that the chunks take little room on disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
import psutil
import xarray as xr
from distributed import Client, LocalCluster

import frazil
from frazil.xarray import to_icechunk

SIDE = 362
"""Rows and columns of a chunk, which takes 1 MiB as 64-bit numbers."""


@dataclass(frozen=True)
class Outcome:
    """What was written, and what it took."""

    chunks: int
    total: float
    expected: float
    grown_bytes: int
    seconds_to_write: float
    seconds_to_read: float


def write_and_read(folder: Path, gigabytes: float) -> Outcome:
    """With the cluster that is current."""
    columns = 64
    rows = max(1, round(gigabytes * 1e9 / (columns * SIDE * SIDE * 8)))
    values = da.full((rows * SIDE, columns * SIDE), 3.0, chunks=SIDE)
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "large")))
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    session = repo.writable_session("main")
    to_icechunk(xr.Dataset({"v": (("y", "x"), values)}), session)
    session.commit("written by a cluster")
    written = time.perf_counter()
    stored = frazil.open_dataset(repo, chunks={}).v
    total = float(stored.sum())
    read = time.perf_counter()
    session_of = repo.readonly_session("main")
    node = session_of._array("/v")
    return Outcome(
        chunks=sum(map(len, session_of._workspace.chunk_batches(node))),
        total=total,
        expected=3.0 * values.size,
        grown_bytes=psutil.Process().memory_info().rss - before,
        seconds_to_write=written - start,
        seconds_to_read=read - written,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        LocalCluster(
            n_workers=given.workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        outcome = write_and_read(Path(folder), given.gigabytes)
    print(outcome)
    if outcome.total != outcome.expected:
        raise SystemExit("what was read is not what was written")


if __name__ == "__main__":
    main()
