"""Proposals for what a lost manifest held."""

from __future__ import annotations

import numpy as np

from frazil.format.chunk_refs import ChunkRefs, NativeRef
from frazil.ids import ChunkId
from frazil.model.rebuilding import View, completions, draft, exclusions, nothing, open_in


def refs(**places: int) -> ChunkRefs:
    """`_3=7`: chunk 3 is at byte 7."""
    rows = {(int(name[1:]),): NativeRef(ChunkId(bytes(12)), at, 1) for name, at in places.items()}
    return ChunkRefs.of(1, dict(rows))


def index(*chunks: int) -> np.ndarray:
    return np.array(chunks, np.uint32)[:, None]


def told(found: ChunkRefs) -> dict[int, int]:
    return dict(zip(found.index[:, 0].tolist(), found.offset.tolist(), strict=True))


def test_neighbours_tell_of_what_did_not_change() -> None:
    before = View(refs(_0=1, _1=1, _2=1), index(1, 5))
    after = View(refs(_0=9, _1=2, _2=9, _5=2, _6=9), index(5, 6))
    made = draft(before, after, *_box())
    assert told(made.known) == {0: 1, 1: 2, 2: 1}
    assert made.open is not None
    assert made.open[:, 0].tolist() == [5]
    made = draft(after, before, *_box())
    assert told(made.known) == {0: 9, 1: 2, 2: 9}
    assert made.open is not None
    assert made.open[:, 0].tolist() == [5]


def test_without_neighbours_all_is_open() -> None:
    alone = draft(nothing(1), nothing(1), *_box())
    assert (len(alone.known), alone.open) == (0, None)
    assert open_in(index(3, 12), alone, *_box()).tolist() == [True, False]
    one = draft(nothing(1), View(refs(_3=1), index(4)), *_box())
    assert told(one.known) == {3: 1}
    assert open_in(index(3, 4), one, *_box()).tolist() == [False, True]


def test_what_is_outside_does_not_belong_to_it() -> None:
    made = draft(View(refs(_1=1, _9=1), index(0, 8)), nothing(1), [((0, 5),)], [4])
    assert told(made.known) == {1: 1}
    assert made.open is not None
    assert made.open[:, 0].tolist() == [0]


def test_candidates_of_the_first_objects_win() -> None:
    candidates = ChunkRefs.concat([refs(_1=10), refs(_1=20), refs(_1=30, _2=40)])
    rank = np.array([0, 1, 1, 1])
    none = np.empty(0, np.int64)
    known = refs(_0=1)
    assert told(completions(known, candidates, rank, none, first=False)) == {0: 1, 1: 10, 2: 40}
    without = np.array([0])
    assert told(completions(known, candidates, rank, without, first=False))[1] == 30
    assert told(completions(known, candidates, rank, without, first=True))[1] == 20
    assert told(completions(known, candidates, rank, np.array([0, 1]), first=True)) == {0: 1}


def test_small_exclusions_come_first() -> None:
    assert list(exclusions(2, 100)) == [(), (0,), (1,), (0, 1)]
    assert list(exclusions(0, 100)) == [()]
    assert len(list(exclusions(50, 60))) == 60


def _box() -> tuple[list[tuple[tuple[int, int], ...]], list[int]]:
    return [((0, 10),)], [10]
