"""Which manifests of an array a change touches, and how the new ones are cut.

An array's chunk grid is cut into cells: boxes of `sizes` chunks along each dimension, counted
from the origin. A manifest holds references of one cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import gt, lt

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import ManifestRef
from frazil.model.overlay import overlay, present, within

CELL_REFS = 65_536
"""Most references of a manifest where the user says nothing about splitting."""

_MANY_EDITS = 262_144


@dataclass(frozen=True, slots=True)
class Layout:
    """How manifests of an array are cut: every `sizes` chunks.

    exact: because the user says so: each cell has one manifest, for itself.
    """

    sizes: tuple[int, ...]
    exact: bool


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
    cells = index // np.asarray(sizes, np.uint32)
    if (cells == cells[0]).all():
        return cells[:1]
    return np.unique(cells, axis=0)


def touched(
    manifests: Sequence[ManifestRef],
    cells: npt.NDArray[np.uint32],
    sizes: Sequence[int],
    visible: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """Which manifests have to be read: they reach into one of the cells, or beyond the grid."""
    result = np.zeros(len(manifests), np.bool_)
    if not len(cells):
        lowest = highest = None
    else:
        lowest, highest = cells.min(axis=0).tolist(), cells.max(axis=0).tolist()
    for i, manifest in enumerate(manifests):
        box = manifest.extents
        if not box or any(stop > count for (_, stop), count in zip(box, visible, strict=True)):
            result[i] = True
        elif lowest is not None and highest is not None:
            first = [start // size for (start, _), size in zip(box, sizes, strict=True)]
            last = [(stop - 1) // size for (_, stop), size in zip(box, sizes, strict=True)]
            if any(map(gt, first, highest)) or any(map(lt, last, lowest)):
                continue
            result[i] = len(cells) == 1 or bool(
                ((cells >= first) & (cells <= last)).all(axis=1).any()
            )
    return result


def merge(
    stored: Sequence[tuple[ManifestRef, ChunkRefs]], edits: ChunkRefs, visible: Sequence[int]
) -> ChunkRefs:
    """The references of several manifests with the edits on top."""
    grid = tuple((0, count) for count in visible)
    parts = [within(within(refs, manifest.extents), grid) for manifest, refs in stored]
    if not parts:
        return present(edits)
    base = parts[0] if len(parts) == 1 else ChunkRefs.concat(parts).sorted()
    return overlay(base, edits)


def merged(
    stored: Sequence[tuple[ManifestRef, ChunkRefs]],
    edits: ChunkRefs,
    sizes: Sequence[int],
    visible: Sequence[int],
) -> Iterator[ChunkRefs]:
    """As `cut(merge(...))`; of many edits, only one cell at a time is in memory twice."""
    if len(edits) <= _MANY_EDITS:
        yield from cut(merge(stored, edits, visible), sizes)
        return
    held: dict[tuple[int, ...], list[tuple[ManifestRef, ChunkRefs]]] = {}
    for manifest, refs in stored:
        for part in cut(refs, sizes):
            held.setdefault(_cell(part, sizes), []).append((manifest, part))
    for rows in _rows_of_cells(edits.index, sizes):
        own = edits.take(rows)
        part = merge(held.pop(_cell(own, sizes), ()), own, visible)
        if len(part):
            yield part
    for left in held.values():
        part = merge(left, ChunkRefs.empty(edits.ndim), visible)
        if len(part):
            yield part


def _cell(refs: ChunkRefs, sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(i) // size for i, size in zip(refs.index[0], sizes, strict=True))


def cut(refs: ChunkRefs, sizes: Sequence[int]) -> list[ChunkRefs]:
    """The references cell by cell; each part is sorted and none is empty."""
    if not len(refs):
        return []
    if all(stop <= size for (_, stop), size in zip(refs.box(), sizes, strict=True)):
        return [refs]
    return [refs.take(rows) for rows in _rows_of_cells(refs.index, sizes)]


def _rows_of_cells(
    index: npt.NDArray[np.uint32], sizes: Sequence[int]
) -> list[npt.NDArray[np.intp] | slice]:
    """The rows of the chunks in each cell."""
    cells = index // np.asarray(sizes, np.uint32)
    grid = [int(n) for n in cells.max(axis=0) + 1]
    if math.prod(grid) < 2**62:
        number = np.ravel_multi_index(tuple(cells.T.astype(np.int64)), grid)
        if bool((number[1:] >= number[:-1]).all()):
            # Cells of whole rows: each is a run of the sorted references.
            edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(index)]
            return [slice(a, b) for a, b in pairwise(edges)]
        inverse = np.unique(number, return_inverse=True)[1]
    else:
        inverse = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(inverse, kind="stable")
    cuts = np.flatnonzero(np.diff(inverse[order])) + 1
    return [*np.split(order, cuts)]
