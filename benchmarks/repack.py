"""Many small chunk objects, before and after they are repacked: objects, bytes, requests, time.

    python -m benchmarks repack             200,000 chunks on local disk, and on S3 of this machine
    python -m benchmarks repack --short     20,000
    python -m benchmarks repack --quick     500: shows that it works

The repository is written with an object for each chunk, as Icechunk writes it, in ten commits. All
chunks are read before and after, and once more when what is not needed any more is collected. Times
are those of one run, in this process; the files are in the memory of the system, so that on a disk
the time is that of the processors.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import frazil
from benchmarks.many import has_server
from benchmarks.report import aligned, machine
from tests.servers.s3 import ministack

CELLS = 512
"""Of float32 in a chunk: 2 KiB."""
COMMITS = 10


@dataclass(frozen=True)
class Reading:
    """What it takes to open the newest version and read all of it."""

    objects: int
    nbytes: int
    requests: int
    seconds: float


def write(storage: frazil.Storage, chunks: int) -> None:
    config = frazil.RepositoryConfig()
    config.packs = frazil.PackConfig.off()
    repo = frazil.Repository.create(storage, config)
    rng = np.random.default_rng(0)
    step = chunks // COMMITS
    for i in range(COMMITS):
        session = repo.writable_session("main")
        array: Any = zarr.open_group(session.store, mode="a").require_array(
            "a", shape=(chunks, CELLS), chunks=(1, CELLS), dtype="f4", compressors=None
        )
        array[i * step : (i + 1) * step] = rng.random((step, CELLS), dtype="f4")
        session.commit(f"part {i}")


def read(storage: frazil.Storage) -> Reading:
    listed = [info.size for info in storage.backend().list("chunks")]
    start = time.perf_counter()
    repo = frazil.Repository.open(storage)
    session = repo.readonly_session("main")
    array: Any = zarr.open_array(session.store, path="a", mode="r")
    total = float(array[:].sum(dtype="f8"))
    seconds = time.perf_counter() - start
    if not total > 0:
        raise AssertionError("what was read is not what was written")
    return Reading(len(listed), sum(listed), repo.stats.num_requests, seconds)


def timed(part: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return part(), time.perf_counter() - start


def measure(where: str, storage: frazil.Storage, chunks: int) -> list[list[str]]:
    """Rows of the table."""
    note(f"{where}: writing {chunks:,} objects")
    _, seconds = timed(lambda: write(storage, chunks))
    rows = [row(where, "one object for each chunk", read(storage), seconds)]
    note(f"{where}: repacking")
    done, seconds = timed(lambda: frazil.Repository.open(storage).repack(history=True))
    rows.append(row(where, "repacked, with its history", read(storage), seconds))
    if done.chunks_moved != chunks:
        raise AssertionError(f"{done.chunks_moved} chunks were moved")
    note(f"{where}: collecting")
    cutoff = datetime.now(UTC) + timedelta(days=1)
    _, seconds = timed(lambda: frazil.Repository.open(storage).garbage_collect(cutoff))
    rows.append(row(where, "and collected", read(storage), seconds))
    return rows


def row(where: str, what: str, reading: Reading, seconds: float) -> list[str]:
    return [
        where,
        what,
        f"{seconds:.1f}",
        f"{reading.objects:,}",
        f"{reading.nbytes / 2**20:.1f}",
        f"{reading.requests:,}",
        f"{reading.seconds:.2f}",
    ]


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks repack", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="20,000 chunks")
    size.add_argument("--quick", action="store_true", help="500 chunks")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    given = parser.parse_args(arguments)
    chunks = 500 if given.quick else 20_000 if given.short else 200_000
    os.environ["FRAZIL_FSYNC"] = "0"  # 200,000 files forced to the disk are not what is measured
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(dir=given.folder, ignore_cleanup_errors=True)
        )
        storage = frazil.local_filesystem_storage(str(Path(folder) / "repository"))
        rows = measure("local disk", storage, chunks)
        if has_server():
            server = stack.enter_context(ministack(Path(folder)))
            rows += measure("S3", server.storage(frazil, "repack"), chunks)
        else:
            note("Without S3, whose server `make servers` installs")
    head = ["where", "what", "took s", "objects", "MiB", "requests to read all", "read s"]
    print(f"{machine()}\n\n{chunks:,} chunks of 2 KiB.\n\n{aligned([head, *rows])}")


if __name__ == "__main__":
    main(sys.argv[1:])
