"""Differences of snapshots, against dictionaries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, VirtualRef
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import ManifestRef, Node, NodeKind, NodeTable
from frazil.ids import ChunkId, ManifestId, NodeId
from frazil.model.changes import ChangeSet
from frazil.model.overlay import overlay
from frazil.model.snapshot_diff import (
    compare_nodes,
    compare_refs,
    equal_rows,
    leave_out_agreed,
    same_refs,
)
from tests.unit.model.references import Model, edits, stored, values


def node(
    number: int,
    path: str | None = None,
    data: bytes = b"",
    *,
    kind: NodeKind = NodeKind.ARRAY,
    manifests: tuple[int, ...] = (),
) -> Node:
    refs = tuple(ManifestRef(ManifestId(bytes([m] * 12)), ((0, 8),)) for m in manifests)
    shape = ((8, 8),) if kind is NodeKind.ARRAY else ()
    path = f"/{number}" if path is None else path
    return Node(NodeId(bytes([number] * 8)), path, data, kind, shape, None, refs)


numbers = st.integers(1, 9)
tables = st.dictionaries(
    numbers,
    st.tuples(
        st.sampled_from(["", "a", "bc"]),
        st.binary(max_size=2),
        st.lists(st.integers(0, 3), max_size=2, unique=True).map(tuple),
    ),
).map(
    lambda nodes: {
        number: node(number, f"/{number}{name}", data, manifests=manifests)
        for number, (name, data, manifests) in nodes.items()
    }
)


@given(tables, tables)
def test_nodes(before: dict[int, Node], after: dict[int, Node]) -> None:
    found = compare_nodes(NodeTable.of(before.values()), NodeTable.of(after.values()))

    def differ(field: str) -> set[tuple[Node, Node]]:
        both = ((before[i], after[i]) for i in before.keys() & after.keys())
        return {(a, b) for a, b in both if getattr(a, field) != getattr(b, field)}

    assert set(found.created) == {after[i] for i in after.keys() - before.keys()}
    assert set(found.deleted) == {before[i] for i in before.keys() - after.keys()}
    assert set(found.updated) == differ("user_data")
    assert set(found.rewritten) == differ("manifests")
    assert set(found.moved) == differ("path")


@given(stored(2), stored(2))
def test_refs_make_one_of_the_other(before: Model, after: Model) -> None:
    old, new = ChunkRefs.of(2, before), ChunkRefs.of(2, after)
    difference = compare_refs(old, new)
    assert values(overlay(old, difference)) == after
    changed = {at for at in before.keys() | after.keys() if before.get(at) != after.get(at)}
    assert set(values(difference)) == changed


def test_refs_are_the_same_only_in_all_columns() -> None:
    object_, other = ChunkId(bytes(12)), ChunkId(b"x" * 12)
    different: list[Any] = [
        None,
        NativeRef(object_, 0, 1),
        NativeRef(other, 0, 1),
        NativeRef(object_, 1, 1),
        NativeRef(object_, 0, 2),
        InlineRef(b"a"),
        InlineRef(b"b"),
        VirtualRef("s3://b/k", 0, 1),
        VirtualRef("s3://b/j", 0, 1),
        VirtualRef("s3://b/k", 0, 1, etag="e"),
        VirtualRef("s3://b/k", 0, 1, modified=1),
    ]
    n = len(different)
    one = ChunkRefs.of(1, {(i,): different[i // n] for i in range(n * n)})
    two = ChunkRefs.of(1, {(i,): different[i % n] for i in range(n * n)})
    assert same_refs(one, two).reshape(n, n).tolist() == np.eye(n, dtype=bool).tolist()


texts = st.none() | st.sampled_from([b"", b"a", b"b", b"ab", b"long text"])


@given(st.lists(st.tuples(texts, texts)))
def test_rows_of_columns(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    one, two = (ByteColumn.of([pair[i] for pair in pairs]) for i in range(2))
    assert equal_rows(one, two).tolist() == [a == b for a, b in pairs]


class TestAgreement:
    def test_nodes_that_both_created(self) -> None:
        group = NodeKind.GROUP
        mine, theirs = ChangeSet(), ChangeSet()
        for ours, others in [
            (node(1, "/same"), node(1, "/same")),
            (node(2, "/ids"), node(3, "/ids")),
            (node(4, "/groups", kind=group), node(5, "/groups", kind=group)),
            (node(6, "/data", b"a"), node(6, "/data", b"b")),
            (node(7, "/kinds"), node(8, "/kinds", kind=group)),
        ]:
            mine.create(ours)
            theirs.create(others)
        leave_out_agreed(mine, theirs, NodeTable.of([node(1), node(2)]))
        assert set(mine.created) == {"/ids", "/data", "/kinds"}
        assert len(theirs.created) == 5

    def test_metadata_that_both_changed(self) -> None:
        mine, theirs = ChangeSet(), ChangeSet()
        for number, data in ((1, b"same"), (2, b"theirs")):
            mine.update(node(number, data=b"same"), node(number))
            theirs.update(node(number, data=data), node(number))
        leave_out_agreed(mine, theirs, NodeTable.of([node(1), node(2)]))
        assert list(mine.updated) == list(theirs.updated) == [node(2).id]

    @given(edits(1), edits(1))
    def test_chunks_that_both_wrote(self, one: Any, two: Any) -> None:
        mine, theirs = ChangeSet(), ChangeSet()
        for changes, chunks in ((mine, one), (theirs, two)):
            changes.edits(node(1)).add(ChunkRefs.of(1, chunks))
        leave_out_agreed(mine, theirs, NodeTable.of([node(1), node(2)]))
        left = {at: ref for at, ref in one.items() if at not in two or two[at] != ref}
        assert values(mine.chunks[node(1).id].columns()) == left
        assert values(theirs.chunks[node(1).id].columns()) == two

    def test_what_both_appended_stays_together_if_it_is_to_move(self) -> None:
        base, longer = node(1), replace(node(1), shape=((12, 12),), user_data=b"12")
        for second, left in ((b"b", 0), (b"c", 2)):
            mine, theirs = ChangeSet(), ChangeSet()
            for changes, last in ((mine, second), (theirs, b"b")):
                changes.update(longer, base)
                for at, data in ((8, b"a"), (9, last)):
                    changes.edits(base).set((at,), InlineRef(data))
            leave_out_agreed(mine, theirs, NodeTable.of([base]), ordered=True)
            assert len(mine.chunks[base.id].columns()) == left
            assert bool(mine.updated) == bool(left)
