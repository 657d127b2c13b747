"""Which chunks have elements that are to be removed, and which no others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from frazil.errors import InvalidInputError
from frazil.format.nodes import Node, NodeKind
from frazil.ids import NodeId
from frazil.model.purge_target import Box, Cells, Target, region_of

A, B = NodeId(b"a" * 8), NodeId(b"b" * 8)
INDEX = np.array([[0, 0], [0, 1], [2, 1]], np.uint32)
EVERY = np.array([[i, j] for i in range(3) for j in range(2)], np.uint32)


def array(
    shape: tuple[int, ...] = (5, 10), chunks: tuple[int, ...] = (2, 5), node: NodeId = A
) -> Node:
    grid = {"name": "regular", "configuration": {"chunk_shape": chunks}}
    counts = tuple((n, -(-n // size)) for n, size in zip(shape, chunks, strict=True))
    return Node(node, "/a", json.dumps({"chunk_grid": grid}).encode(), NodeKind.ARRAY, counts)


def cells(region: tuple[slice, ...], *versions: Node, whole_chunks: bool = False) -> Cells:
    _, found = region_of("/a", versions or (array(),), region, whole_chunks=whole_chunks)
    return found[A]


def test_without_a_region() -> None:
    assert Target(frozenset({A})).chunks_of(A, INDEX).all()
    assert not Target(frozenset({A})).chunks_of(B, INDEX).any()
    assert not Target(frozenset({A})).cut(A, INDEX).any()
    assert not Target(frozenset({A}), attribute="x").chunks_of(A, INDEX).any()


@pytest.mark.parametrize(
    ("region", "whole", "cut"),
    [
        ((), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)], []),
        ((slice(0, 4), slice(5, None)), [(0, 1), (1, 1)], []),
        ((slice(4, 5),), [(2, 0), (2, 1)], []),  # as much of the last chunk as there is
        ((slice(-1, None), slice(-5, None)), [(2, 1)], []),
        ((slice(1, 4), slice(0, 5)), [(1, 0)], [(0, 0)]),
        ((slice(1, 2), slice(1, 2)), [], [(0, 0)]),
        ((slice(3, 5), slice(4, 6)), [], [(1, 0), (1, 1), (2, 0), (2, 1)]),
    ],
)
def test_whole_and_cut_chunks(
    region: tuple[slice, ...], whole: list[tuple[int, ...]], cut: list[tuple[int, ...]]
) -> None:
    target = Target(frozenset({A}), {A: cells(region)})
    assert list(map(tuple, EVERY[target.chunks_of(A, EVERY)].tolist())) == whole
    assert list(map(tuple, EVERY[target.cut(A, EVERY)].tolist())) == cut
    assert not target.chunks_of(A, EVERY[:, :1]).any()
    assert not target.cut(B, EVERY).any()
    rounded = Target(frozenset({A}), {A: cells(region, whole_chunks=True)})
    assert list(map(tuple, EVERY[rounded.chunks_of(A, EVERY)].tolist())) == sorted(whole + cut)
    assert not rounded.cut(A, EVERY).any()


@pytest.mark.parametrize(
    ("coords", "part"),
    [
        ((0, 0), ((1, 2), (4, 5))),
        ((1, 0), ((0, 2), (4, 5))),
        ((2, 1), ((0, 1), (0, 2))),
    ],
)
def test_elements_of_a_chunk(coords: tuple[int, ...], part: Box) -> None:
    longer = array((8, 10))
    assert cells((slice(1, 5), slice(4, 7)), longer).part(coords) == part


def test_to_the_end_of_the_longest_version() -> None:
    """Elements of a chunk beyond the array are of no version, and go with the last of them."""
    versions = array((5, 10)), array((7, 10))
    found = cells((slice(3, 7), slice(0, 5)), *versions)
    assert found.whole == ((2, 4), (0, 1))
    assert found.part((1, 0)) == ((1, 2), (0, 5))
    cut = cells((slice(3, 5), slice(0, 5)), *versions)
    assert cut.part((2, 0)) == ((0, 1), (0, 5))
    assert cut.whole == ((2, 2), (0, 1))


def test_arrays_with_other_chunks_at_the_same_path() -> None:
    elements, found = region_of(
        "/a", (array(), array((4, 10), (4, 3), B)), (slice(1, 4),), whole_chunks=False
    )
    assert elements == ((1, 4), (0, 10))
    assert found[A].touched == ((0, 2), (0, 2))
    assert found[B].touched == ((0, 1), (0, 4))


def test_scalars() -> None:
    scalar = Node(
        A,
        "/a",
        b'{"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": []}}}',
        NodeKind.ARRAY,
    )
    target = Target(frozenset({A}), {A: cells((), scalar)})
    assert target.chunks_of(A, np.empty((1, 0), np.uint32)).all()


@pytest.mark.parametrize(
    ("versions", "region", "complaint"),
    [
        ((array(),), (slice(0, 2), slice(0, 10, 2)), "dimension 1 .* has a step"),
        ((array(),), (slice(2, 2),), "dimension 0 .* empty.* at most 5"),
        ((array(),), (slice(5, 9),), "empty"),
        ((array(),), (slice(None),) * 3, "2 dimensions, the region 3"),
        ((array(), array((5,), (2,))), (slice(0, 2),), "1 dimensions in one version, 2 in another"),
        ((array(), array((6, 10))), (slice(-2, None),), "5 to 6 long: -2, from its end"),
        ((array(), array((5, 10), (1, 5))), (slice(0, 2),), "had different sizes"),
        ((Node(A, "/a", b"{}", NodeKind.GROUP),), (slice(0, 2),), "is a group"),
        (
            (Node(A, "/a", b'{"chunk_grid": {"name": "rectilinear"}}', NodeKind.ARRAY, ((4, 2),)),),
            (slice(0, 2),),
            "differ in size",
        ),
    ],
)
def test_what_is_no_region(
    versions: tuple[Node, ...], region: tuple[slice, ...], complaint: str
) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        region_of("/a", versions, region, whole_chunks=False)
