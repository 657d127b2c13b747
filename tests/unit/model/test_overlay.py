"""Overlaying, stacking and clipping columns, against dictionaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frazil.format.chunk_refs import ChunkRefs
from frazil.model.overlay import (
    bounding_box,
    clip,
    contains,
    inside,
    overlay,
    stack,
)
from tests.unit.model.references import (
    Coords,
    Edits,
    Model,
    components,
    coordinates,
    edits,
    stored,
    values,
    within,
)

ranks = st.integers(0, 3)
boxes = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda ends: (min(ends), max(ends) + 1)),
    min_size=2,
    max_size=2,
).map(tuple)


@given(ranks.flatmap(lambda n: st.tuples(st.just(n), stored(n), edits(n))))
def test_an_overlay_replaces_adds_and_erases(case: tuple[int, Model, Edits]) -> None:
    ndim, base, changes = case
    result = overlay(ChunkRefs.of(ndim, base), ChunkRefs.of(ndim, changes))
    assert values(result) == {c: ref for c, ref in {**base, **changes}.items() if ref is not None}


@given(ranks.flatmap(lambda n: st.tuples(st.just(n), st.lists(edits(n), max_size=5))))
def test_later_edits_win_in_a_stack_and_erasures_stay(case: tuple[int, list[Edits]]) -> None:
    ndim, runs = case
    expected: Edits = {}
    for run in runs:
        expected |= run
    assert values(stack([ChunkRefs.of(ndim, run) for run in runs], ndim)) == expected


@given(
    ranks.flatmap(lambda n: st.tuples(st.just(n), edits(n), st.tuples(*[components] * n))),
)
def test_clipping_keeps_what_is_in_the_grid(case: tuple[int, Edits, Coords]) -> None:
    ndim, refs, counts = case
    clipped = clip(ChunkRefs.of(ndim, refs), counts)
    assert values(clipped) == {c: ref for c, ref in refs.items() if within(c, counts)}


@given(stored(2).filter(bool))
def test_a_bounding_box_is_tight(refs: Model) -> None:
    columns = ChunkRefs.of(2, refs)
    box = bounding_box(columns)
    assert inside(columns.index, box).all()
    assert box == tuple(
        (min(c[axis] for c in refs), max(c[axis] for c in refs) + 1) for axis in range(2)
    )


def test_the_bounding_box_of_a_scalar_is_everything() -> None:
    columns = ChunkRefs.of(0, {(): None})
    assert bounding_box(columns) == ()
    assert inside(columns.index, ()).all()


@given(boxes, coordinates(2))
def test_contains_agrees_with_inside(box, coords: Coords) -> None:  # type: ignore[no-untyped-def]
    columns = ChunkRefs.of(2, {coords: None})
    assert contains(box, coords) == inside(columns.index, box)[0]
    assert contains((), coords)
