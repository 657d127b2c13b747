"""Planning which manifests are rewritten and how, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.chunk_refs import ChunkRefs, InlineRef
from frazil.format.snapshot import ManifestRef
from frazil.ids import ManifestId
from frazil.model import manifest_plan
from frazil.model.manifest_plan import (
    CELL_REFS,
    cells_of,
    cut,
    default_sizes,
    merge,
    merged,
    touched,
)
from frazil.model.overlay import Box, bounding_box
from tests.unit.model.references import Coords, Edits, Model, edits, stored, values, within

UNSPLIT = 2**32 - 1

cell_sizes = st.one_of(st.integers(1, 4), st.sampled_from([100, 65_536, UNSPLIT]))
ranks = st.integers(0, 3)


def manifest(number: int, extents: Box) -> ManifestRef:
    return ManifestRef(ManifestId(bytes([number]) * 12), extents)


def cell(coords: Coords, sizes: Coords) -> Coords:
    return tuple(c // size for c, size in zip(coords, sizes, strict=True))


@given(st.lists(st.integers(0, 10**6), max_size=5))
def test_default_cells_fit_and_do_not_depend_on_the_first_dimension(counts: list[int]) -> None:
    sizes = default_sizes(counts)
    assert len(sizes) == len(counts)
    assert all(size >= 1 for size in sizes)
    assert math.prod(sizes) <= CELL_REFS
    if counts:
        assert default_sizes([7, *counts[1:]]) == sizes


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ([10], (65_536,)),
        ([5, 100], (655, 100)),
        ([5, 0], (65_536, 1)),
        ([5, 256, 256], (1, 256, 256)),
        ([5, 3, 100_000], (1, 1, 65_536)),
        ([], ()),
    ],
)
def test_default_cells_hold_whole_rows(counts: list[int], sizes: Coords) -> None:
    assert default_sizes(counts) == sizes


@given(ranks.flatmap(lambda n: st.tuples(st.just(n), edits(n), st.tuples(*[cell_sizes] * n))))
def test_cells_are_those_of_the_chunks(case: tuple[int, Edits, Coords]) -> None:
    ndim, refs, sizes = case
    cells = cells_of(ChunkRefs.of(ndim, refs).index, sizes)
    assert [tuple(map(int, row)) for row in cells] == sorted({cell(c, sizes) for c in refs})


@given(ranks.flatmap(lambda n: st.tuples(st.just(n), stored(n), st.tuples(*[cell_sizes] * n))))
def test_a_cut_puts_each_reference_into_the_part_of_its_cell(
    case: tuple[int, Model, Coords],
) -> None:
    ndim, refs, sizes = case
    parts = [values(part) for part in cut(ChunkRefs.of(ndim, refs), sizes)]
    assert all(parts)
    cells = [{cell(c, sizes) for c in part} for part in parts]
    assert all(len(one) == 1 for one in cells)
    assert len(set(map(frozenset, cells))) == len(parts)
    assert {c: ref for part in parts for c, ref in part.items()} == refs


def test_a_grid_of_more_cells_than_an_integer_counts_is_cut() -> None:
    far = 2**32 - 2
    refs: Model = {
        (0, 0, 0): _inline(b"a"),
        (far, far, far): _inline(b"b"),
        (far, far, 0): _inline(b"c"),
    }
    parts = cut(ChunkRefs.of(3, refs), (1, 1, 1))
    assert sorted(list(values(part)) for part in parts) == [[c] for c in sorted(refs)]


manifests_2d = st.lists(
    st.tuples(*[st.tuples(st.integers(0, 8), st.integers(1, 4))] * 2).map(
        lambda box: tuple((start, start + length) for start, length in box)
    ),
    max_size=6,
)


@given(manifests_2d, edits(2), st.tuples(cell_sizes, cell_sizes), st.tuples(cell_sizes, cell_sizes))
def test_a_manifest_is_touched_where_it_reaches_into_a_cell_or_out_of_the_grid(
    boxes: list[Box], changes: Edits, sizes: Coords, visible: Coords
) -> None:
    manifests = [manifest(i, box) for i, box in enumerate(boxes)]
    cells = {cell(c, sizes) for c in changes}
    expected = [
        any(stop > count for (_, stop), count in zip(box, visible, strict=True))
        or any(cell((i, j), sizes) in cells for i in range(*box[0]) for j in range(*box[1]))
        for box in boxes
    ]
    found = touched(manifests, cells_of(ChunkRefs.of(2, changes).index, sizes), sizes, visible)
    assert found.tolist() == expected


def test_a_manifest_without_a_box_is_always_touched() -> None:
    cells = np.zeros((0, 2), np.uint32)
    assert touched([manifest(0, ())], cells, (5, 5), (9, 9)).tolist() == [True]


@given(
    ranks.flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(stored(n), max_size=3), edits(n), st.tuples(*[cell_sizes] * n)
        )
    )
)
def test_merging_lays_the_edits_over_what_is_visible(
    case: tuple[int, list[Model], Edits, Coords],
) -> None:
    ndim, parts, changes, visible = case
    parts = parts[:1] if ndim == 0 else parts
    seen: set[Coords] = set()
    pairs = []
    for number, part in enumerate(parts):
        part = {c: ref for c, ref in part.items() if c not in seen}
        seen |= set(part)
        if part:
            refs = ChunkRefs.of(ndim, part)
            pairs.append((manifest(number, bounding_box(refs)), refs, part))
    base = {c: r for _, _, part in pairs for c, r in part.items() if within(c, visible)}
    merged = merge([(m, refs) for m, refs, _ in pairs], ChunkRefs.of(ndim, changes), visible)
    assert values(merged) == {c: r for c, r in {**base, **changes}.items() if r is not None}


def test_references_outside_of_a_manifests_box_do_not_count() -> None:
    refs = ChunkRefs.of(1, {(0,): _inline(b"a"), (5,): _inline(b"b")})
    merged = merge([(manifest(0, ((0, 3),)), refs)], ChunkRefs.empty(1), (9,))
    assert list(values(merged)) == [(0,)]


def _inline(data: bytes) -> InlineRef:

    return InlineRef(data)


@given(
    manifests_2d.flatmap(
        lambda boxes: st.tuples(st.just(boxes), st.tuples(*[stored(2) for _ in boxes]))
    ),
    edits(2),
    st.tuples(cell_sizes, cell_sizes),
)
def test_many_edits_are_merged_cell_by_cell(
    held: tuple[list[Box], tuple[Model, ...]], changes: Edits, sizes: Coords
) -> None:
    pairs = [
        (manifest(i, box), ChunkRefs.of(2, refs))
        for i, (box, refs) in enumerate(zip(*held, strict=True))
    ]
    columns, visible = ChunkRefs.of(2, changes), (200, 200)
    few = list(merged(pairs, columns, sizes, visible))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_plan, "_MANY_EDITS", -1)
        many = list(merged(pairs, columns, sizes, visible)) if changes else few
    assert sorted(map(values, many), key=sorted) == sorted(map(values, few), key=sorted)
