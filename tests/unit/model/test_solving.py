"""What solvers make of conflicts, and my changes afterwards.

Whole rebases are in tests/scenario; here are single conflicts of every kind.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from frazil.conflicts import (
    UNSOLVED,
    BasicConflictSolver,
    CallbackSolver,
    Conflict,
    ConflictDetector,
    ConflictSolver,
    ConflictType,
    MetadataMergeSolver,
    ThreeWay,
    VersionSelection,
)
from frazil.errors import InvalidInputError
from frazil.format.chunk_refs import InlineRef
from frazil.format.snapshot import ManifestRef, Node, NodeKind, NodeTable
from frazil.ids import ManifestId, NodeId
from frazil.model.changes import ChangeSet
from frazil.model.conflicts import Found
from frazil.model.metadata_merge import Shift
from frazil.model.solving import Resolution, Sides, is_strict, put_onto, resolve
from tests.unit.model.references import values

ID = NodeId(b"\0" * 7 + b"a")
THEIRS, FAIL = VersionSelection.UseTheirs, VersionSelection.Fail
MANIFESTS = (ManifestRef(ManifestId(bytes(12)), ((0, 4),)),)


def array(length: int, *, manifests: Any = (), id_: NodeId = ID, **attributes: Any) -> Node:
    grid = {"name": "regular", "configuration": {"chunk_shape": [2]}}
    document = {"node_type": "array", "shape": [length], "chunk_grid": grid}
    data = json.dumps(document | {"attributes": attributes}).encode()
    return Node(id_, "/a", data, NodeKind.ARRAY, ((length, -(-length // 2)),), None, manifests)


def group(number: int, **attributes: Any) -> Node:
    data = json.dumps({"node_type": "group", "attributes": attributes}).encode()
    return Node(NodeId(bytes([number] * 8)), "/a", data, NodeKind.GROUP)


def sides(mine: ChangeSet, base: Node | None, theirs: Node) -> Sides:
    return Sides(mine, NodeTable.of([] if base is None else [base]), NodeTable.of([theirs]), 2)


def nobody(item: Found, solver: CallbackSolver) -> Found | None:
    raise AssertionError


def solve(item: Found | list[Found], solver: ConflictSolver, at: Sides) -> Resolution:
    return resolve(item if isinstance(item, list) else [item], solver, at, nobody)


def metadata(id_: NodeId = ID) -> Found:
    return Found(Conflict(ConflictType.ZarrMetadataDoubleUpdate, "/a"), id_)


def chunks(*coords: int) -> Found:
    index = np.array(coords, np.uint32).reshape(-1, 1)
    return Found(Conflict(ConflictType.ChunkDoubleUpdate, "/a", index.tolist()), ID, index)


EMPTY = sides(ChangeSet(), array(8), array(8))


@pytest.mark.parametrize("cls", [BasicConflictSolver, MetadataMergeSolver])
@pytest.mark.parametrize(
    ("options", "left", "dropped"),
    [
        (None, 3, 0),
        ({}, 0, 0),
        ({"on_chunk_conflict": THEIRS}, 0, 1),
        ({"on_chunk_conflict": FAIL}, 1, 0),
        ({"fail_on_delete_of_updated_array": True}, 1, 0),
        ({"fail_on_delete_of_updated_group": True}, 1, 0),
    ],
    ids=["detector", "ours", "theirs", "fail", "array", "group"],
)
def test_what_solvers_settle(cls: Any, options: Any, left: int, dropped: int) -> None:
    solver = ConflictDetector() if options is None else cls(**options)
    items = [
        chunks(1),
        Found(Conflict(ConflictType.DeleteOfUpdatedArray, "/b")),
        Found(Conflict(ConflictType.DeleteOfUpdatedGroup, "/c")),
    ]
    resolution = solve(items, solver, EMPTY)
    assert len(resolution.unsolved) == left
    assert [node for node, _ in resolution.dropped] == [ID] * dropped


@pytest.mark.parametrize("kind", [k for k in ConflictType if k not in (6, 9, 10)])
def test_nobody_else_settles_anything_else(kind: ConflictType) -> None:
    item = Found(Conflict(kind, "/a"))
    for solver in (ConflictDetector(), BasicConflictSolver()):
        assert [left.found for left in solve(item, solver, EMPTY).unsolved] == [item]


@pytest.mark.parametrize("kind", [k for k in ConflictType if k not in (1, 3, 6, 8, 9, 10)])
def test_what_no_solver_settles(kind: ConflictType) -> None:
    item = Found(Conflict(kind, "/a"), ID)
    for solver in (MetadataMergeSolver(), CallbackSolver(lambda _: {}, BasicConflictSolver())):
        assert [left.found for left in solve(item, solver, EMPTY).unsolved] == [item]


def test_metadata_by_key() -> None:
    mine = ChangeSet()
    mine.update(array(8, mine=1), array(8))
    at = sides(mine, array(8), array(8, manifests=MANIFESTS, theirs=1))
    resolution = solve(metadata(), MetadataMergeSolver(), at)
    assert not resolution.unsolved
    put_onto(at, resolution)
    node = mine.updated[ID]
    assert json.loads(node.user_data)["attributes"] == {"mine": 1, "theirs": 1}
    assert node.manifests == MANIFESTS


def test_the_keys_of_a_conflict_are_named() -> None:
    mine = ChangeSet()
    mine.update(array(8, k=1), array(8))
    (left,) = solve(
        metadata(), MetadataMergeSolver(), sides(mine, array(8), array(8, k=2))
    ).unsolved
    assert [(c.key, c.base, c.ours, c.theirs) for c in left.keys] == [
        (("attributes", "k"), None, 1, 2)
    ]


def test_what_they_have_already_is_no_change_of_mine() -> None:
    mine = ChangeSet()
    mine.update(array(8, k=1), array(8))
    at = sides(mine, array(8), array(8, k=1, other=2))
    put_onto(at, solve(metadata(), MetadataMergeSolver(), at))
    assert mine.is_empty()


def test_appended_chunks_move_and_conflict_no_more() -> None:
    mine = ChangeSet()
    mine.update(array(12), array(8))
    edits = mine.edits(array(8))
    for at in (3, 4, 5):
        edits.set((at,), InlineRef(b"%d" % at))
    where = sides(mine, array(8), array(10))
    solver = MetadataMergeSolver(appends="order", on_chunk_conflict=FAIL)
    assert solve([metadata(), chunks(3, 4)], solver, where).unsolved[0].found.conflict == Conflict(
        ConflictType.ChunkDoubleUpdate, "/a", [[3]]
    )
    resolution = solve([metadata(), chunks(4)], solver, where)
    assert not resolution.unsolved
    assert resolution.shifts == {ID: Shift(0, 4, 1)}
    put_onto(where, resolution)
    assert mine.updated[ID].shape == ((14, 7),)
    assert values(mine.chunks[ID].columns()) == {
        (3,): InlineRef(b"3"),
        (5,): InlineRef(b"4"),
        (6,): InlineRef(b"5"),
    }
    assert mine.chunks[ID].visible == (5,)  # what they appended stays
    assert not mine.chunks[ID].shrunk


def test_what_i_cut_off_stays_cut_off_in_a_grid_that_grew() -> None:
    mine = ChangeSet()
    mine.update(array(4), array(8))
    mine.update(array(8), array(4))
    assert mine.chunks[ID].visible == (2,)
    at = sides(mine, array(8), array(12))
    put_onto(at, Resolution())
    assert mine.chunks[ID].visible == (2,)
    assert mine.chunks[ID].shrunk


@pytest.mark.parametrize(
    ("mine", "theirs", "solved"),
    [
        (array(8), array(8, k=1), True),
        (array(8), array(10), True),
        (array(8), array(6), False),
        (array(8, mine=1), array(8, k=1), True),
        (array(6), array(8, k=1), False),
    ],
)
def test_chunks_beside_metadata(mine: Node, theirs: Node, solved: bool) -> None:
    changes = ChangeSet()
    if mine != array(8):
        changes.update(mine, array(8))
    item = Found(Conflict(ConflictType.ChunksUpdatedInUpdatedArray, "/a"), ID)
    left = solve(item, MetadataMergeSolver(), sides(changes, array(8), theirs)).unsolved
    assert (not left) is solved


def test_two_new_groups_become_one() -> None:
    mine = ChangeSet()
    mine.create(group(1, mine=1, both=0))
    at = sides(mine, None, group(2, theirs=1, both=0))
    item = Found(Conflict(ConflictType.NewNodeConflictsWithExistingNode, "/a"))
    put_onto(at, solve(item, MetadataMergeSolver(), at))
    assert mine.created == {}
    (node,) = mine.updated.values()
    assert node.id == group(2).id
    assert json.loads(node.user_data)["attributes"] == {"mine": 1, "theirs": 1, "both": 0}


@pytest.mark.parametrize("theirs", [array(8), group(2, k=2)], ids=["array", "other value"])
def test_other_new_nodes_stay_in_conflict(theirs: Node) -> None:
    mine = ChangeSet()
    mine.create(group(1, k=1))
    item = Found(Conflict(ConflictType.NewNodeConflictsWithExistingNode, "/a"))
    assert solve(item, MetadataMergeSolver(), sides(mine, None, theirs)).unsolved


class TestCallbacks:
    def at(self) -> Sides:
        mine = ChangeSet()
        mine.update(array(8, k=1), array(8))
        return sides(mine, array(8), array(8, k=2))

    def test_are_given_three_documents(self) -> None:
        seen = []

        def both(item: ThreeWay) -> Any:
            seen.append(item)
            return item.theirs | {"attributes": {"k": [1, 2]}}

        at = self.at()
        put_onto(at, solve(metadata(), CallbackSolver(both), at))
        assert json.loads(at.mine.updated[ID].user_data)["attributes"] == {"k": [1, 2]}
        (item,) = seen
        assert (item.path, item.key, item.chunk) == ("/a", None, None)
        assert [v["attributes"] for v in (item.base, item.ours, item.theirs)] == [
            {},
            {"k": 1},
            {"k": 2},
        ]

    def test_leave_things_to_the_next_solver(self) -> None:
        item = metadata()
        callback = CallbackSolver(lambda _: UNSOLVED)
        assert [left.found for left in solve(item, callback, self.at()).unsolved] == [item]
        solver = CallbackSolver(lambda _: UNSOLVED, MetadataMergeSolver())
        (left,) = solve(item, solver, self.at()).unsolved
        assert [conflict.key for conflict in left.keys] == [("attributes", "k")]

    def test_cannot_store_what_is_no_metadata(self) -> None:
        with pytest.raises(InvalidInputError, match="node_type"):
            solve(metadata(), CallbackSolver(lambda _: {"shape": [1]}), self.at())

    def test_answer_for_some_chunks(self) -> None:
        def first_only(item: Found, solver: CallbackSolver) -> Found | None:
            return chunks(*item.chunks[1:].ravel()) if item.chunks is not None else item

        solver = CallbackSolver(lambda _: UNSOLVED)
        (left,) = resolve([chunks(1, 2)], solver, EMPTY, first_only).unsolved
        assert left.found.conflict.conflicted_chunks == [[2]]
        solver = CallbackSolver(lambda _: UNSOLVED, BasicConflictSolver())
        assert not resolve([chunks(1, 2)], solver, EMPTY, first_only).unsolved


def test_only_new_solvers_are_strict() -> None:
    assert is_strict(MetadataMergeSolver())
    assert is_strict(CallbackSolver(lambda _: UNSOLVED))
    assert not is_strict(BasicConflictSolver())
    assert not is_strict(ConflictDetector())
