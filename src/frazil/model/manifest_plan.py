"""Which manifests of an array a change touches, and how the new ones are cut.

An array's chunk grid is cut into cells: boxes of `sizes` chunks along each dimension, counted
from the origin. A manifest holds references of one cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import ManifestRef
from frazil.model.overlay import clip, inside, overlay

CELL_REFS = 65_536
"""Most references of a manifest where the user says nothing about splitting."""


def default_sizes(counts: Sequence[int]) -> tuple[int, ...]:
    """Cell sizes for a grid of `counts` chunks: whole rows of the last dimensions first.

    They do not depend on the length of the first dimension, along which arrays grow.
    """
    sizes: list[int] = []
    room = CELL_REFS
    for axis in reversed(range(len(counts))):
        size = room if axis == 0 else min(max(counts[axis], 1), room)
        sizes.append(size)
        room = max(room // size, 1)
    return tuple(reversed(sizes))


def cells_of(index: npt.NDArray[np.uint32], sizes: Sequence[int]) -> npt.NDArray[np.uint32]:
    """The distinct cells in which chunks lie: uint32[k, ndim]."""
    if not len(sizes) or not len(index):
        return np.zeros((min(len(index), 1), len(sizes)), np.uint32)
    return np.unique(index // np.asarray(sizes, np.uint32), axis=0)


def touched(
    manifests: Sequence[ManifestRef],
    cells: npt.NDArray[np.uint32],
    sizes: Sequence[int],
    visible: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """Which manifests have to be read: they reach into one of the cells, or beyond the grid."""
    result = np.zeros(len(manifests), np.bool_)
    for i, manifest in enumerate(manifests):
        if not manifest.extents:
            result[i] = True
            continue
        start, stop = np.array(manifest.extents, np.int64).T
        if (stop > np.asarray(visible)).any():
            result[i] = True
            continue
        first, last = start // np.asarray(sizes), (stop - 1) // np.asarray(sizes)
        result[i] = ((cells >= first) & (cells <= last)).all(axis=1).any()
    return result


def merge(
    stored: Sequence[tuple[ManifestRef, ChunkRefs]], edits: ChunkRefs, visible: Sequence[int]
) -> ChunkRefs:
    """The references of several manifests with the edits on top."""
    parts = []
    for manifest, refs in stored:
        mask = inside(refs.index, manifest.extents)
        parts.append(clip(refs if mask.all() else refs.take(mask), visible))
    if not parts:
        return overlay(ChunkRefs.empty(edits.ndim), edits)
    base = parts[0] if len(parts) == 1 else ChunkRefs.concat(parts).sorted()
    return overlay(base, edits)


def cut(refs: ChunkRefs, sizes: Sequence[int]) -> list[ChunkRefs]:
    """The references cell by cell; each part is sorted and none is empty."""
    if not len(refs):
        return []
    if not len(sizes) or (refs.bounds()[:, 1] <= np.asarray(sizes)).all():
        return [refs]
    cells = refs.index // np.asarray(sizes, np.uint32)
    grid = [int(n) for n in cells.max(axis=0) + 1]
    if math.prod(grid) < 2**62:
        number = np.ravel_multi_index(tuple(cells.T.astype(np.int64)), grid)
        inverse = np.unique(number, return_inverse=True)[1]
    else:
        inverse = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(inverse, kind="stable")
    edges = np.flatnonzero(np.diff(inverse[order])) + 1
    return [refs.take(rows) for rows in np.split(order, edges)]
