"""Cases at the sizes that Frazil is designed for: 100,000 nodes or snapshots, 1,000,000 chunks.

Making such repositories commit by commit takes hours, so their files are written directly, the
same ones for both libraries. Only the files are there that the cases read.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import frazil
from benchmarks.common import Case, Clock, Goal, Lib, Sizes, checked, create, open_
from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.manifest import Manifest, encode_manifest
from frazil.format.nodes import ManifestRef, Node, NodeTable
from frazil.format.repo_info import SnapshotRecord, SnapshotTable, encode_repo_info
from frazil.format.repo_info import initial_repo_info as initial
from frazil.format.snapshot import (
    ManifestInfo,
    ManifestTable,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from frazil.format.transaction_log import TransactionLog, encode_transaction_log
from frazil.ids import ChunkId, ManifestId, NodeId, SnapshotId

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=1)
_SPEC = 2
_CHUNKS = 1_000
"""Chunks of the array that a long history is about."""


def _id(number: int) -> SnapshotId:
    return SnapshotId(hashlib.sha256(number.to_bytes(8, "big")).digest()[:12])


def _moment(number: int) -> int:
    return int((_BEGIN + number * _STEP).timestamp() * 1_000_000)


def _first_commit(folder: Path, fill: Callable[[Any], object]) -> Snapshot:
    """The snapshot of a real commit, in a new repository."""
    repo = create(frazil, folder)
    with repo.transaction("main", message="create") as store:
        fill(store)
    file = folder / "snapshots" / repo.lookup_branch("main")
    return decode_snapshot(file.read_bytes(), where=str(file))


def _put_history(folder: Path, count: int) -> None:
    """Replace the history by a line of `count` snapshots, the last one `_id(count - 1)`."""
    info = initial(_moment(0), _moment(0))
    root = info.snapshots.record(0)
    ids = [root.id, *(_id(number) for number in range(1, count))]
    records = [
        SnapshotRecord(ids[number], ids[number - 1], _moment(number), f"commit {number}")
        for number in range(1, count)
    ]
    info = dataclasses.replace(
        info, branches={"main": ids[-1]}, snapshots=SnapshotTable.of([root, *records])
    )
    (folder / "repo").write_bytes(encode_repo_info(info))


def _put_snapshot(folder: Path, snapshot: Snapshot, number: int) -> None:
    moved = dataclasses.replace(snapshot, id=_id(number), flushed_at=_moment(number))
    file = folder / "snapshots" / str(moved.id)
    file.write_bytes(encode_snapshot(moved, spec=_SPEC))


# Many snapshots ---------------------------------------------------------------------------


def _create_array(store: Any) -> None:
    zarr.create_array(store, name="x", shape=_CHUNKS, chunks=1, dtype="i4")


def prepare_snapshots(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """Files of the last snapshot, of the first one compared, and of the changes in between."""
    snapshot = _first_commit(
        folder,
        lambda store: zarr.create_array(store, name="x", shape=_CHUNKS, chunks=1, dtype="i4"),
    )
    last = sizes.snapshots - 1
    _put_snapshot(folder, snapshot, last)
    _put_snapshot(folder, snapshot, last - sizes.compared)
    array = snapshot.nodes.node(snapshot.nodes.find("/x")).id
    for number in range(last - sizes.compared, last + 1):
        chunk = np.array([[number % _CHUNKS]], np.uint32)
        log = TransactionLog(_id(number), updated_chunks={array: chunk})
        file = folder / "transactions" / str(log.id)
        file.write_bytes(encode_transaction_log(log, spec=_SPEC))
    _put_history(folder, sizes.snapshots)


def commit_on_long_history(lib: Lib, folder: Path, sizes: Sizes) -> float:
    clock = Clock()
    with clock.running():
        session = open_(lib, folder).writable_session("main")
        zarr.open_array(session.store, path="x", mode="r+")[3] = time.time_ns() % 2**31
        session.commit("one more")
    return clock.seconds


def list_history(lib: Lib, folder: Path, sizes: Sizes) -> float:
    clock, last = Clock(), str(_id(sizes.snapshots - 1))
    with clock.running():
        history = open_(lib, folder).ancestry(snapshot_id=last)
        found = len([(info.id, info.message) for info in history])
    return checked(clock, found, sizes.snapshots, "snapshots")


def compare(lib: Lib, folder: Path, sizes: Sizes) -> float:
    last, clock = sizes.snapshots - 1, Clock()
    with clock.running():
        diff = open_(lib, folder).diff(
            from_snapshot_id=str(_id(last - sizes.compared)), to_snapshot_id=str(_id(last))
        )
        found = len(diff.updated_chunks["/x"])
    return checked(clock, found, min(_CHUNKS, sizes.compared), "chunks")


def expire_half(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """Works on a copy, which is not timed, because it can be done only once."""
    copy, clock = folder.with_name(f"{folder.name}-expiring"), Clock()
    shutil.copytree(folder, copy)
    middle = sizes.snapshots // 2
    with clock.running():
        found = len(open_(lib, copy).expire_snapshots(_BEGIN + middle * _STEP))
    shutil.rmtree(copy)
    return checked(clock, found, middle - 1, "expired snapshots")


# Many nodes -------------------------------------------------------------------------------

_GROUPS = 100


def _fill(store: Any) -> None:
    root = zarr.create_group(store)
    array = root.create_group("g0").create_array("a", shape=10, chunks=5, dtype="f4")
    array.attrs["units"] = "K"


def prepare_many_nodes(lib: Lib, folder: Path, sizes: Sizes) -> None:
    snapshot = _first_commit(folder, _fill)
    root, group, array = (
        snapshot.nodes.node(snapshot.nodes.find(path)) for path in ("/", "/g0", "/g0/a")
    )

    def copies(node: Node, paths: list[str]) -> list[Node]:
        return [dataclasses.replace(node, id=NodeId.random(), path=path) for path in paths]

    arrays = range(sizes.many_nodes - 1 - _GROUPS)
    nodes = [
        root,
        *copies(group, [f"/g{number}" for number in range(_GROUPS)]),
        *copies(array, [f"/g{number % _GROUPS}/a{number}" for number in arrays]),
    ]
    _put_snapshot(folder, dataclasses.replace(snapshot, nodes=NodeTable.of(nodes)), 1)
    _put_history(folder, 2)


def commit_attribute(lib: Lib, folder: Path, sizes: Sizes) -> float:
    clock = Clock()
    with clock.running():
        session = open_(lib, folder).writable_session("main")
        array = zarr.open_array(session.store, path="g7/a7", mode="r+")
        array.attrs["changed"] = time.time_ns()
        session.commit("one attribute")
    return clock.seconds


def list_many(lib: Lib, folder: Path, sizes: Sizes) -> float:
    async def count(store: Any) -> int:
        return sum([1 async for _ in store.list()])

    clock = Clock()
    with clock.running():
        found = asyncio.run(count(open_(lib, folder).readonly_session("main").store))
    return checked(clock, found, sizes.many_nodes, "nodes")


def prepare_members(lib: Lib, folder: Path, sizes: Sizes) -> None:
    snapshot = _first_commit(folder, _fill)
    root, group, array = (
        snapshot.nodes.node(snapshot.nodes.find(path)) for path in ("/", "/g0", "/g0/a")
    )
    arrays = [
        dataclasses.replace(array, id=NodeId.random(), path=f"/g0/a{number}")
        for number in range(sizes.members)
    ]
    nodes = NodeTable.of([root, group, *arrays])
    _put_snapshot(folder, dataclasses.replace(snapshot, nodes=nodes), 1)
    _put_history(folder, 2)


def list_members(lib: Lib, folder: Path, sizes: Sizes) -> float:
    clock = Clock()
    with clock.running():
        store = open_(lib, folder).readonly_session("main").store
        found = len(zarr.open_group(store, path="g0", mode="r").members())
    return checked(clock, found, sizes.members, "members")


# Many chunks, each an object of its own ---------------------------------------------------


def _put_chunks(folder: Path, ids: np.ndarray) -> None:
    """Empty files: a collection looks at names and ages."""
    (folder / "chunks").mkdir(exist_ok=True)
    place = os.open(folder / "chunks", os.O_RDONLY)
    for row in ids:
        name = str(ChunkId(row.tobytes()))
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=place))
    os.close(place)


def prepare_chunks(lib: Lib, folder: Path, sizes: Sizes) -> None:
    count = sizes.collected
    snapshot = _first_commit(
        folder,
        lambda store: zarr.create_array(store, name="x", shape=count, chunks=1, dtype="i4"),
    )
    root, array = (snapshot.nodes.node(snapshot.nodes.find(path)) for path in ("/", "/x"))
    ids = np.random.default_rng(0).integers(0, 256, (count, ChunkId.SIZE), "u1")
    refs = ChunkRefs(
        index=np.arange(count, dtype="u4").reshape(-1, 1),
        kind=np.full(count, NATIVE, "u1"),
        object=ids,
        offset=np.zeros(count, "u8"),
        length=np.full(count, 4, "u8"),
    )
    manifest = Manifest(ManifestId.random(), {array.id: refs})
    data = encode_manifest(manifest, spec=_SPEC)
    (folder / "manifests").mkdir(exist_ok=True)
    (folder / "manifests" / str(manifest.id)).write_bytes(data)
    array = dataclasses.replace(array, manifests=(ManifestRef(manifest.id, ((0, count),)),))
    snapshot = dataclasses.replace(
        snapshot,
        nodes=NodeTable.of([root, array]),
        manifests=ManifestTable.of([ManifestInfo(manifest.id, len(data), count)]),
    )
    _put_snapshot(folder, snapshot, 1)
    log = TransactionLog(_id(1))
    (folder / "transactions" / str(log.id)).write_bytes(encode_transaction_log(log, spec=_SPEC))
    _put_history(folder, 2)
    _put_chunks(folder, ids)


def collect(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """One chunk in a hundred, new in each run, belongs to no commit."""
    garbage = sizes.collected // 100
    _put_chunks(folder, np.random.default_rng().integers(0, 256, (garbage, ChunkId.SIZE), "u1"))
    clock = Clock()
    with clock.running():
        found = open_(lib, folder).garbage_collect(datetime.now(UTC)).chunks_deleted
    return checked(clock, found, garbage, "chunks")


CASES = (
    Case(
        "long-commit",
        lambda s: f"open {s.snapshots:,} snapshots and commit one chunk",
        commit_on_long_history,
        prepare_snapshots,
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
        prepare_many_nodes,
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
        prepare_members,
        goal=Goal(3),
    ),
    Case(
        "collect-many",
        lambda s: f"collect garbage among {s.collected:,} chunks",
        collect,
        prepare_chunks,
        goal=Goal(2, memory=0.5),
    ),
)
