"""What is left of files and of the history when something is removed from all of it: pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.manifest import Manifest
from frazil.format.manifest_table import ManifestInfo
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.snapshot import Node, NodeKind, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.format.updates import UpdateTable
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.model.purge_target import Mask, Target
from frazil.model.replaced import Replaced

Renamed = Mapping[SnapshotId, SnapshotId]
_SETS = (
    *("new_groups", "new_arrays", "deleted_groups", "deleted_arrays"),
    *("updated_arrays", "updated_groups"),
)


def nodes_at(snapshot: Snapshot, path: str, *, below: bool) -> list[Node]:
    """The nodes at a path, or there and below."""
    nodes = snapshot.nodes
    if below:
        return [nodes.node(row) for row in nodes.rows_under(path).tolist()]
    row = nodes.find(path)
    return [] if row < 0 else [nodes.node(row)]


def without_attribute(document: bytes, name: str) -> bytes:
    """A zarr.json without this attribute; itself if it has none."""
    content = json.loads(document)
    if name not in (content.get("attributes") or {}):
        return document
    del content["attributes"][name]
    return _dumped(content, document)


def without_consolidated(document: bytes) -> bytes:
    """A zarr.json without what it repeats of others."""
    if b"consolidated_metadata" not in document:
        return document
    content = json.loads(document)
    if not content.pop("consolidated_metadata", None):
        return document
    return _dumped(content, document)


def _dumped(content: object, like: bytes) -> bytes:
    return json.dumps(content, indent=2 if b"\n" in like else None).encode()


def tells(snapshot: Snapshot, target: Target) -> bool:
    """Whether a snapshot has one of the nodes, or the attribute at one of them."""
    for node in target.nodes:
        row = snapshot.nodes.find_id(node)
        if row < 0 or target.cells is not None:
            continue
        document = snapshot.nodes.document_of(row)
        if target.attribute is None or without_attribute(document, target.attribute) != document:
            return True
    return False


def log_tells(log: TransactionLog, target: Target) -> bool:
    """Whether a transaction log names one of the nodes, or one of the chunks."""
    if target.attribute is not None:
        return False
    return _log(log, target, log.id) is not None


def purged_log(log: TransactionLog, target: Target, id_: SnapshotId) -> TransactionLog:
    """The log under another id, without what goes."""
    return _log(log, target, id_) or replace(log, id=id_)


def _log(log: TransactionLog, target: Target, id_: SnapshotId) -> TransactionLog | None:
    if target.attribute is not None:
        return None
    chunks = {}
    for node, coords in log.updated_chunks.items():
        left = coords[~target.chunks_of(node, coords)]
        if len(left):
            chunks[node] = left
    same = sum(map(len, chunks.values())) == sum(map(len, log.updated_chunks.values()))
    if not target.whole:
        return None if same else replace(log, id=id_, updated_chunks=chunks)
    sets = {name: getattr(log, name) - target.nodes for name in _SETS}
    moves = tuple(move for move in log.moves if move.node_id not in target.nodes)
    same = same and len(moves) == len(log.moves)
    if same and all(left == getattr(log, name) for name, left in sets.items()):
        return None
    return replace(log, id=id_, updated_chunks=chunks, moves=moves, **sets)


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the bytes of an object are now.

    offset: uint64[n], sorted, of each chunk that stays; to: uint64[n], its offset in `object`.
    """

    object: bytes
    offset: npt.NDArray[np.uint64]
    to: npt.NDArray[np.uint64]


def stay(node: NodeId, refs: ChunkRefs, target: Target, replaced: Replaced | None) -> Mask:
    """Which references of a manifest stay.

    replaced: what is in the place of chunks that are cut, as the snapshots that use the manifest
    need them; None if none of these has the array: then they go.
    """
    gone, cut = target.chunks_of(node, refs.index), target.cut(node, refs.index)
    if replaced is not None and cut.any():
        cut[cut] = ~replaced.are_same(refs.take(cut))
    kept: Mask = ~(gone | cut)
    return kept


def purged_refs(
    node: NodeId,
    refs: ChunkRefs,
    target: Target,
    replaced: Replaced | None,
    moved: Mapping[bytes, Moved],
) -> ChunkRefs:
    """The references that stay, to where their bytes are now, and those to what was replaced."""
    gone, cut = target.chunks_of(node, refs.index), target.cut(node, refs.index)
    left = refs.take(~(gone | cut))
    if replaced is not None and cut.any():
        left = ChunkRefs.concat([left, replaced.instead_of(refs.take(cut))]).sorted()
    return _moved(left, moved)


