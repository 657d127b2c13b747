"""What is measured. Each case runs the same lines with `lib` = frazil or icechunk.

A case has two parts: `prepare` builds, untimed and once per library, the repository that the
case needs, with that library; `run` does the work in a fresh process and returns the seconds
that the interesting part took. Files are in the system's page cache: this compares the
libraries, not disks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype

from benchmarks import datasets, many, scale, selections, virtual
from benchmarks.common import Case, Clock, Goal, Lib, Sizes, checked, create, open_

# Many chunks, small and large -------------------------------------------------------------


def _block(chunks: int, chunk_bytes: int) -> np.ndarray:
    """Incompressible data for some chunks, as float32 cells of any bit pattern."""
    count = chunks * chunk_bytes // 4
    return np.random.default_rng(0).integers(0, 2**31, count, dtype=np.int32).view(np.float32)


def _array(store: Any, chunks: int, chunk_bytes: int) -> Any:
    cells = chunk_bytes // 4
    return zarr.create_array(
        store, name="x", shape=(chunks * cells,), chunks=(cells,), dtype="float32", compressors=None
    )


def _write_chunks(lib: Lib, folder: Path, chunks: int, chunk_bytes: int) -> Clock:
    """Write in steps of 64 MiB at most, and commit."""
    step = max(1, min(chunks, 64 * 1024 * 1024 // chunk_bytes))
    data = _block(step, chunk_bytes)
    session = create(lib, folder).writable_session("main")
    array = _array(session.store, chunks, chunk_bytes)
    clock = Clock()
    with clock.running():
        for start in range(0, array.size, data.size):
            stop = min(start + data.size, array.size)
            array[start:stop] = data[: stop - start]
        session.commit("write")
    return clock


def _read_chunks(lib: Lib, folder: Path, chunk_bytes: int) -> Clock:
    clock = Clock()
    with clock.running():
        store = open_(lib, folder).readonly_session("main").store
        array = zarr.open_array(store, path="x", mode="r")
        step = 64 * 1024 * 1024 // 4
        for start in range(0, array.size, step):
            array[start : start + step]
    return clock


def write_small(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    return _write_chunks(lib, folder, sizes.small_chunks, sizes.small_chunk_bytes)


def write_large(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    return _write_chunks(lib, folder, sizes.large_chunks, sizes.large_chunk_bytes)


def prepare_small(lib: Lib, folder: Path, sizes: Sizes) -> None:
    write_small(lib, folder, sizes)


def prepare_large(lib: Lib, folder: Path, sizes: Sizes) -> None:
    write_large(lib, folder, sizes)


def read_small(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    return _read_chunks(lib, folder, sizes.small_chunk_bytes)


def read_large(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    return _read_chunks(lib, folder, sizes.large_chunk_bytes)


# An array with a million references -------------------------------------------------------


def _side(sizes: Sizes) -> int:
    return int(sizes.references**0.5)


def prepare_references(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """A square array of one-cell chunks, all inline, written past zarr's array layer."""
    side = _side(sizes)
    session = create(lib, folder).writable_session("main")
    zarr.create_array(
        session.store, name="x", shape=(side, side), chunks=(1, 1), dtype="<u4", compressors=None
    )
    buffer = default_buffer_prototype().buffer

    async def write(rows: range) -> None:
        for row in rows:
            for column in range(side):
                cell = (row * side + column).to_bytes(4, "little")
                await session.store.set(f"x/c/{row}/{column}", buffer.from_bytes(cell))

    async def write_all() -> None:
        await asyncio.gather(*(write(range(lane, side, 8)) for lane in range(8)))

    asyncio.run(write_all())
    session.commit("a reference for each cell")


