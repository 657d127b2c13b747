"""Which changes of two writers exclude each other, and what a solver makes of it.

"Mine" is the session that wants to commit, "theirs" one commit that was there first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from frazil.conflicts import (
    BasicConflictSolver,
    Conflict,
    ConflictSolver,
    ConflictType,
    VersionSelection,
)
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId
from frazil.model.changes import ChangeSet
from frazil.paths import ancestors


@dataclass(frozen=True, slots=True)
class Found:
    """A conflict, and where it is about chunks, which: uint32[n, ndim]."""

    conflict: Conflict
    node: NodeId | None = None
    chunks: npt.NDArray[np.uint32] | None = None


@dataclass(slots=True)
class Resolution:
    """What is to become of the conflicts: those left, and my chunks that give way."""

    unsolved: list[Conflict] = field(default_factory=list)
    dropped: list[tuple[NodeId, npt.NDArray[np.uint32]]] = field(default_factory=list)


def detect(mine: ChangeSet, base: NodeTable, log: TransactionLog, theirs: NodeTable) -> list[Found]:
    """All conflicts between my changes and one commit.

    base: the nodes my changes start from; log: the commit's transaction log; theirs: the
    nodes after that commit.
    """
    if log.moves:
        return [Found(Conflict(ConflictType.MoveOperationCannotBeRebased, ""))]
    return [
        *_created(mine, log, theirs),
        *_updated(mine, log),
        *_chunks(mine, base, log),
        *_deleted(mine, log),
    ]


def _created(mine: ChangeSet, log: TransactionLog, theirs: NodeTable) -> Iterator[Found]:
    for path in mine.created:
        row = theirs.find(path)
        if row >= 0 and theirs.node(row).id not in mine.deleted:
            yield _found(ConflictType.NewNodeConflictsWithExistingNode, path)
        for parent in ancestors(path):
            row = theirs.find(parent)
            if row >= 0 and theirs.node(row).id in log.new_arrays:
                yield _found(ConflictType.NewNodeInInvalidGroup, parent)
                break


def _updated(mine: ChangeSet, log: TransactionLog) -> Iterator[Found]:
    for id_, node in mine.updated.items():
        if id_ in log.updated_arrays or id_ in log.updated_groups:
            yield _found(ConflictType.ZarrMetadataDoubleUpdate, node.path)
        if id_ in log.deleted_arrays:
            yield _found(ConflictType.ZarrMetadataUpdateOfDeletedArray, node.path)
        if id_ in log.deleted_groups:
            yield _found(ConflictType.ZarrMetadataUpdateOfDeletedGroup, node.path)


def _chunks(mine: ChangeSet, base: NodeTable, log: TransactionLog) -> Iterator[Found]:
    for id_, edits in mine.chunks.items():
        theirs = log.updated_chunks.get(id_)
        if theirs is None and id_ not in log.deleted_arrays and id_ not in log.updated_arrays:
            continue
        path = base.path_of(base.find_id(id_))
        if edits and id_ in log.deleted_arrays:
            yield _found(ConflictType.ChunksUpdatedInDeletedArray, path)
            continue
        if edits and id_ in log.updated_arrays:
            yield _found(ConflictType.ChunksUpdatedInUpdatedArray, path)
        if theirs is not None and theirs.shape[1] == edits.ndim:
            both = theirs[edits.affects(theirs)]
            if len(both):
                conflict = Conflict(ConflictType.ChunkDoubleUpdate, path, both.tolist())
                yield Found(conflict, id_, both)


def _deleted(mine: ChangeSet, log: TransactionLog) -> Iterator[Found]:
    for id_, node in mine.deleted.items():
        if _is_array(node):
            if id_ in log.updated_arrays or id_ in log.updated_chunks:
                yield _found(ConflictType.DeleteOfUpdatedArray, node.path)
        elif id_ in log.updated_groups:
            yield _found(ConflictType.DeleteOfUpdatedGroup, node.path)


def resolve(found: list[Found], solver: ConflictSolver) -> Resolution:
    """Apply a solver's rules to the conflicts."""
    resolution = Resolution()
    for item in found:
        match item.conflict.conflict_type, solver:
            case ConflictType.ChunkDoubleUpdate, BasicConflictSolver() if (
                solver.on_chunk_conflict is not VersionSelection.Fail
            ):
                if solver.on_chunk_conflict is VersionSelection.UseTheirs:
                    assert item.node is not None
                    assert item.chunks is not None
                    resolution.dropped.append((item.node, item.chunks))
            case ConflictType.DeleteOfUpdatedArray, BasicConflictSolver() if (
                not solver.fail_on_delete_of_updated_array
            ):
                pass
            case ConflictType.DeleteOfUpdatedGroup, BasicConflictSolver() if (
                not solver.fail_on_delete_of_updated_group
            ):
                pass
            case _:
                resolution.unsolved.append(item.conflict)
    return resolution


def _is_array(node: Node) -> bool:
    return node.kind is NodeKind.ARRAY


def _found(kind: ConflictType, path: str) -> Found:
    return Found(Conflict(kind, path))