def _moved(refs: ChunkRefs, moved: Mapping[bytes, Moved]) -> ChunkRefs:
    object_, offset = refs.object.copy(), refs.offset.copy()
    native = np.flatnonzero(refs.kind == NATIVE)
    for raw in np.unique(sort_keys(refs.object[native])):
        key = raw.ljust(12, b"\0")
        place = moved.get(key)
        if place is not None:
            rows = native[(refs.object[native] == np.frombuffer(key, np.uint8)).all(axis=1)]
            offset[rows] = place.to[np.searchsorted(place.offset, refs.offset[rows])]
            object_[rows] = np.frombuffer(place.object, np.uint8)
    return replace(refs, object=object_, offset=offset)


def purged_snapshot(
    snapshot: Snapshot,
    target: Target,
    id_: SnapshotId,
    manifests: Mapping[ManifestId, tuple[ManifestInfo | None, frozenset[NodeId]]],
    renamed: Renamed,
) -> Snapshot:
    """The snapshot under another id, without what goes.

    manifests: what is in the place of each that was written anew, None for nothing, with the
    arrays that it still has references of.
    """
    nodes, removed, changed = snapshot.nodes, [], []
    for row in range(len(nodes)):
        node = nodes.node(row)
        if target.whole and node.id in target.nodes:
            removed.append(row)
            continue
        after = _purged_node(node, target, manifests)
        if after != node:
            removed.append(row)
            changed.append(after)
    table = nodes.replace(np.array(removed, np.intp), changed) if removed else nodes
    new = [info for info, _ in manifests.values() if info is not None]
    used = table.manifest_ids()
    keys = {raw.tobytes() for raw in used}
    return Snapshot(
        id_,
        snapshot.flushed_at,
        snapshot.message,
        rename(snapshot.metadata, renamed),
        table,
        snapshot.manifests.select(used, [info for info in new if bytes(info.id) in keys]),
    )


def _purged_node(
    node: Node,
    target: Target,
    manifests: Mapping[ManifestId, tuple[ManifestInfo | None, frozenset[NodeId]]],
) -> Node:
    document = node.user_data
    if target.attribute is not None and node.id in target.nodes:
        document = without_attribute(document, target.attribute)
    if node.kind is NodeKind.GROUP and target.cells is None:
        return replace(node, user_data=without_consolidated(document))
    refs = []
    for ref in node.manifests:
        if ref.id not in manifests:
            refs.append(ref)
            continue
        info, has = manifests[ref.id]
        if info is not None and node.id in has:
            refs.append(replace(ref, id=info.id))
    return replace(node, user_data=document, manifests=tuple(refs))


def rename(value: object, renamed: Renamed) -> Any:
    """A JSON value with the ids of snapshots in it as they are now."""
    texts = {str(old): str(new) for old, new in renamed.items()}

    def walk(value: object) -> Any:
        if isinstance(value, dict):
            return {name: walk(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return texts.get(value, value) if isinstance(value, str) else value

    return walk(value)


def purged_info(info: RepoInfo, renamed: Renamed, logs: Renamed) -> RepoInfo:
    """The repository with other snapshots in the place of some.

    renamed: these; logs: transaction logs of snapshots that are gone already, which others stand
    for.
    """
    table = info.snapshots

    def after(record: SnapshotRecord) -> SnapshotRecord:
        parent = record.parent
        return replace(
            record,
            id=renamed.get(record.id, record.id),
            parent=None if parent is None else renamed.get(parent, parent),
            metadata=rename(record.metadata, renamed),
            pruned=tuple(logs.get(id_, renamed.get(id_, id_)) for id_ in record.pruned),
        )

    rows = info.updates.rows.copy()
    for name in ("previous", "new"):
        ids = [renamed.get(SnapshotId(raw), raw) for raw in rows[name].tolist()]
        rows[name] = np.frombuffer(b"".join(ids), "V12")
    return replace(
        info,
        branches={name: renamed.get(tip, tip) for name, tip in info.branches.items()},
        tags={name: renamed.get(tip, tip) for name, tip in info.tags.items()},
        snapshots=SnapshotTable.of([after(table.record(row)) for row in range(len(table))]),
        updates=UpdateTable(rows, info.updates.heap),
    )


def unlinked(info: RepoInfo, backups: Collection[str]) -> RepoInfo:
    """The repository without ways to these backups: entries of its log will not go there."""
    rows = info.updates.rows.copy()
    paths = info.updates.column("backup")
    gone = [(paths[i] or b"").decode() in backups for i in range(len(paths))]
    rows["backup_size"][np.array(gone, np.bool_)] = -1
    before = info.repo_before_updates
    return replace(
        info,
        updates=UpdateTable(rows, info.updates.heap),
        repo_before_updates=None if before in backups else before,
    )


def purged_manifest(
    manifest: Manifest,
    target: Target,
    id_: ManifestId,
    replaced: Mapping[NodeId, Replaced],
    moved: Mapping[bytes, Moved],
) -> Manifest:
    """The manifest under another id, without what goes."""
    arrays = {}
    for node, refs in manifest.arrays.items():
        left = purged_refs(node, refs, target, replaced.get(node), moved)
        if len(left):
            arrays[node] = left
    return Manifest(id_, arrays)
