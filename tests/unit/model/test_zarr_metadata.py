"""What a `zarr.json` says about chunks, and which documents are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.format.snapshot import NodeKind
from frazil.model.zarr_metadata import Layout, read_layout


def regular(shape: Any, chunks: Any, **members: Any) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": chunks}}
    return {"node_type": "array", "shape": shape, "chunk_grid": grid, **members}


def rectilinear(shape: Any, chunks: Any) -> dict[str, Any]:
    grid = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": chunks}}
    return {"node_type": "array", "shape": shape, "chunk_grid": grid}


def layout(document: Any, spec: int = 2) -> Layout:
    return read_layout(json.dumps(document).encode(), path="/a", spec=spec)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)), max_size=4),
    st.sampled_from([1, 2]),
)
def test_a_regular_grid_has_as_many_chunks_as_are_begun(
    axes: list[tuple[int, int]], spec: int
) -> None:
    found = layout(regular([n for n, _ in axes], [size for _, size in axes]), spec)
    assert found.kind is NodeKind.ARRAY
    assert found.shape == tuple((n, math.ceil(n / size)) for n, size in axes)
    assert found.dimension_names is None


def test_a_group_has_no_layout() -> None:
    assert layout({"node_type": "group", "attributes": {"shape": "?"}}) == Layout(NodeKind.GROUP)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, None),
        ([], ()),
        (["x", None, ""], ("x", None, "")),
        (["one", "two", "three", "too many"], ("one", "two", "three", "too many")),
    ],
)
def test_dimension_names_are_taken_as_they_are(
    names: Any, expected: tuple[str | None, ...] | None
) -> None:
    assert layout(regular([1, 2, 3], [1, 1, 1], dimension_names=names)).dimension_names == expected


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        (regular([], []), ()),
        (regular([4], [2, 5]), ((4, 2),)),  # more chunk dimensions than dimensions
        (regular([0, 5], [3, 3]), ((0, 0), (5, 2))),
        (regular([2**32 - 1], [1]), ((2**32 - 1, 2**32 - 1),)),
        (regular([2**63], [2**40]), ((2**63, 2**23),)),
        ({**regular([4], [2]), "codecs": "?", "fill_value": [], "unknown": 1}, ((4, 2),)),
    ],
    ids=["scalar", "more chunk dimensions", "empty", "most chunks", "long", "other members"],
)
@pytest.mark.parametrize("spec", [1, 2])
def test_accepted(document: dict[str, Any], shape: tuple[tuple[int, int], ...], spec: int) -> None:
    assert layout(document, spec).shape == shape


@pytest.mark.parametrize(
    ("shape", "chunks", "counts"),
    [
        ([6], [[[2, 3]]], [3]),
        ([6, 9], [[1, 2, 3], [[4, 2], 1]], [3, 3]),
        ([7, 7], [3, [7]], [3, 1]),
        ([100], [[1]], [1]),  # sizes that do not add up are not the engine's concern
    ],
    ids=["run", "edges", "step", "too short"],
)
def test_a_rectilinear_grid_has_a_chunk_for_each_edge(
    shape: list[int], chunks: Any, counts: list[int]
) -> None:
    document = rectilinear(shape, chunks)
    assert layout(document).shape == tuple(zip(shape, counts, strict=True))
    with pytest.raises(InvalidInputError, match="not supported in a spec 1") as caught:
        layout(document, spec=1)
    assert caught.value.kind == "bad-metadata"


def test_a_chunk_size_of_zero_makes_no_chunks_where_that_can_be_stored() -> None:
    assert layout(regular([5, 4], [0, 2])).shape == ((5, 0), (4, 2))
    assert layout(regular([0], [0]), spec=1).shape == ((0, 0),)
    with pytest.raises(InvalidInputError, match="chunk size of 0"):
        layout(regular([5, 4], [0, 2]), spec=1)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        ({}, "node_type is None"),
        ({"node_type": "table"}, "node_type is 'table'"),
        ({"node_type": "array"}, "shape None"),
        (regular("4", [1]), "shape '4'"),
        (regular([-1], [1]), "shape"),
        (regular([1.0], [1]), "shape"),
        (regular([True], [1]), "shape"),
        ({"node_type": "array", "shape": [1]}, "chunk grid None"),
        ({"node_type": "array", "shape": [1], "chunk_grid": "regular"}, "chunk grid None"),
        (
            {"node_type": "array", "shape": [1], "chunk_grid": {"name": "regular"}},
            "chunk_shape None",
        ),
        ({"node_type": "array", "shape": [1], "chunk_grid": {"name": "hexagonal"}}, "'hexagonal'"),
        (regular([1], [1.5]), "chunk_shape"),
        (regular([1], [-1]), "chunk_shape"),
        (regular([1, 2], [1]), "fewer dimensions"),
        (regular([2**32], [1]), "4294967296 chunks"),
        (regular([2**64], [2**60]), "more than"),
        (regular([1], [1], dimension_names="x"), "dimension_names 'x'"),
        (regular([1], [1], dimension_names=[1]), "dimension_names"),
        (rectilinear([1, 2], [[1]]), "does not fit"),
        (rectilinear([1], None), "does not fit"),
        (rectilinear([1], ["x"]), "no list of edge lengths"),
        (rectilinear([1], [[[1, 2, 3]]]), "no list of edge lengths"),
        (rectilinear([1], [[-1]]), "no list of edge lengths"),
        (rectilinear([1], [0]), "no list of edge lengths"),
        (rectilinear([1], [[[1, 2**32]]]), "more than"),
    ],
)
def test_refused(document: Any, why: str) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(InvalidInputError, match=why) as caught:
        read_layout(data, path="/a/b", spec=2)
    assert caught.value.kind == "bad-metadata"
    assert "/a/b" in caught.value.message
