"""What a lost manifest held, as far as neighbours, logs and footers tell: proposals, to be proven.

A snapshot before or after shows the references of an array. Where no transaction log in between
names a chunk, its reference is the same. For the others there are candidates: chunks of the array
with these coordinates that lie in objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.model.overlay import Box, inside

Index = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """What a neighbour shows of an array: references, but of the chunks `changed` nothing.

    changed: uint32[n, ndim], sorted and unique; None: all of them.
    """

    refs: ChunkRefs
    changed: Index | None


@dataclass(frozen=True, slots=True)
class Draft:
    """References of an array that are told by neighbours, and the chunks that none tells of.

    open: as `View.changed`.
    """

    known: ChunkRefs
    open: Index | None


def nothing(ndim: int) -> View:
    """What is seen where there is no neighbour."""
    return View(ChunkRefs.empty(ndim), None)


def draft(first: View, second: View, boxes: Sequence[Box], grid: Sequence[int]) -> Draft:
    """What two neighbours tell of the chunks in these boxes of a grid, the first one preferred."""
    ndim = len(grid)
    known = _unchanged(first)
    if first.changed is None:
        known, left = _unchanged(second), second.changed
    else:
        rest = _unchanged(second)
        rest = rest.take(_among(rest.index, first.changed))
        known = ChunkRefs.concat([known, rest]).sorted()
        left = first.changed
        if second.changed is not None:
            left = left[_among(left, second.changed)]
    known = known.take(_in_boxes(known.index, boxes, grid))
    if left is not None:
        left = left[_in_boxes(left, boxes, grid)]
    if known.ndim != ndim:
        known = ChunkRefs.empty(ndim)
    return Draft(known, left)


def _unchanged(view: View) -> ChunkRefs:
    if view.changed is None:
        return view.refs.take(slice(0, 0))
    return view.refs.take(~_among(view.refs.index, view.changed))


def _among(index: Index, others: Index) -> npt.NDArray[np.bool_]:
    """Which rows of `index` are among the others, which are sorted and unique."""
    if not len(others) or index.shape[1] != others.shape[1]:
        return np.zeros(len(index), np.bool_)
    return np.asarray(ChunkRefs.absent(others).find_many(index) >= 0)


def _in_boxes(index: Index, boxes: Sequence[Box], grid: Sequence[int]) -> npt.NDArray[np.bool_]:
    if index.shape[1] != len(grid):
        return np.zeros(len(index), np.bool_)
    mask = np.zeros(len(index), np.bool_)
    for box in boxes:
        mask |= inside(index, box)
    return mask & inside(index, tuple((0, count) for count in grid))


def open_in(
    index: Index, of: Draft, boxes: Sequence[Box], grid: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Which of these chunks a draft leaves open."""
    mask = _in_boxes(index, boxes, grid)
    return mask if of.open is None else mask & _among(index, of.open)


def completions(
    known: ChunkRefs, candidates: ChunkRefs, rank_of: Numbers, out: Numbers, *, first: bool
) -> ChunkRefs:
    """The references of a draft with, of each open chunk, the candidate of the lowest rank.

    candidates: any order, repeated; rank_of: int64[n], which of the objects each is in; those in
    the objects `out` are left out. first: of several in one object the first, not the last: who
    writes a chunk again appends it, and a repack begins with the newest version.
    """
    stay = ~np.isin(rank_of, out)
    offset = candidates.offset[stay]
    place = ~offset if first else offset
    order = np.lexsort((place, -rank_of[stay]))
    chosen = candidates.take(np.flatnonzero(stay)[order])
    return ChunkRefs.concat([known, chosen]).last_of_each()


def exclusions(objects: int, tries: int) -> Iterator[tuple[int, ...]]:
    """Sets of objects to leave out, small ones first, at most so many."""
    every = (chosen for size in range(objects + 1) for chosen in combinations(range(objects), size))
    return islice(every, tries)
