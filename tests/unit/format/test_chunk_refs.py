from __future__ import annotations

import pickle

import numpy as np
import pytest

from frazil.errors import InvalidInputError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.ids import ChunkId

NATIVE = NativeRef(ChunkId(bytes(range(12))), 5, 7)
REFS: dict[tuple[int, ...], Ref | None] = {
    (2, 0): NATIVE,
    (0, 1): InlineRef(b"abc"),
    (0, 300): VirtualRef("s3://b/ü", 1, 2, "tag", None),
    (0, 0): None,
    (10, 70000): VirtualRef("s3://b/x", 3, 4, None, 1_700_000_000),
    (1, 5): InlineRef(b""),
}
SORTED = sorted(REFS)
# Boxes whose cells an int64 can number, whose cells it cannot, and one without holes.
LAST = 2**32 - 2
BOXES = {
    "sparse": [(0, 0), (0, 7), (3, 1), (9, 9)],
    "dense": [(4, 7), (4, 8), (5, 7), (5, 8)],
    "huge": [(0, 0, 0), (0, 0, 256), (7, LAST, 0), (LAST, 0, LAST)],
    "zeros": [(0, 0, 0), (256, 0, 0), (LAST, LAST, 0), (LAST, LAST, LAST)],
    "scalar": [()],
    "line": [(5,), (6,), (8,)],
}


def test_rows_are_sorted_by_number_and_come_back_as_values() -> None:
    refs = ChunkRefs.of(2, REFS)
    assert [tuple(row) for row in refs.index.tolist()] == SORTED
    assert [refs.row(i) for i in range(len(refs))] == [REFS[c] for c in SORTED]
    assert refs.ndim == 2


def test_columns_of_each_kind() -> None:
    refs = ChunkRefs.of(2, REFS)
    assert refs.kind.tolist() == [0, 3, 2, 3, 1, 2]
    assert refs.length.tolist() == [0, 3, 2, 0, 7, 4]
    assert refs.offset.tolist() == [0, 0, 1, 0, 5, 3]
    assert not refs.object[refs.kind != 1].any()
    plain = ChunkRefs.of(1, {(3,): NATIVE})
    assert (plain.payload, plain.etag, plain.modified) == (None, None, None)


@pytest.mark.parametrize("box", BOXES)
def test_find_in_all_forms_of_keys(box: str) -> None:
    coords = BOXES[box]
    refs = ChunkRefs.of(len(coords[0]), dict.fromkeys(coords, NATIVE))
    assert [refs.find(c) for c in coords] == list(range(len(coords)))
    assert refs.find_many(refs.index[::-1]).tolist() == list(range(len(coords)))[::-1]
    others = [tuple((x + step) % 2**32 for x in c) for c in coords for step in (1, 11, 256)]
    others = [c for c in others if c not in coords]
    assert all(refs.find(c) == -1 for c in others)
    index = np.array(others, np.uint32).reshape(len(others), refs.ndim)
    assert refs.find_many(index).tolist() == [-1] * len(others)


def test_find_of_what_is_no_coordinate() -> None:
    sparse, huge = (
        ChunkRefs.of(len(BOXES[b][0]), dict.fromkeys(BOXES[b])) for b in ("sparse", "huge")
    )
    assert sparse.find((-1, 0)) == -1
    assert huge.find((-1, 0, 0)) == -1
    assert huge.find((0, 0, 2**32)) == -1


def test_find_takes_the_integers_of_numpy() -> None:
    # Keys of this box are beyond 32 bits, in which uint32 coordinates would wrap around.
    coords = [(0, 0), (60_000, 80_000), (70_000, 90_000)]
    refs = ChunkRefs.of(2, dict.fromkeys(coords, NATIVE))
    assert [refs.find(row) for row in refs.index] == [0, 1, 2]


def test_nothing_is_found_in_nothing() -> None:
    empty = ChunkRefs.empty(3)
    assert len(empty) == 0
    assert empty.ndim == 3
    assert empty.find((0, 0, 0)) == -1
    assert empty.find_many(np.zeros((2, 3), np.uint32)).tolist() == [-1, -1]
    assert empty.bounds().tolist() == [[0, 0]] * 3
    assert ChunkRefs.empty(0).find(()) == -1


@pytest.mark.parametrize("box", BOXES)
def test_sorting(box: str) -> None:
    coords = BOXES[box]
    refs = ChunkRefs.of(len(coords[0]), dict.fromkeys(coords, NATIVE))
    assert refs.is_sorted()
    assert refs.sorted() is refs
    if len(coords) > 1:
        shuffled = refs.take(np.array([2, 0, 1, *range(3, len(coords))]))
        assert not shuffled.is_sorted()
        assert shuffled.sorted().equals(refs)
        assert not ChunkRefs.concat([refs, refs]).sorted().is_sorted()


def test_take_and_concat_are_inverse() -> None:
    refs = ChunkRefs.of(2, REFS)
    assert ChunkRefs.concat([refs.take(slice(0, 2)), refs.take(slice(2, None))]).equals(refs)
    assert ChunkRefs.concat([refs]) is refs


def test_concat_fills_the_columns_that_a_part_lacks() -> None:
    native = ChunkRefs.of(2, {(0, 0): NATIVE})
    other = ChunkRefs.of(2, {c: r for c, r in REFS.items() if c != (0, 0)})
    joined = ChunkRefs.concat([native, other])
    assert [joined.row(i) for i in range(6)] == [NATIVE, *(REFS[c] for c in SORTED[1:])]
    assert joined.etag is not None
    assert joined.etag[0] is None


def test_bounds_are_tight() -> None:
    refs = ChunkRefs.of(2, REFS)
    assert refs.bounds().tolist() == [[0, 11], [0, 70001]]
    assert refs.take(np.array([3, 4])).bounds().tolist() == [[1, 3], [0, 6]]


def test_bounds_of_a_coordinate_that_no_grid_has() -> None:
    refs = ChunkRefs.of(1, {(2**32 - 1,): NATIVE})
    with pytest.raises(InvalidInputError, match="4294967295"):
        refs.bounds()


def test_equality() -> None:
    refs = ChunkRefs.of(2, REFS)
    assert refs.equals(ChunkRefs.of(2, dict(reversed(REFS.items()))))
    for coords, ref in [
        ((0, 1), InlineRef(b"abd")),
        ((2, 0), NativeRef(NATIVE.object, 5, 8)),
        ((0, 300), VirtualRef("s3://b/ü", 1, 2, "other", None)),
        ((0, 300), VirtualRef("s3://b/ü", 1, 2, "tag", 5)),
        ((0, 301), NATIVE),
    ]:
        assert not refs.equals(ChunkRefs.of(2, REFS | {coords: ref}))


def test_pickle_keeps_rows_and_drops_keys() -> None:
    refs = ChunkRefs.of(2, REFS)
    before = len(pickle.dumps(refs))
    refs.find((0, 0))
    again = pickle.loads(pickle.dumps(refs))
    assert again.equals(refs)
    assert again.find((2, 0)) == refs.find((2, 0))
    assert len(pickle.dumps(refs)) == before
