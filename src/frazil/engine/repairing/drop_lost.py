"""Giving up chunks that are lost: a commit after which they read as fill values.

What is left of the version stays as it is: of a manifest that names lost chunks there is a new one
without them, a lost manifest goes with all its chunks. Earlier versions stay damaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.engine.repository_core import RepositoryCore
from frazil.engine.verification.objects import Objects
from frazil.engine.verification.rows import END, ROW, Rows, distinct, rows_of
from frazil.engine.verification.steps import Look, check_chunks
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.history import SnapshotRecord
from frazil.format.manifest import Manifest
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import ManifestInfo, ManifestRef, Node, NodeKind, Snapshot
from frazil.format.transaction_log import TransactionLog, sorted_unique
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.model.moments import Moment
from frazil.model.overlay import Box, bounding_box
from frazil.model.rebuilding import Index
from frazil.model.refs import next_time
from frazil.model.zarr_metadata import document_of_chunk
from frazil.runner import run
from frazil.verification import DroppedChunks, FindingKind

_MOST_LISTED = 4_000_000
"""Chunks of a lost manifest that are named one by one in the log of the commit."""
_READS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Loss:
    """What an array loses of a manifest; kept: the references that stay, None: it is lost.

    count: how many chunks it loses, None if nobody knows.
    """

    node: Node
    manifest: ManifestRef
    kept: ChunkRefs | None
    dropped: Index
    count: int | None

    def told(self) -> DroppedChunks:
        """For the report."""
        if self.kept is None:
            extents = self.manifest.extents or tuple((0, count) for _, count in self.node.shape)
            reason = f"manifests/{self.manifest.id} is lost"
            return DroppedChunks(self.node.path, self.count, reason, extents)
        return DroppedChunks(self.node.path, self.count, "their objects are lost or damaged")


class Losses(NamedTuple):
    """What is lost of a snapshot; since: before it was read."""

    snapshot: SnapshotId
    since: Moment
    found: list[Loss]


class _Held(NamedTuple):
    node: Node
    manifest: ManifestRef
    refs: ChunkRefs


def losses(core: RepositoryCore, branch: str, look: Look, spared: Iterable[ManifestId]) -> Losses:
    """What of the tip of a branch is lost.

    look: whether the bytes of chunks are looked at. spared: manifests that are not given up.
    The references of the version are in memory, 96 bytes each.
    """
    tip, library = core.catalog.writable_tip(branch), core.library
    since = core.catalog.moment()
    base, saved = library.snapshot(tip), set(spared)
    held: list[_Held] = []
    found: list[Loss] = []
    for row in np.flatnonzero(base.nodes.kind == NodeKind.ARRAY).tolist():
        node = base.nodes.node(row)
        for manifest in node.manifests:
            if manifest.id in saved:
                continue
            try:
                refs = library.manifest(manifest.id).arrays.get(node.id)
            except (FormatError, StorageError) as error:
                if isinstance(error, StorageError) and error.kind not in (
                    ErrorKind.OBJECT_NOT_FOUND,
                    ErrorKind.INVALID_OBJECT_SIZE,
                ):
                    raise
                cells, count = _cells(node, manifest.extents), _count(base, manifest.id)
                found.append(Loss(node, manifest, None, cells, count))
                continue
            if refs is not None:
                held.append(_Held(node, manifest, refs))
    gone = _gone(held, look)
    for one in held:
        rows = rows_of(one.refs, 0, 0, END)
        lost = rows["row"][np.isin(_places(rows), gone)]
        if len(lost):
            kept = np.ones(len(one.refs), np.bool_)
            kept[lost] = False
            index = one.refs.index[lost]
            found.append(Loss(one.node, one.manifest, one.refs.take(kept), index, len(index)))
    return Losses(tip, since, found)


def _count(base: Snapshot, id_: ManifestId) -> int | None:
    """How many references a manifest of one array has; of several arrays nobody knows of each."""
    at, refs = base.manifests.find(id_), sort_keys(base.nodes.refs["id"])
    if at < 0 or int((refs == np.frombuffer(id_, "S12")).sum()) > 1:
        return None
    return base.manifests.info(at).num_refs


def _cells(node: Node, box: Box) -> Index:
    """All chunks that a manifest may have had; none if these are too many."""
    grid = [(0, count) for _, count in node.shape]
    bounds = [
        (max(low, start), min(high, stop))
        for (low, high), (start, stop) in zip(box or grid, grid, strict=False)
    ]
    sizes = [max(0, stop - start) for start, stop in bounds]
    if math.prod(sizes) > _MOST_LISTED:
        return np.empty((0, len(bounds)), np.uint32)
    cells = np.indices(sizes, np.uint32).reshape(len(sizes), math.prod(sizes)).T
    starts = np.array([start for start, _ in bounds], np.uint32)
    return np.ascontiguousarray(cells + starts, np.uint32)


def _gone(held: list[_Held], look: Look) -> npt.NDArray[np.bytes_]:
    """The places of chunks that cannot be read, or not as they were written."""
    backend = look.end.open()
    rows = distinct(
        np.concatenate(
            [np.empty(0, ROW), *(rows_of(one.refs, i, 0, END) for i, one in enumerate(held))]
        )
    )
    objects = Objects.of(backend, rows)
    unreadable = objects.unreadable()
    bad = [rows[unreadable]]
    if look.decode is not None:
        whole = ~np.isin(np.arange(len(objects)), objects.object_of_row[unreadable])
        documents: dict[int, tuple[bytes, ...]] = {
            i: (document,)
            for i, one in enumerate(held)
            if (document := document_of_chunk(one.node.user_data)) is not None
        }
        steps = (item for _, item in objects.steps(whole, documents))
        for result in run(partial(check_chunks, look), steps, ahead=_READS_AT_ONCE):
            for one in result.found:
                if one.place is not None and one.kind != FindingKind.DISAGREES:
                    source, row = one.place
                    at = held[source].refs.take(slice(row, row + 1))
                    bad.append(rows_of(at, source, 0, END))
    return _places(np.concatenate(bad))


def _places(rows: Rows) -> npt.NDArray[np.bytes_]:
    """One value for each place in an object."""
    raw = np.empty(len(rows), [("o", "<u8"), ("p", "<u4"), ("q", "<u8"), ("r", "<u8")])
    for name, source in zip("opqr", ("high", "low", "offset", "length"), strict=True):
        raw[name] = rows[source]
    return raw.view(f"S{raw.dtype.itemsize}")


def drop(core: RepositoryCore, branch: str, lost: Losses) -> SnapshotId:
    """Commit the version without what is lost.

    `ConflictError` if the branch moved meanwhile, or what is left may be gone as well.
    """
    library, tip = core.library, lost.snapshot
    base = library.snapshot(tip)
    by_node: dict[NodeId, list[Loss]] = {}
    for loss in lost.found:
        by_node.setdefault(loss.node.id, []).append(loss)
    nodes: list[Node] = []
    infos: list[ManifestInfo] = []
    chunks: dict[NodeId, Index] = {}
    for id_, own in by_node.items():
        node = own[0].node
        new = [_written(core, loss, infos) for loss in own]
        gone = [loss.manifest for loss in own]
        stay = [one for one in node.manifests if one not in gone]
        manifests = [*stay, *(one for one in new if one is not None)]
        manifests.sort(key=lambda one: [start for start, _ in one.extents])
        nodes.append(replace(node, manifests=tuple(manifests)))
        index = sorted_unique(np.concatenate([loss.dropped for loss in own]))
        if len(index):
            chunks[id_] = index
    rows = np.array([base.nodes.find(node.path) for node in nodes], np.intp)
    table = base.nodes.replace(rows, nodes)
    files = len({loss.manifest.id for loss in lost.found if loss.kept is None})
    named = sum(len(loss.dropped) for loss in lost.found if loss.kept is not None)
    new_id = library.new_id(SnapshotId)
    record = SnapshotRecord(
        id=new_id,
        parent=tip,
        flushed_at=next_time(library.now(), base.flushed_at),
        message=f"Drop what is lost: {named} chunks, and those of {files} manifests",
        metadata=dict(core.default_metadata),
        pruned=(),
    )
    unlisted = frozenset(node for node in by_node if node not in chunks)
    library.write_log(TransactionLog(new_id, updated_arrays=unlisted, updated_chunks=chunks))
    listed = base.manifests.select(table.manifest_ids(), infos)
    library.write_snapshot(library.snapshot_of(record, table, listed))
    core.catalog.add_commit(branch, record, since=lost.since)
    return new_id


def _written(core: RepositoryCore, loss: Loss, infos: list[ManifestInfo]) -> ManifestRef | None:
    """The manifest with what is left."""
    if loss.kept is None or not len(loss.kept):
        return None
    library = core.library
    manifest = Manifest(library.new_id(ManifestId), {loss.node.id: loss.kept})
    infos.append(library.write_manifest(manifest))
    return ManifestRef(manifest.id, bounding_box(loss.kept))
