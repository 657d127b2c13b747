"""Writes the files of large repositories directly. Only the files are there that the cases read."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import frazil
from benchmarks.common import Sizes, create
from benchmarks.made import (
    BEGIN,
    CHUNK_BYTES,
    CHUNKS,
    REPLACED,
    STEP,
    put_chunks,
    snapshot_bytes,
)
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

_SPEC = 2
_GROUPS = 100


def _id(number: int) -> SnapshotId:
    return SnapshotId(snapshot_bytes(number))


def _moment(number: int) -> int:
    return int((BEGIN + number * STEP).timestamp() * 1_000_000)


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
    shutil.rmtree(folder / "overwritten")  # it tells of the history that was there before


def _put_snapshot(folder: Path, snapshot: Snapshot, number: int) -> None:
    moved = dataclasses.replace(snapshot, id=_id(number), flushed_at=_moment(number))
    file = folder / "snapshots" / str(moved.id)
    file.write_bytes(encode_snapshot(moved, spec=_SPEC))


def snapshots(folder: Path, sizes: Sizes) -> None:
    """Files of the last snapshot, of the first one compared, and of the changes in between."""
    snapshot = _first_commit(
        folder,
        lambda store: zarr.create_array(store, name="x", shape=CHUNKS, chunks=1, dtype="i4"),
    )
    last = sizes.snapshots - 1
    _put_snapshot(folder, snapshot, last)
    _put_snapshot(folder, snapshot, last - sizes.compared)
    array = snapshot.nodes.node(snapshot.nodes.find("/x")).id
    for number in range(last - sizes.compared, last + 1):
        chunk = np.array([[number % CHUNKS]], np.uint32)
        log = TransactionLog(_id(number), updated_chunks={array: chunk})
        file = folder / "transactions" / str(log.id)
        file.write_bytes(encode_transaction_log(log, spec=_SPEC))
    _put_history(folder, sizes.snapshots)


def _fill(store: Any) -> None:
    root = zarr.create_group(store)
    array = root.create_group("g0").create_array("a", shape=10, chunks=5, dtype="f4")
    array.attrs["units"] = "K"


def many_nodes(folder: Path, sizes: Sizes) -> None:
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


def members(folder: Path, sizes: Sizes) -> None:
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


def _first_array(folder: Path, count: int) -> Snapshot:
    """The snapshot of a repository with an array of so many chunks, none of which is there."""
    return _first_commit(
        folder,
        lambda store: zarr.create_array(store, name="x", shape=count, chunks=1, dtype="i4"),
    )


def _put_filled(folder: Path, snapshot: Snapshot, number: int, ids: np.ndarray) -> None:
    """A commit of all chunks of the array, each an object of its own; the objects are not put."""
    count = len(ids)
    root, array = (snapshot.nodes.node(snapshot.nodes.find(path)) for path in ("/", "/x"))
    refs = ChunkRefs(
        index=np.arange(count, dtype="u4").reshape(-1, 1),
        kind=np.full(count, NATIVE, "u1"),
        object=ids,
        offset=np.zeros(count, "u8"),
        length=np.full(count, CHUNK_BYTES, "u8"),
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
    _put_snapshot(folder, snapshot, number)
    log = TransactionLog(_id(number))
    (folder / "transactions" / str(log.id)).write_bytes(encode_transaction_log(log, spec=_SPEC))


def chunks(folder: Path, sizes: Sizes) -> None:
    ids = np.random.default_rng(0).integers(0, 256, (sizes.collected, ChunkId.SIZE), "u1")
    _put_filled(folder, _first_array(folder, sizes.collected), 1, ids)
    _put_history(folder, 2)
    put_chunks(folder, ids)


def replaced(folder: Path, sizes: Sizes) -> None:
    """Each commit replaces all chunks of an array."""
    snapshot, random = _first_array(folder, REPLACED), np.random.default_rng(0)
    for number in range(1, sizes.kept):
        ids = random.integers(0, 256, (REPLACED, ChunkId.SIZE), "u1")
        _put_filled(folder, snapshot, number, ids)
        put_chunks(folder, ids)
    _put_history(folder, sizes.kept)
