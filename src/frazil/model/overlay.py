"""Changes laid over stored references: all operations on whole columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ABSENT, ChunkRefs

Box = tuple[tuple[int, int], ...]
"""(from, to exclusive) for each dimension, in chunk coordinates; () covers everything."""


def overlay(base: ChunkRefs, edits: ChunkRefs) -> ChunkRefs:
    """`base` with `edits` on top: they replace, add, and where they are ABSENT erase.

    Both are sorted by index; so is the result, which has no ABSENT row.
    """
    return present(stack([base, edits], edits.ndim))


def present(edits: ChunkRefs) -> ChunkRefs:
    """The edits without the ABSENT rows."""
    there = edits.kind != ABSENT
    return edits if there.all() else edits.take(there)


def stack(runs: Sequence[ChunkRefs], ndim: int) -> ChunkRefs:
    """Several sets of edits as one, later ones winning; ABSENT rows stay.

    Any number of runs is laid together at once: with thousands of them, one after the other
    would copy the first ones thousands of times.
    """
    runs = [run for run in runs if len(run)]
    if not runs:
        return ChunkRefs.empty(ndim)
    if len(runs) == 1:
        return runs[0]
    return ChunkRefs.concat(runs).last_of_each()


def inside(index: npt.NDArray[np.uint32], box: Box) -> npt.NDArray[np.bool_]:
    """Which rows of `index` (uint32[n, ndim]) lie in the box."""
    mask = np.ones(len(index), np.bool_)
    for axis, (start, stop) in enumerate(box):
        mask &= (index[:, axis] >= start) & (index[:, axis] < stop)
    return mask


def within(refs: ChunkRefs, box: Box) -> ChunkRefs:
    """Only the references in the box; quick for sorted references that all are."""
    bounds = zip(box, refs.box(), strict=False)
    if all(start <= first and last <= stop for (start, stop), (first, last) in bounds):
        return refs
    return refs.take(inside(refs.index, box))


def clip(refs: ChunkRefs, counts: Sequence[int]) -> ChunkRefs:
    """Only the references inside a grid of `counts` chunks along each dimension."""
    mask = inside(refs.index, tuple((0, count) for count in counts))
    return refs if mask.all() else refs.take(mask)


def erase_outside(edits: ChunkRefs, counts: Sequence[int]) -> ChunkRefs:
    """The edits, those outside a grid of `counts` chunks along each dimension as erasures."""
    mask = inside(edits.index, tuple((0, count) for count in counts))
    if mask.all():
        return edits
    return ChunkRefs.concat([edits.take(mask), ChunkRefs.absent(edits.index[~mask])]).sorted()


def bounding_box(refs: ChunkRefs) -> Box:
    """The tight box around the references; () for rank 0."""
    return refs.box()


def contains(box: Box, coords: Sequence[int]) -> bool:
    """Whether the chunk lies in the box."""
    return all(start <= c < stop for (start, stop), c in zip(box, coords, strict=False))
