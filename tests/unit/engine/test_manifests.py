"""Rewriting manifests: the result, and what is read and written for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.engine.manifests import ManifestWriter
from frazil.engine.reader import ChunkReader
from frazil.format.chunk_refs import ChunkRefs, InlineRef, Ref
from frazil.format.snapshot import ManifestTable, Node, NodeKind, NodeTable
from frazil.ids import NodeId
from frazil.library.files import Library
from frazil.model.changes import ChunkEdits
from frazil.model.manifest_growth import meet
from frazil.model.manifest_plan import Layout
from frazil.model.overlay import bounding_box
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend

Coords = tuple[int, ...]


def array(counts: Coords) -> Node:
    """An array without chunks, of this many along each dimension."""
    shape = tuple((n, n) for n in counts)
    return Node(NodeId(b"an array"), "/a", b"", NodeKind.ARRAY, shape, None, ())


def edits(node: Node, changes: dict[Coords, Ref | None]) -> ChunkEdits:
    result = ChunkEdits([n for _, n in node.shape])
    for coords, ref in changes.items():
        result.set(coords, ref)
    return result


class Shelf:
    """A library that counts, and a writer of manifests cut every `sizes` chunks."""

    def __init__(self, sizes: Coords) -> None:
        self.backend = Counting(MemoryBackend())
        self.library = Library(self.backend, spec=2)
        self.sizes = sizes
        self.infos = ManifestTable.of(())
        self.exact = True
        self.writer = ManifestWriter(self.library, lambda node: Layout(self.sizes, self.exact))

    def written(self, change: Callable[[], Node]) -> tuple[Node, int]:
        self.backend.reset()
        return change(), self.backend.requests["put", "manifests"]

    def apply(self, node: Node, changes: dict[Coords, Ref | None]) -> Node:
        return self.rewrite(node, edits(node, changes))

    def rewrite(self, node: Node, pending: ChunkEdits) -> Node:
        plan = self.writer.plan([(node, pending)], NodeTable.of([node]), self.infos)
        done = self.writer.write(plan)
        self.infos = ManifestTable.of([*map(self.infos.info, range(len(self.infos))), *done.new])
        (rewritten,) = done.nodes
        return rewritten

    def content(self, node: Node) -> dict[Coords, Ref | None]:
        found: dict[Coords, Ref | None] = {}
        for refs in ChunkReader(self.library, None).all_refs(node):
            for i in range(len(refs)):
                coords = tuple(map(int, refs.index[i]))
                assert coords not in found
                found[coords] = refs.row(i)
        return found


def filled(counts: Coords, value: bytes = b"x") -> dict[Coords, Ref | None]:
    if len(counts) == 1:
        return {(i,): InlineRef(value) for i in range(counts[0])}
    return {(i, j): InlineRef(value) for i in range(counts[0]) for j in range(counts[1])}


small = st.tuples(st.integers(0, 7), st.integers(0, 7))
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))
chunk_changes = st.dictionaries(
    small, st.none() | st.binary(min_size=1, max_size=2).map(InlineRef), max_size=9
)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(sizes, chunk_changes, st.none() | small), min_size=1, max_size=5),
    st.booleans(),
)
def test_commits_of_one_array_against_a_dictionary(
    commits: list[tuple[Coords, dict[Coords, Ref | None], Coords | None]], exact: bool
) -> None:
    shelf = Shelf((1, 1))
    shelf.exact = exact
    node = array((8, 8))
    model: dict[Coords, Ref | None] = {}
    for cell, changes, grid in commits:
        shelf.sizes = cell
        pending = edits(node, changes)
        model |= changes
        if grid is not None:
            pending.resize(grid)
            node = replace(node, shape=tuple((n, n) for n in grid))
            model = {c: r for c, r in model.items() if c[0] < grid[0] and c[1] < grid[1]}
        model = {c: r for c, r in model.items() if r is not None}
        node = shelf.rewrite(node, pending)
        assert shelf.content(node) == model
        node = replace(node, shape=((8, 8), (8, 8)))  # grown again: nothing comes back
        for manifest in node.manifests:
            refs = shelf.library.manifest(manifest.id).arrays[node.id]
            assert manifest.extents == bounding_box(refs)
            # Each chunk is in one manifest's box, which other readers may rely on.
            assert not any(
                meet(manifest.extents, other.extents)
                for other in node.manifests
                if other != manifest
            )
            # No manifest reaches out of its cell, unless it was left alone.
            if (refs.index // cell).min(axis=0).tolist() != (refs.index // cell).max(
                axis=0
            ).tolist():
                assert not any(c in changes for c in map(tuple, refs.index.tolist()))


def test_only_the_cells_of_changed_chunks_are_written() -> None:
    shelf = Shelf((10,))
    node, written = shelf.written(lambda: shelf.apply(array((100,)), filled((100,))))
    assert written == 10
    before = [m.id for m in node.manifests]
    node, written = shelf.written(
        lambda: shelf.apply(node, {(15,): InlineRef(b"y"), (19,): None, (71,): InlineRef(b"y")})
    )
    assert written == 2
    changed = [i for i, m in enumerate(node.manifests) if m.id != before[i]]
    assert changed == [1, 7]
    assert node.manifests[1].extents == ((10, 19),)


def test_appending_reads_and_writes_no_full_manifest() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((20,)), filled((20,)))
    shelf = _reopened(shelf)
    node = replace(node, shape=((30, 30),))
    node, written = shelf.written(
        lambda: shelf.apply(node, {(i,): InlineRef(b"y") for i in range(20, 30)})
    )
    assert written == 1
    assert not shelf.backend.requests["get", "manifests"]
    assert [m.extents for m in node.manifests] == [((0, 10),), ((10, 20),), ((20, 30),)]


def test_a_cell_whose_chunks_are_all_erased_has_no_manifest() -> None:
    shelf = Shelf((2, 2))
    node = shelf.apply(array((4, 4)), filled((4, 4)))
    node, written = shelf.written(
        lambda: shelf.apply(node, {(i, j): None for i in (0, 1) for j in (2, 3)})
    )
    assert written == 0
    assert [m.extents for m in node.manifests] == [
        ((0, 2), (0, 2)),
        ((2, 4), (0, 2)),
        ((2, 4), (2, 4)),
    ]
    node = shelf.apply(node, dict.fromkeys(filled((4, 4))))
    assert node.manifests == ()


def test_another_layout_leaves_manifests_alone_that_no_change_reaches() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((60,)), filled((60,)))
    before = node.manifests
    shelf.sizes = (20,)
    node = shelf.apply(node, {(0,): InlineRef(b"y")})
    assert [m.extents for m in node.manifests] == [((0, 20),), *(m.extents for m in before[2:])]
    assert node.manifests[1:] == before[2:]
    shelf.sizes = (5,)
    node = shelf.apply(node, {(59,): InlineRef(b"y")})
    assert [m.extents for m in node.manifests][-3:] == [((40, 50),), ((50, 55),), ((55, 60),)]


def test_another_layout_is_followed_until_its_cuts_meet_the_old_ones() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((60,)), filled((60,)))
    before = node.manifests
    shelf.sizes = (15,)
    node = shelf.apply(node, {(0,): InlineRef(b"y")})
    assert [m.extents for m in node.manifests[:2]] == [((0, 15),), ((15, 30),)]
    assert node.manifests[2:] == before[3:]
    assert shelf.content(node) == filled((60,)) | {(0,): InlineRef(b"y")}


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_an_array_of_another_rank_keeps_nothing(rank: int) -> None:
    shelf = Shelf((2, 2))
    node = shelf.apply(array((4, 4)), filled((4, 4)))
    other = replace(array((4,) * rank), manifests=node.manifests)
    shelf.sizes = (2,) * rank
    changed = ChunkEdits([4] * rank)
    changed.shrunk, changed.visible = True, (0,) * rank
    first: Coords = (0,) * rank
    if rank != 2:
        assert shelf.rewrite(other, changed).manifests == ()
        changed.set(first, InlineRef(b"y"))
        node = shelf.rewrite(other, changed)
        assert shelf.content(node) == {first: InlineRef(b"y")}


def test_a_second_try_on_another_base_writes_nothing_again() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((30,)), filled((30,)))
    mine = edits(node, {(5,): InlineRef(b"mine")})
    first = shelf.rewrite(node, mine)
    theirs = _reopened(shelf).apply(node, {(25,): InlineRef(b"theirs")})
    second, written = shelf.written(lambda: shelf.rewrite(theirs, mine))
    assert written == 0
    assert second.manifests[0] == first.manifests[0]
    assert shelf.content(second)[5,] == InlineRef(b"mine")
    assert shelf.content(second)[25,] == InlineRef(b"theirs")


def test_a_second_try_takes_over_what_others_changed_in_the_same_manifest() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((30,)), filled((30,)))
    mine = edits(node, {(5,): InlineRef(b"mine")})
    shelf.rewrite(node, mine)
    theirs = _reopened(shelf).apply(node, {(6,): InlineRef(b"theirs")})
    second, written = shelf.written(lambda: shelf.rewrite(theirs, mine))
    assert written == 1
    assert shelf.content(second)[5,] == InlineRef(b"mine")
    assert shelf.content(second)[6,] == InlineRef(b"theirs")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: e.set((5,), InlineRef(b"new")), InlineRef(b"new")),
        (lambda e: e.add(ChunkRefs.of(1, {(5,): InlineRef(b"new")})), InlineRef(b"new")),
        (lambda e: e.drop(ChunkRefs.of(1, {(5,): None}).index), InlineRef(b"x")),
        (lambda e: e.resize((3,)), None),
    ],
    ids=["set", "add", "drop", "resize"],
)
def test_a_second_try_with_other_edits_is_written(  # type: ignore[no-untyped-def]
    change, expected: Ref | None
) -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((10,)), filled((10,)))
    mine = edits(node, {(5,): InlineRef(b"old"), (6,): InlineRef(b"old")})
    shelf.rewrite(node, mine)
    change(mine)
    assert shelf.content(shelf.rewrite(node, mine)).get((5,)) == expected


def test_edits_that_begin_anew_are_not_taken_for_the_former_ones() -> None:
    shelf = Shelf((10,))
    node = shelf.apply(array((10,)), filled((10,)))
    for i in range(20):  # the next one is likely to get the memory of the last one
        value = InlineRef(b"%d" % i)
        node_then = shelf.rewrite(node, edits(node, {(5,): value}))
        assert shelf.content(node_then)[5,] == value


def _reopened(shelf: Shelf) -> Shelf:
    """The same storage with nothing in memory."""
    other = Shelf(shelf.sizes)
    other.backend = shelf.backend
    other.library = Library(shelf.backend, spec=2)
    other.infos = shelf.infos
    other.exact = shelf.exact
    other.writer = ManifestWriter(other.library, lambda node: Layout(other.sizes, other.exact))
    return other