def commit_one_chunk(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Change one chunk of the array and commit; opening is not timed."""
    session = open_(lib, folder).writable_session("main")
    array = zarr.open_array(session.store, path="x", mode="r+")
    middle = _side(sizes) // 2
    clock = Clock()
    with clock.running():
        array[middle, middle] = np.uint32(time.time_ns() % 2**32)
        session.commit("one chunk")
    return clock


def open_and_read(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """From nothing in memory to the value of one chunk."""
    clock = Clock()
    with clock.running():
        store = open_(lib, folder).readonly_session("main").store
        value = int(np.asarray(zarr.open_array(store, path="x", mode="r")[0, 7]))
    if value != 7:
        raise AssertionError(f"read {value} instead of 7")
    return clock


# Many nodes, many commits -----------------------------------------------------------------

_GROUPS = 50


def prepare_nodes(lib: Lib, folder: Path, sizes: Sizes) -> None:
    session = create(lib, folder).writable_session("main")
    root = zarr.create_group(session.store)
    arrays = sizes.nodes - 1 - _GROUPS
    for group in range(_GROUPS):
        parent = root.create_group(f"g{group}")
        for number in range(group, arrays, _GROUPS):
            parent.create_array(f"a{number}", shape=(10,), chunks=(5,), dtype="float32")
    session.commit("many nodes")


def list_keys(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    async def count(store: Any) -> int:
        return sum([1 async for _ in store.list()])

    clock = Clock()
    with clock.running():
        found = asyncio.run(count(open_(lib, folder).readonly_session("main").store))
    return checked(clock, found, sizes.nodes, "nodes")


def list_members(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    clock = Clock()
    with clock.running():
        store = open_(lib, folder).readonly_session("main").store
        found = 1 + zarr.open_group(store, mode="r").nmembers(max_depth=None)
    return checked(clock, found, sizes.nodes, "nodes")


def small_commits(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Each commit writes one inline chunk, in a session of its own."""
    repo = create(lib, folder)
    with repo.transaction("main", message="create") as store:
        zarr.create_array(store, name="x", shape=(100,), chunks=(1,), dtype="int32")
    clock = Clock()
    with clock.running():
        for number in range(sizes.commits):
            session = repo.writable_session("main")
            zarr.open_array(session.store, path="x", mode="r+")[number % 100] = number
            session.commit(f"commit {number}")
    return clock


HISTORY_CHUNKS = 500
"""Chunks that each commit of a history changes."""


def prepare_history(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """A tenth of the commits, each of many inline chunks: every one has a manifest of its own."""
    repo = create(lib, folder)
    with repo.transaction("main", message="create") as store:
        zarr.create_array(store, name="x", shape=(10 * HISTORY_CHUNKS,), chunks=(1,), dtype="i4")
    for number in range(sizes.commits // 10 + 1):
        session = repo.writable_session("main")
        start = number % 10 * HISTORY_CHUNKS
        array = zarr.open_array(session.store, path="x", mode="r+")
        array[start : start + HISTORY_CHUNKS] = number + 1
        session.commit(f"commit {number}")


def count_bytes(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    repo, clock = open_(lib, folder), Clock()
    with clock.running():
        stats = repo.chunk_storage_stats()
    if not stats.total_bytes():
        raise AssertionError("nothing was counted")
    return clock


def plan_collection(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    repo, clock = open_(lib, folder), Clock()
    with clock.running():
        repo.garbage_collect(datetime.now(UTC), dry_run=True)
    return clock


def _history_title(what: str) -> Callable[[Sizes], str]:
    return lambda s: f"{what} over {s.commits // 10 + 1:,} commits of {HISTORY_CHUNKS} chunks"


def _large_title(what: str) -> Callable[[Sizes], str]:
    return lambda s: f"{what} {s.large_chunks:,} chunks of {s.large_chunk_bytes // 2**20} MiB"


def _small_title(what: str) -> Callable[[Sizes], str]:
    return lambda s: f"{what} {s.small_chunks:,} chunks of {s.small_chunk_bytes // 2**10} KiB"


CASES = (
    Case("write-small", _small_title("write and commit"), write_small, commits=True),
    Case("read-small", _small_title("open and read"), read_small, prepare_small),
    Case("write-large", _large_title("write and commit"), write_large, commits=True),
    Case("read-large", _large_title("open and read"), read_large, prepare_large),
    Case(
        "commit-one-chunk",
        lambda s: f"commit one chunk of an array with {s.references:,} references",
        commit_one_chunk,
        prepare_references,
        commits=True,
        goal=Goal(5),
        slow=True,
    ),
    Case(
        "open-and-read",
        lambda s: f"open the repository with {s.references:,} references and read one chunk",
        open_and_read,
        shares="commit-one-chunk",
    ),
    Case("list-keys", lambda s: f"open and list {s.nodes:,} nodes", list_keys, prepare_nodes),
    Case(
        "list-members",
        lambda s: f"open and walk {s.nodes:,} nodes with zarr",
        list_members,
        shares="list-keys",
    ),
    Case(
        "small-commits",
        lambda s: f"{s.commits:,} small commits",
        small_commits,
        commits=True,
        goal=Goal(1.5, unsynced=True),
    ),
    Case("stats", _history_title("count the bytes"), count_bytes, prepare_history),
    Case("collect", _history_title("plan a collection"), plan_collection, shares="stats"),
    *selections.CASES,
    *many.CASES,
    # icechunk writes datasets of today's xarray, and reads files of format 2, since version 2.
    *((*datasets.CASES, *scale.CASES) if int(version("icechunk").split(".")[0]) >= 2 else ()),
    *(virtual.CASES if virtual.IS_MEASURED else ()),
)
BY_NAME = {case.name: case for case in CASES}
