"""Cases at the sizes that Frazil is designed for: 100,000 nodes or snapshots, 1,000,000 chunks.

Making such repositories commit by commit takes hours, so `direct.py` writes their files, the same
ones for both libraries.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Case, Clock, Goal, Lib, Sizes, checked, open_
from benchmarks.made import BEGIN, CHUNKS, REPLACED, STEP, put_chunks, snapshot_id

Prepare = Callable[[Lib, Path, Sizes], None]


def directly(name: str) -> Prepare:
    """A function of `benchmarks.direct`, which imports Frazil: no run of another library should."""

    def prepare(lib: Lib, folder: Path, sizes: Sizes) -> None:
        getattr(importlib.import_module("benchmarks.direct"), name)(folder, sizes)

    return prepare


# Many snapshots ---------------------------------------------------------------------------


def commit_on_long_history(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    clock = Clock()
    with clock.running():
        session = open_(lib, folder).writable_session("main")
        zarr.open_array(session.store, path="x", mode="r+")[3] = time.time_ns() % 2**31
        session.commit("one more")
    return clock


def list_history(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    clock, last = Clock(), snapshot_id(sizes.snapshots - 1)
    with clock.running():
        history = open_(lib, folder).ancestry(snapshot_id=last)
        found = len([(info.id, info.message) for info in history])
    return checked(clock, found, sizes.snapshots, "snapshots")


def compare(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    last, clock = sizes.snapshots - 1, Clock()
    with clock.running():
        diff = open_(lib, folder).diff(
            from_snapshot_id=snapshot_id(last - sizes.compared), to_snapshot_id=snapshot_id(last)
        )
        found = len(diff.updated_chunks["/x"])
    return checked(clock, found, min(CHUNKS, sizes.compared), "chunks")


def expire_half(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Works on a copy, which is not timed, because it can be done only once."""
    copy, clock = folder.with_name(f"{folder.name}-expiring"), Clock()
    shutil.copytree(folder, copy)
    middle = sizes.snapshots // 2
    with clock.running():
        found = len(open_(lib, copy).expire_snapshots(BEGIN + middle * STEP))
    shutil.rmtree(copy)
    return checked(clock, found, middle - 1, "expired snapshots")


# Many nodes -------------------------------------------------------------------------------


def commit_attribute(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    clock = Clock()
    with clock.running():
        session = open_(lib, folder).writable_session("main")
        array = zarr.open_array(session.store, path="g7/a7", mode="r+")
        array.attrs["changed"] = time.time_ns()
        session.commit("one attribute")
    return clock


def list_many(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    async def count(store: Any) -> int:
        return sum([1 async for _ in store.list()])

    clock = Clock()
    with clock.running():
        found = asyncio.run(count(open_(lib, folder).readonly_session("main").store))
    return checked(clock, found, sizes.many_nodes, "nodes")


def list_members(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    clock = Clock()
    with clock.running():
        store = open_(lib, folder).readonly_session("main").store
        found = len(zarr.open_group(store, path="g0", mode="r").members())
    return checked(clock, found, sizes.members, "members")


# Many chunks, each an object of its own ---------------------------------------------------


def collect(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """One chunk in a hundred, new in each run, belongs to no commit."""
    garbage = sizes.collected // 100
    put_chunks(folder, np.random.default_rng().integers(0, 256, (garbage, 12), "u1"))
    clock = Clock()
    with clock.running():
        found = open_(lib, folder).garbage_collect(datetime.now(UTC)).chunks_deleted
    return checked(clock, found, garbage, "chunks")


# Many snapshots, of which few go ------------------------------------------------------------

EXPIRED = 5


def prepare_replaced(lib: Lib, folder: Path, sizes: Sizes) -> None:
    directly("replaced")(lib, folder, sizes)
    _collect_changes(lib, folder)


def collect_again(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Since the last collection there was a commit, and the oldest snapshots have expired."""
    repo = open_(lib, folder)
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="x", mode="r+")[...] = time.time_ns() % 2**31
    session.commit("one more")
    oldest = list(repo.ancestry(branch="main"))[-2 - EXPIRED]  # the very first one stays
    repo.expire_snapshots(oldest.written_at)
    clock = Clock()
    with clock.running():
        found = _collect_changes(lib, folder)
    checked(clock, found.snapshots_deleted, EXPIRED, "snapshots")
    return checked(clock, found.chunks_deleted, EXPIRED * REPLACED, "chunks")


def _collect_changes(lib: Lib, folder: Path) -> Any:
    options = {"incremental": True} if lib.__name__ == "frazil" else {}
    return open_(lib, folder).garbage_collect(datetime.now(UTC), **options)


def verify(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """icechunk has no verification: its collection, of nothing, also looks at all there is."""
    repo, clock = open_(lib, folder), Clock()
    with clock.running():
        if lib.__name__ == "frazil":
            found = len(repo.verify("objects").findings)
        else:
            found = repo.garbage_collect(datetime.now(UTC), dry_run=True).chunks_deleted
    return checked(clock, found, 0, "faults")


CASES = (
    Case(
        "long-commit",
        lambda s: f"open {s.snapshots:,} snapshots and commit one chunk",
        commit_on_long_history,
        directly("snapshots"),
        commits=True,
    ),
    Case(
        "long-ancestry",
        lambda s: f"open {s.snapshots:,} snapshots and list them all",
        list_history,
        shares="long-commit",
    ),
    Case(
        "long-diff",
        lambda s: f"open {s.snapshots:,} snapshots and diff over {s.compared:,} commits",
        compare,
        shares="long-commit",
    ),
    Case(
        "long-expire",
        lambda s: f"open {s.snapshots:,} snapshots and expire half of them",
        expire_half,
        shares="long-commit",
        commits=True,
    ),
    Case(
        "wide-commit",
        lambda s: f"open {s.many_nodes:,} nodes and commit one attribute",
        commit_attribute,
        directly("many_nodes"),
        commits=True,
    ),
    Case(
        "wide-list",
        lambda s: f"open and list {s.many_nodes:,} nodes",
        list_many,
        shares="wide-commit",
        goal=Goal(3),
    ),
    Case(
        "members",
        lambda s: f"members() of a group of {s.members:,}",
        list_members,
        directly("members"),
        goal=Goal(3),
    ),
    Case(
        "collect-many",
        lambda s: f"collect garbage among {s.collected:,} chunks",
        collect,
        directly("chunks"),
        goal=Goal(2, memory=0.5),
    ),
    Case(
        "collect-again",
        lambda s: f"collect what a commit and {EXPIRED} expired of {s.kept:,} snapshots left",
        collect_again,
        prepare_replaced,
        commits=True,
    ),
    Case(
        "verify-many",
        lambda s: f"verify that {s.collected:,} chunk objects are whole (icechunk: seek garbage)",
        verify,
        shares="collect-many",
    ),
)
