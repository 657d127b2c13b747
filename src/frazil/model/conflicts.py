"""Which changes of two writers exclude each other.

"Mine" is the session that wants to commit, "theirs" one commit that was there first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.conflicts import Conflict, ConflictType
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId
from frazil.model.changes import ChangeSet
from frazil.model.metadata_merge import keeps_chunks
from frazil.paths import ancestors, parent_of


@dataclass(frozen=True, slots=True)
class Found:
    """A conflict, the node that it is about, and of chunks which: uint32[n, ndim]."""

    conflict: Conflict
    node: NodeId | None = None
    chunks: npt.NDArray[np.uint32] | None = None


def detect(
    mine: ChangeSet,
    base: NodeTable,
    log: TransactionLog,
    theirs: NodeTable,
    *,
    strict: bool = False,
) -> list[Found]:
    """All conflicts between my changes and one commit.

    base: the nodes my changes start from; log: the commit's transaction log; theirs: the
    nodes after that commit. strict: also what Icechunk lets pass though the result makes no
    sense: their chunks under an encoding that I changed, nodes below a deleted one.
    """
    if log.moves:
        return [Found(Conflict(ConflictType.MoveOperationCannotBeRebased, ""))]
    return [
        *_created(mine, log, theirs),
        *(_orphans(mine, base, log, theirs) if strict else ()),
        *_updated(mine, log),
        *_chunks(mine, base, log, theirs),
        *(_encoded_anew(mine, base, log) if strict else ()),
        *_deleted(mine, log),
    ]


def _created(mine: ChangeSet, log: TransactionLog, theirs: NodeTable) -> Iterator[Found]:
    for path, node in mine.created.items():
        row = theirs.find(path)
        if row >= 0 and theirs.node(row).id not in mine.deleted:
            yield _found(ConflictType.NewNodeConflictsWithExistingNode, path)
        # A node that is picked or merged may be there already, where it was moved to.
        row = theirs.find_id(node.id)
        if row >= 0 and theirs.path_of(row) != path and node.id not in mine.deleted:
            yield _found(ConflictType.MoveOperationCannotBeRebased, path, node.id)
        for parent in ancestors(path):
            row = theirs.find(parent)
            if row >= 0 and theirs.node(row).id in log.new_arrays:
                yield _found(ConflictType.NewNodeInInvalidGroup, parent)
                break


def _orphans(
    mine: ChangeSet, base: NodeTable, log: TransactionLog, theirs: NodeTable
) -> Iterator[Found]:
    """My new nodes below what they deleted, and theirs below what I deleted."""
    for created in mine.created:
        parent = parent_of(created)
        if parent is None or parent in mine.created:
            continue
        if base.find(parent) >= 0 and theirs.find(parent) < 0:
            yield _found(ConflictType.NewNodeInInvalidGroup, parent)
    gone = {node.path: node.id for node in mine.deleted.values()}
    parents: set[str | None] = set()
    for id_ in (log.new_groups | log.new_arrays) if gone else ():
        row = theirs.find_id(id_)
        if row >= 0:
            parents.add(parent_of(theirs.path_of(row)))
    for path in sorted(gone.keys() & parents):
        if path not in mine.created and gone[path] not in log.updated_groups:
            yield _found(ConflictType.DeleteOfUpdatedGroup, path, gone[path])


def _encoded_anew(mine: ChangeSet, base: NodeTable, log: TransactionLog) -> Iterator[Found]:
    """Arrays whose encoding I changed while they wrote chunks of it."""
    for id_, node in mine.updated.items():
        if id_ not in log.updated_chunks or (id_ in log.updated_arrays and mine.chunks.get(id_)):
            continue
        before = base.node(base.find_id(id_))
        if not keeps_chunks(json.loads(before.user_data), json.loads(node.user_data)):
            yield _found(ConflictType.ChunksUpdatedInUpdatedArray, node.path, id_)


def _updated(mine: ChangeSet, log: TransactionLog) -> Iterator[Found]:
    for id_, node in mine.updated.items():
        if id_ in log.updated_arrays or id_ in log.updated_groups:
            yield _found(ConflictType.ZarrMetadataDoubleUpdate, node.path, id_)
        if id_ in log.deleted_arrays:
            yield _found(ConflictType.ZarrMetadataUpdateOfDeletedArray, node.path, id_)
        if id_ in log.deleted_groups:
            yield _found(ConflictType.ZarrMetadataUpdateOfDeletedGroup, node.path, id_)


def _chunks(
    mine: ChangeSet, base: NodeTable, log: TransactionLog, theirs: NodeTable
) -> Iterator[Found]:
    for id_, edits in mine.chunks.items():
        written = log.updated_chunks.get(id_)
        if written is None and id_ not in log.deleted_arrays and id_ not in log.updated_arrays:
            continue
        row = base.find_id(id_)
        path = base.path_of(row) if row >= 0 else theirs.path_of(theirs.find_id(id_))
        if edits and id_ in log.deleted_arrays:
            yield _found(ConflictType.ChunksUpdatedInDeletedArray, path, id_)
            continue
        if edits and id_ in log.updated_arrays:
            yield _found(ConflictType.ChunksUpdatedInUpdatedArray, path, id_)
        if written is not None and written.shape[1] == edits.ndim:
            both = written[edits.affects(written)]
            if len(both):
                conflict = Conflict(ConflictType.ChunkDoubleUpdate, path, both.tolist())
                yield Found(conflict, id_, both)


def _deleted(mine: ChangeSet, log: TransactionLog) -> Iterator[Found]:
    for id_, node in mine.deleted.items():
        if _is_array(node):
            if id_ in log.updated_arrays or id_ in log.updated_chunks:
                yield _found(ConflictType.DeleteOfUpdatedArray, node.path, id_)
        elif id_ in log.updated_groups:
            yield _found(ConflictType.DeleteOfUpdatedGroup, node.path, id_)


def _is_array(node: Node) -> bool:
    return node.kind is NodeKind.ARRAY


def _found(kind: ConflictType, path: str, node: NodeId | None = None) -> Found:
    return Found(Conflict(kind, path), node)
