"""Run cases of `benchmarks.storage` with one library, in this process.

Reads names of cases, a line each. For each it says `ready`, waits for another line, does the
interesting part, and says `done SECONDS`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Goal
from tests.servers.s3 import S3

CHUNK_BYTES = 8 * 1024
ROW = CHUNK_BYTES // 4
"""Elements of an int32 array in a chunk."""


@dataclass(frozen=True)
class Sizes:
    chunks: int
    some: int
    many: int
    """Chunks of the array that is read; arrays in the commits."""


FULL, QUICK = Sizes(2_000, 100, 2_000), Sizes(50, 5, 20)


class Run:
    """What a case is given: the library, its repository's storage, and when to begin."""

    def __init__(self, lib: Any, storage: Any, sizes: Sizes) -> None:
        self.lib = lib
        self.storage = storage
        self.sizes = sizes
        self.seconds = 0.0

    def open(self) -> Any:
        return self.lib.Repository.open(self.storage)

    def array(self, repo: Any) -> Any:
        return zarr.open_array(repo.readonly_session("main").store, path="x", mode="r")

    def measure(self, part: Callable[[], object]) -> None:
        """Do the interesting part, when told to."""
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        part()
        self.seconds = time.perf_counter() - start


def prepare(run: Run) -> None:
    def build() -> None:
        session = run.lib.Repository.create(run.storage).writable_session("main")
        zarr.create_group(session.store)
        data = np.random.default_rng(0).integers(0, 2**31, run.sizes.chunks * ROW, dtype="i4")
        zarr.create_array(session.store, name="x", data=data, chunks=(ROW,), compressors=None)
        session.commit("prepare")

    run.measure(build)


def open_(run: Run) -> None:
    run.measure(run.open)


def read_one(run: Run) -> None:
    run.measure(lambda: run.array(run.open())[0])


def read_another(run: Run) -> None:
    array = run.array(run.open())
    array[0]
    run.measure(lambda: array[-1])


def read_again(run: Run) -> None:
    repo = run.open()
    run.array(repo)[0]
    run.measure(lambda: run.array(repo)[-1])


def read_all(run: Run) -> None:
    run.measure(lambda: run.array(run.open())[:])


def write(count: Callable[[Sizes], int]) -> Callable[[Run], None]:
    def case(run: Run) -> None:
        session, _ = filled(run, count(run.sizes))
        run.measure(lambda: session.commit("arrays"))

    return case


def write_and_commit(run: Run) -> None:
    run.measure(lambda: filled(run, run.sizes.some)[0].commit("arrays"))


def filled(run: Run, count: int) -> tuple[Any, Any]:
    """A session with new arrays of one chunk each."""
    session = run.open().writable_session("main")
    root = zarr.open_group(session.store)
    group = root.create_group(f"g{time.time_ns()}")
    data = np.random.default_rng(0).integers(0, 2**31, ROW, dtype="i4")
    for i in range(count):
        group.create_array(f"a{i}", data=data, chunks=(ROW,), compressors=None)
    return session, group


def append(run: Run) -> None:
    repo = run.open()
    run.array(repo)

    def part() -> None:
        session = repo.writable_session("main")
        zarr.open_array(session.store, path="x").append(np.arange(ROW, dtype="i4"))
        session.commit("append")

    run.measure(part)


def write_chunks(run: Run) -> None:
    data = np.random.default_rng(0).integers(0, 2**31, run.sizes.chunks * ROW, dtype="i4")

    def part() -> None:
        session = run.open().writable_session("main")
        name = f"x{time.time_ns()}"
        zarr.create_array(session.store, name=name, data=data, chunks=(ROW,), compressors=None)
        session.commit("chunks")

    run.measure(part)


CASES: dict[str, tuple[Callable[[Sizes], str], Callable[[Run], None]]] = {
    "open": (lambda s: "open a repository", open_),
    "read-one": (lambda s: "open, read one chunk", read_one),
    "read-another": (lambda s: "read one more chunk", read_another),
    "read-again": (lambda s: "another session, read another chunk", read_again),
    "read-all": (lambda s: f"open, read {s.chunks:,} chunks", read_all),
    "commit-one": (lambda s: "commit 1 array", write(lambda s: 1)),
    "commit-some": (lambda s: f"commit {s.some:,} arrays", write(lambda s: s.some)),
    "commit-many": (lambda s: f"commit {s.many:,} arrays", write(lambda s: s.many)),
    "write": (lambda s: f"open, write and commit {s.some:,} arrays", write_and_commit),
    "write-all": (lambda s: f"open, write and commit {s.chunks:,} chunks", write_chunks),
    "append": (lambda s: "append a chunk, and commit", append),
}
GOALS = {
    "read-all": Goal(10, requests=0.02),
    "write-all": Goal(10, requests=0.02),
    "commit-many": Goal(100),
}


def titles(quick: bool) -> dict[str, str]:
    """What each case is called."""
    sizes = QUICK if quick else FULL
    return {name: title(sizes) for name, (title, _) in CASES.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lib", choices=["frazil", "icechunk"])
    parser.add_argument("address", help="of the server, HOST:PORT")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    lib = importlib.import_module(given.lib)
    lib.set_logs_filter("error")
    storage = S3("", given.address).storage(lib, f"benchmark-{given.lib}")
    while case := sys.stdin.readline().strip():
        run = Run(lib, storage, QUICK if given.quick else FULL)
        (prepare if case == "prepare" else CASES[case][1])(run)
        print(f"done {run.seconds}", flush=True)
    os._exit(0)  # icechunk 2.3.0 may crash while the interpreter shuts down


if __name__ == "__main__":
    main()
