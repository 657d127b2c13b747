"""A session's changes: chunk edits against a dictionary, and the rules for nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from frazil.format.chunk_refs import ChunkRefs, InlineRef, Ref
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import NodeId, SnapshotId
from frazil.model import changes
from frazil.model.changes import UNEDITED, ChangeSet, ChunkEdits
from tests.unit.model.references import Coords, Edits, edits, references, values, within

small = st.tuples(st.integers(0, 5), st.integers(0, 5))


class Edited(RuleBasedStateMachine):
    """The same edits to `ChunkEdits` and to a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = changes._RECENT_LIMIT
        changes._RECENT_LIMIT = 3  # so that short runs of edits are settled too

    def teardown(self) -> None:
        changes._RECENT_LIMIT = self._limit

    @initialize(counts=small)
    def start(self, counts: Coords) -> None:
        self.edits = ChunkEdits(counts)
        self.model: Edits = {}
        self.visible = counts
        self.shrunk = False

    @rule(coords=small, ref=st.none() | references)
    def set(self, coords: Coords, ref: Ref | None) -> None:
        self.edits.set(coords, ref)
        self.model[coords] = ref

    @rule(many=edits(2))
    def add(self, many: Edits) -> None:
        self.edits.add(ChunkRefs.of(2, many))
        self.model |= many

    @rule(counts=small)
    def resize(self, counts: Coords) -> None:
        self.edits.resize(counts)
        smaller = tuple(map(min, self.visible, counts))
        self.shrunk |= smaller != self.visible
        self.visible = smaller
        self.model = {c: r if within(c, counts) else None for c, r in self.model.items()}

    @rule(gone=st.lists(small, max_size=4))
    def drop(self, gone: list[Coords]) -> None:
        self.edits.drop(np.array(gone, np.uint32).reshape(-1, 2))
        for coords in gone:
            self.model.pop(coords, None)

    @rule()
    def look(self) -> None:
        assert values(self.edits.columns()) == self.model

    @rule(coords=small)
    def get(self, coords: Coords) -> None:
        hidden = self.shrunk and not within(coords, self.visible)
        assert self.edits.get(coords) == self.model.get(coords, None if hidden else UNEDITED)

    @rule(several=st.lists(small, max_size=4))
    def affects(self, several: list[Coords]) -> None:
        index = np.array(several, np.uint32).reshape(-1, 2)
        assert self.edits.affects(index).tolist() == [
            c in self.model or (self.shrunk and not within(c, self.visible)) for c in several
        ]

    @invariant()
    def knows_whether_it_is_empty(self) -> None:
        assert bool(self.edits) == bool(self.model)
        assert self.edits.shrunk == self.shrunk
        assert self.edits.visible == self.visible


Edited.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
TestEdited = Edited.TestCase


@given(edits(0))
def test_the_one_chunk_of_a_scalar(model: Edits) -> None:
    scalar = ChunkEdits(())
    for coords, ref in model.items():
        scalar.set(coords, ref)
    assert scalar.get(()) == model.get((), UNEDITED)
    assert values(scalar.columns()) == model


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.set((0,), None),
        lambda e: e.add(ChunkRefs.of(1, {(0,): None})),
        lambda e: e.resize((3,)),
        lambda e: e.drop(np.array([[1]], np.uint32)),
    ],
    ids=["set", "add", "resize", "drop"],
)
def test_every_change_starts_a_generation(change) -> None:  # type: ignore[no-untyped-def]
    edited = ChunkEdits((9,))
    edited.set((1,), None)
    before = edited.generation
    change(edited)
    assert edited.generation != before


# Nodes


def node(
    path: str, counts: Coords | None = None, *, number: int | None = None, data: bytes = b""
) -> Node:
    """An array with this many chunks, or a group."""
    id_ = NodeId((number if number is not None else sum(path.encode())).to_bytes(8, "big"))
    if counts is None:
        return Node(id_, path, data, NodeKind.GROUP, (), None, ())
    return Node(id_, path, data, NodeKind.ARRAY, tuple((n, n) for n in counts), None, ())


def test_a_node_created_and_deleted_leaves_no_trace() -> None:
    session = ChangeSet()
    array = node("/a", (4,))
    session.create(array)
    session.edits(array).set((0,), InlineRef(b"x"))
    session.delete(array)
    assert session.is_empty()
    assert not session.chunks


def test_deleting_a_stored_node_forgets_what_was_changed_in_it() -> None:
    session = ChangeSet()
    array = node("/a", (4,))
    session.update(node("/a", (4,), data=b"new"), array)
    session.edits(array).set((0,), InlineRef(b"x"))
    session.delete(array)
    assert session.deleted == {array.id: array}
    assert not session.updated
    assert not session.chunks


def test_a_node_deleted_created_again_and_deleted_is_deleted() -> None:
    session = ChangeSet()
    old, new = node("/a", (4,), number=1), node("/a", (4,), number=2)
    session.delete(old)
    session.create(new)
    session.delete(new)
    assert session.deleted == {old.id: old}
    assert not session.created


def test_new_metadata_of_a_new_node_is_no_update() -> None:
    session = ChangeSet()
    group = node("/g")
    session.create(group)
    session.update(node("/g", data=b"new"), group)
    assert not session.updated
    assert session.created["/g"].user_data == b"new"


def test_growing_keeps_no_account_of_chunks() -> None:
    session = ChangeSet()
    session.update(node("/a", (6,)), node("/a", (4,)))
    assert not session.chunks


def test_shrinking_hides_and_does_not_count_as_an_edit() -> None:
    session = ChangeSet()
    session.update(node("/a", (2,)), node("/a", (4,)))
    (hidden,) = session.chunks.values()
    assert hidden.shrunk
    assert not hidden
    assert hidden.get((1,)) is UNEDITED
    assert hidden.get((2,)) is None
    assert not session.log(SnapshotId(bytes(12))).updated_chunks


def test_an_array_of_another_rank_has_no_chunk_left() -> None:
    session = ChangeSet()
    array = node("/a", (4,))
    session.edits(array).set((0,), InlineRef(b"x"))
    square = node("/a", (4, 4))
    session.update(square, array)
    assert session.edits(square).get((0, 0)) is None
    session.update(array, square)
    assert session.edits(array).get((0,)) is None


def test_the_log_lists_what_was_done_by_kind() -> None:
    session = ChangeSet()
    session.create(node("/new", number=1))
    session.create(node("/new/a", (4,), number=2))
    session.update(node("/group", number=3, data=b"new"), node("/group", number=3))
    array = node("/array", (4,), number=4)
    session.update(node("/array", (4,), number=4, data=b"new"), array)
    session.edits(array).set((3,), InlineRef(b"x"))
    session.edits(array).set((1,), None)
    session.delete(node("/gone", number=5))
    session.delete(node("/gone/a", (4,), number=6))
    log = session.log(SnapshotId(bytes(12)))

    def ids(*numbers: int) -> set[NodeId]:
        return {NodeId(n.to_bytes(8, "big")) for n in numbers}

    assert log.new_groups == ids(1)
    assert log.new_arrays == ids(2)
    assert log.updated_groups == ids(3)
    assert log.updated_arrays == ids(4)
    assert log.deleted_groups == ids(5)
    assert log.deleted_arrays == ids(6)
    assert {k: v.tolist() for k, v in log.updated_chunks.items()} == {array.id: [[1], [3]]}
    assert log.moves == ()
