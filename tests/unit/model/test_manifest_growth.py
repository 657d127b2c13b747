"""Which manifests a commit rewrites, against brute force on boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.chunk_refs import ABSENT, ChunkRefs, InlineRef, Ref
from frazil.format.snapshot import ManifestRef
from frazil.ids import ManifestId
from frazil.model import manifest_growth
from frazil.model.manifest_growth import boxes_of_cells, hull, meet, reached, rewritten, volume
from frazil.model.overlay import Box

Coords = tuple[int, ...]


def manifest(number: int, extents: Box) -> ManifestRef:
    return ManifestRef(ManifestId(number.to_bytes(12, "big")), extents)


def edits_of(chunks: dict[Coords, bytes | None], ndim: int = 1) -> ChunkRefs:
    refs: dict[Coords, Ref | None] = {
        c: None if v is None else InlineRef(v) for c, v in chunks.items()
    }
    return ChunkRefs.of(ndim, refs)


def cells_in(box: Box) -> set[Coords]:
    return {
        tuple(int(c) + low for c, (low, _) in zip(offset, box, strict=True))
        for offset in np.ndindex(*[high - low for low, high in box])
    }


boxes = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), min_size=2, max_size=2).map(
    lambda sides: tuple((low, low + size) for low, size in sides)
)


@given(boxes, boxes)
def test_boxes(a: Box, b: Box) -> None:
    assert meet(a, b) == bool(cells_in(a) & cells_in(b))
    assert meet((), a)
    assert cells_in(a) | cells_in(b) <= cells_in(hull(a, b))
    assert volume(a) == len(cells_in(a))


grids = st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12)


@st.composite
def disjoint(draw: st.DrawFn) -> list[Box]:
    found: list[Box] = []
    for box in draw(st.lists(boxes, max_size=8)):
        if not any(meet(box, other) for other in found):
            found.append(box)
    return found


@given(disjoint(), grids, st.data(), st.integers(1, 6), st.integers(1, 6))
def test_what_is_left_meets_no_new_manifest(
    held: list[Box], coords: set[Coords], data: st.DataObject, height: int, width: int
) -> None:
    changes = {c: data.draw(st.sampled_from([b"x", None])) for c in sorted(coords)}
    edits, sizes, visible = edits_of(changes, 2), (height, width), (13, 13)
    manifests = [manifest(i, box) for i, box in enumerate(held)]
    must = reached(manifests, edits, visible)
    assert must.tolist() == [
        bool(cells_in(box) & coords) or any(high > 13 for _, high in box) for box in held
    ]
    chosen = rewritten(manifests, edits, sizes, visible, lambda m: volume(m.extents))
    assert not (must & ~chosen).any()
    there = {c for c, value in changes.items() if value is not None}
    for i in np.flatnonzero(chosen):
        there |= cells_in(held[i])
    parts: dict[Coords, list[Coords]] = {}
    for c in there:
        parts.setdefault((c[0] // height, c[1] // width), []).append(c)
    for part in parts.values():
        around = tuple((min(side), max(side) + 1) for side in zip(*part, strict=True))
        assert not any(
            meet(around, box) for box, gone in zip(held, chosen, strict=True) if not gone
        )


@given(grids, st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_boxes_of_cells(coords: set[Coords], sizes: tuple[int, int]) -> None:
    index = np.array(sorted(coords), np.uint32).reshape(-1, 2)
    found = boxes_of_cells(index, sizes)
    assert sum(count for _, _, count in found) == len(coords)
    expected: dict[Coords, list[Coords]] = {}
    for c in coords:
        expected.setdefault((c[0] // sizes[0], c[1] // sizes[1]), []).append(c)
    assert {cell: (box, count) for cell, box, count in found} == {
        cell: (tuple((min(s), max(s) + 1) for s in zip(*own, strict=True)), len(own))
        for cell, own in expected.items()
    }


def append(held: list[Box], at: int, size: int = 1) -> list[Box]:
    """The boxes after chunks from `at` on are added."""
    manifests = [manifest(i, box) for i, box in enumerate(held)]
    edits = edits_of({(i,): b"x" for i in range(at, at + size)})
    chosen = rewritten(manifests, edits, (65_536,), (2**31,), lambda m: volume(m.extents))
    new: Box = ((at, at + size),)
    for box, gone in zip(held, chosen, strict=True):
        if gone:
            new = hull(new, box)
    return [*(b for b, gone in zip(held, chosen, strict=True) if not gone), new]


def test_appends_carry_as_a_binary_counter() -> None:
    held: list[Box] = []
    written = 0
    for i in range(1000):
        held = append(held, i)
        written += volume(held[-1])
        assert len(held) <= math.log2(i + 1) + 1
    assert [volume(box) for box in held] == [512, 256, 128, 64, 32, 8]
    assert written <= 1000 * 11


def test_a_large_neighbour_is_left_alone() -> None:
    assert append([((0, 100),)], 100) == [((0, 100),), ((100, 101),)]
    assert append([((0, 100),)], 100, 100) == [((0, 200),)]


def test_a_gap_does_not_keep_neighbours_apart() -> None:
    assert append([((0, 1),)], 1000) == [((0, 1001),)]


def test_scattered_chunks_are_written_as_one_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_growth, "MAX_IN_CELL", 4)
    held: list[Box] = [((10 * i, 10 * i + 2 ** (5 - i)),) for i in range(3)]
    assert len(append(held, 200)) == 4
    held = [((0, 9),), ((20, 26),), ((40, 44),), ((60, 63),)]
    assert append(held, 200) == [((0, 201),)]


def test_an_erased_chunk_that_is_nowhere_rewrites_nothing() -> None:
    held = [manifest(0, ((0, 3),)), manifest(1, ((4, 6),))]
    erased = edits_of({(3,): None})
    assert (erased.kind == ABSENT).all()
    assert not rewritten(held, erased, (10,), (10,), lambda m: 3).any()
    erased = edits_of({(5,): None})
    assert rewritten(held, erased, (10,), (10,), lambda m: 3).tolist() == [False, True]


def test_scalars_and_manifests_without_extents_are_always_rewritten() -> None:
    scalar = edits_of({(): b"x"}, 0)
    assert rewritten([manifest(0, ())], scalar, (), (), lambda m: 1).tolist() == [True]
    everything = [manifest(0, ()), manifest(1, ((7, 8),))]
    chosen = rewritten(everything, edits_of({(0,): b"x"}), (10,), (10,), lambda m: 1)
    assert chosen.tolist() == [True, True]


def test_one_manifest_of_many_cells_is_cut() -> None:
    held = [manifest(0, ((0, 100),)), manifest(1, ((100, 105),))]
    chosen = rewritten(held, edits_of({(50,): b"x"}), (10,), (200,), lambda m: 100)
    assert chosen.tolist() == [True, False]
