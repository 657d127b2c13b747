"""Conflicts between a session and one commit.

What real sessions and commits run into is in tests/scenario/test_rebase.py; here are the
cases that they cannot bring about, or only with luck.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from frazil.conflicts import Conflict, ConflictType
from frazil.format.chunk_refs import InlineRef
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.model.changes import ChangeSet
from frazil.model.conflicts import detect

COMMIT = SnapshotId(bytes(12))
CHUNK = InlineRef(b"x")


def node(path: str, kind: NodeKind = NodeKind.ARRAY, *, number: int = 1) -> Node:
    shape = ((8, 8),) if kind is NodeKind.ARRAY else ()
    return Node(NodeId(number.to_bytes(8, "big")), path, b"", kind, shape, None, ())


ARRAY = node("/a")
BASE = NodeTable.of([ARRAY])


def found(
    mine: ChangeSet,
    log: TransactionLog,
    theirs: NodeTable = BASE,
    *,
    base: NodeTable = BASE,
    strict: bool = False,
) -> list[Conflict]:
    return [item.conflict for item in detect(mine, base, log, theirs, strict=strict)]


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


def array(shape: int, size: int = 1, **members: Any) -> Node:
    grid = {"name": "regular", "configuration": {"chunk_shape": [size]}}
    document = {"node_type": "array", "shape": [shape], "chunk_grid": grid} | members
    data = json.dumps(document).encode()
    return Node(NodeId(bytes(7) + b"a"), "/a", data, NodeKind.ARRAY, ((shape, -(-shape // size)),))


@pytest.mark.parametrize(
    ("mine", "conflicts"),
    [
        (array(8, attributes={"a": 1}), 0),
        (array(9), 0),
        (array(7), 1),
        (array(8, size=2), 1),
        (array(8, codecs=["gzip"]), 1),
    ],
)
def test_their_chunks_in_an_encoding_that_i_changed(mine: Node, conflicts: int) -> None:
    changes = ChangeSet()
    changes.update(mine, array(8))
    log = TransactionLog(COMMIT, updated_chunks={mine.id: np.array([[0]], np.uint32)})
    base = NodeTable.of([array(8)])
    strict = found(changes, log, base, base=base, strict=True)
    assert strict == [Conflict(ConflictType.ChunksUpdatedInUpdatedArray, "/a")] * conflicts
    assert found(changes, log, base, base=base) == []


def test_new_nodes_below_what_the_other_side_deleted() -> None:
    parent = node("/g", NodeKind.GROUP, number=7)
    child = node("/g/n", number=8)
    base, without = NodeTable.of([parent]), NodeTable.of([])
    mine = ChangeSet()
    mine.create(child)
    deletion = TransactionLog(COMMIT, deleted_groups=frozenset({parent.id}))
    assert found(mine, deletion, without, base=base, strict=True) == [
        Conflict(ConflictType.NewNodeInInvalidGroup, "/g")
    ]
    assert found(mine, deletion, without, base=base) == []
    assert found(mine, deletion, without, base=without, strict=True) == []  # it never was there
    mine = ChangeSet()
    mine.delete(parent)
    creation = TransactionLog(COMMIT, new_arrays=frozenset({child.id}))
    both = NodeTable.of([parent, child])
    assert found(mine, creation, both, base=base, strict=True) == [
        Conflict(ConflictType.DeleteOfUpdatedGroup, "/g")
    ]
    assert found(mine, creation, both, base=base) == []
