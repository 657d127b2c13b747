"""Conflicts between a session and one commit, and what solvers leave of them.

What real sessions and commits run into is in tests/scenario/test_rebase.py; here are the
cases that they cannot bring about, or only with luck.
"""

from __future__ import annotations

import numpy as np
import pytest

from frazil.conflicts import (
    BasicConflictSolver,
    Conflict,
    ConflictDetector,
    ConflictType,
    VersionSelection,
)
from frazil.format.chunk_refs import InlineRef
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.model.changes import ChangeSet
from frazil.model.conflicts import Found, detect, resolve

COMMIT = SnapshotId(bytes(12))
CHUNK = InlineRef(b"x")


def node(path: str, kind: NodeKind = NodeKind.ARRAY, *, number: int = 1) -> Node:
    shape = ((8, 8),) if kind is NodeKind.ARRAY else ()
    return Node(NodeId(number.to_bytes(8, "big")), path, b"", kind, shape, None, ())


ARRAY = node("/a")
BASE = NodeTable.of([ARRAY])


def found(mine: ChangeSet, log: TransactionLog, theirs: NodeTable = BASE) -> list[Conflict]:
    return [item.conflict for item in detect(mine, BASE, log, theirs)]


def test_moves_end_the_search() -> None:
    mine = ChangeSet()
    mine.edits(ARRAY).set((1,), CHUNK)
    log = TransactionLog(
        COMMIT,
        updated_chunks={ARRAY.id: np.array([[1]], np.uint32)},
        moves=(Move("/b", "/c", NodeId(bytes(8)), NodeKind.GROUP),),
    )
    assert found(mine, log) == [Conflict(ConflictType.MoveOperationCannotBeRebased, "")]


def test_what_a_smaller_grid_cut_off_conflicts_with_chunks_written_there() -> None:
    mine = ChangeSet()
    smaller = Node(ARRAY.id, "/a", b"", NodeKind.ARRAY, ((3, 3),), None, ())
    mine.update(smaller, ARRAY)
    log = TransactionLog(COMMIT, updated_chunks={ARRAY.id: np.array([[2], [3], [7]], np.uint32)})
    assert found(mine, log) == [Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[3], [7]])]
    # To hide chunks is not to write some.
    assert found(mine, TransactionLog(COMMIT, deleted_arrays=frozenset({ARRAY.id}))) == [
        Conflict(ConflictType.ZarrMetadataUpdateOfDeletedArray, "/a")
    ]


def test_chunks_of_another_rank_are_no_double_update() -> None:
    mine = ChangeSet()
    mine.edits(ARRAY).set((1,), CHUNK)
    log = TransactionLog(
        COMMIT,
        updated_arrays=frozenset({ARRAY.id}),
        updated_chunks={ARRAY.id: np.array([[1, 1]], np.uint32)},
    )
    assert found(mine, log) == [Conflict(ConflictType.ChunksUpdatedInUpdatedArray, "/a")]


def test_a_node_that_i_replace_is_in_nobodys_way() -> None:
    mine = ChangeSet()
    mine.delete(ARRAY)
    mine.create(node("/a", number=2))
    assert found(mine, TransactionLog(COMMIT)) == []
    replaced_too = NodeTable.of([node("/a", number=3)])
    assert found(mine, TransactionLog(COMMIT), replaced_too) == [
        Conflict(ConflictType.NewNodeConflictsWithExistingNode, "/a")
    ]


def test_only_the_nearest_array_above_a_new_node_is_named() -> None:
    mine = ChangeSet()
    mine.create(node("/a/b/c", NodeKind.GROUP, number=9))
    theirs = NodeTable.of([node("/a", number=5), node("/a/b", number=6)])
    both = TransactionLog(COMMIT, new_arrays=frozenset(theirs.node(i).id for i in range(2)))
    assert found(mine, both, theirs) == [Conflict(ConflictType.NewNodeInInvalidGroup, "/a/b")]
    assert found(mine, TransactionLog(COMMIT), theirs) == []  # they were there before


@pytest.mark.parametrize(
    ("solver", "left", "dropped"),
    [
        (ConflictDetector(), 3, 0),
        (BasicConflictSolver(), 0, 0),
        (BasicConflictSolver(on_chunk_conflict=VersionSelection.UseTheirs), 0, 1),
        (BasicConflictSolver(on_chunk_conflict=VersionSelection.Fail), 1, 0),
        (BasicConflictSolver(fail_on_delete_of_updated_array=True), 1, 0),
        (BasicConflictSolver(fail_on_delete_of_updated_group=True), 1, 0),
    ],
    ids=["detector", "ours", "theirs", "fail", "array", "group"],
)
def test_what_solvers_settle(solver, left: int, dropped: int) -> None:  # type: ignore[no-untyped-def]
    chunks = np.array([[1]], np.uint32)
    items = [
        Found(Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[1]]), ARRAY.id, chunks),
        Found(Conflict(ConflictType.DeleteOfUpdatedArray, "/b")),
        Found(Conflict(ConflictType.DeleteOfUpdatedGroup, "/c")),
    ]
    resolution = resolve(items, solver)
    assert len(resolution.unsolved) == left
    assert resolution.dropped == [(ARRAY.id, chunks)][:dropped]


@pytest.mark.parametrize("kind", [k for k in ConflictType if k not in (6, 9, 10)])
def test_nobody_settles_anything_else(kind: ConflictType) -> None:
    conflict = Conflict(kind, "/a")
    for solver in (ConflictDetector(), BasicConflictSolver()):
        assert resolve([Found(conflict)], solver).unsolved == [conflict]
