"""Which manifests of an array a commit rewrites where the user says nothing about splitting.

Where the changed chunks lie in no manifest's box, as those of an append do, they get a new
manifest. So there may be several in a cell, of boxes that do not meet. They are joined as the
numbers of a binary counter carry: a new one with its neighbours that are not larger. An array
that is appended to n times then has about log2(n) of them in a cell, and each reference is
written about log2(n) times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import ManifestRef
from frazil.model.overlay import Box, inside, present

MAX_IN_CELL = 32
"""A cell with more manifests than this is written as one, whatever their sizes."""

_BLOCK = 4096

Cell = tuple[int, ...]


def reached(
    manifests: Sequence[ManifestRef], edits: ChunkRefs, visible: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Which manifests may hold an edited chunk, or reach out of the grid `visible`."""
    result = np.zeros(len(manifests), np.bool_)
    if not manifests:
        return result
    index = edits.index
    around = edits.box() if len(edits) else None
    rows: npt.NDArray[np.uint32] | None = None
    for i, manifest in enumerate(manifests):
        box = manifest.extents
        if not box or any(stop > count for (_, stop), count in zip(box, visible, strict=True)):
            result[i] = True
        elif around is not None and meet(box, around):
            if rows is None:
                rows = np.ascontiguousarray(index[:, 0])
            first, last = np.searchsorted(rows, box[0]).tolist()
            result[i] = any(
                inside(index[at : min(at + _BLOCK, last)], box).any()
                for at in range(first, last, _BLOCK)
            )
    return result


def meet(a: Box, b: Box) -> bool:
    """Whether two boxes have a chunk in common; () covers everything."""
    return all(
        low < b_high and b_low < high for (low, high), (b_low, b_high) in zip(a, b, strict=False)
    )


def hull(a: Box, b: Box) -> Box:
    """The smallest box around two boxes."""
    return tuple(
        (min(low, b_low), max(high, b_high))
        for (low, high), (b_low, b_high) in zip(a, b, strict=True)
    )


def volume(box: Box) -> int:
    """The number of chunks in a box."""
    return math.prod(high - low for low, high in box)


@dataclass(slots=True)
class _Group:
    """What becomes one new manifest: its box and, at most, its references."""

    box: Box
    count: int

    def take(self, box: Box, count: int) -> None:
        self.box = hull(self.box, box)
        self.count += count


def rewritten(
    manifests: Sequence[ManifestRef],
    edits: ChunkRefs,
    sizes: Sequence[int],
    visible: Sequence[int],
    num_refs: Callable[[ManifestRef], int],
) -> npt.NDArray[np.bool_]:
    """Which manifests to put into new ones together with the edits.

    num_refs: at most how many references a manifest has. What is left meets the box of no new
    manifest.
    """
    chosen = reached(manifests, edits, visible)
    if not manifests or chosen.all():
        return chosen
    plan = _Plan(manifests, sizes, chosen, num_refs)
    there = present(edits)
    box = there.box()
    only = _cell_of(box, sizes) if len(there) else None
    if only is not None:
        plan.put(only, box, len(there))
    else:
        for cell, box, count in boxes_of_cells(there.index, sizes):
            plan.put(cell, box, count)
    for i in np.flatnonzero(chosen).tolist():
        plan.add(i)
    plan.close()
    for cell in plan.groups:
        plan.carry(cell)
    return chosen


class _Plan:
    def __init__(
        self,
        manifests: Sequence[ManifestRef],
        sizes: Sequence[int],
        chosen: npt.NDArray[np.bool_],
        num_refs: Callable[[ManifestRef], int],
    ) -> None:
        self._sizes = sizes
        self._boxes = [manifest.extents for manifest in manifests]
        self._num_refs = [num_refs(manifest) for manifest in manifests]
        self._chosen = chosen
        self._cells = [_cell_of(box, sizes) for box in self._boxes]
        self._in_cell: dict[Cell, list[int]] = {}
        self._wide: list[int] = []
        for i, cell in enumerate(self._cells):
            if cell is None:
                self._wide.append(i)
            else:
                self._in_cell.setdefault(cell, []).append(i)
        self.groups: dict[Cell, _Group] = {}
        self._loose: list[Box] = []
        """Boxes of several cells that are cut anew."""

    def put(self, cell: Cell, box: Box, count: int) -> None:
        """Count this box of chunks to the new manifest of a cell."""
        group = self.groups.get(cell)
        if group is None:
            self.groups[cell] = _Group(box, count)
            for loose in self._loose:
                self._share(loose, cell)
        else:
            group.take(box, count)

    def _share(self, box: Box, cell: Cell) -> None:
        """Count what a box of several cells has in this one to its new manifest."""
        own = tuple(
            (max(low, i * size), min(high, (i + 1) * size))
            for (low, high), i, size in zip(box, cell, self._sizes, strict=False)
        )
        if len(own) == len(cell) and all(low < high for low, high in own):
            self.groups[cell].take(own, volume(own))

    def add(self, i: int) -> None:
        """Count a manifest to the new one of its cell."""
        self._chosen[i] = True
        cell = self._cells[i]
        if cell is None:
            self._loose.append(self._boxes[i])
            for known in self.groups:
                self._share(self._boxes[i], known)
        else:
            self.put(cell, self._boxes[i], self._count(i))

    def _count(self, i: int) -> int:
        return min(volume(self._boxes[i]), self._num_refs[i])

    def close(self) -> None:
        """Add whatever meets the box of a new manifest."""
        again = True
        while again:
            again = False
            for cell in list(self.groups):
                for i in self._left(cell):
                    if meet(self._boxes[i], self.groups[cell].box):
                        self.add(i)
                        again = True
            for i in self._wide:
                if not self._chosen[i] and any(
                    meet(self._boxes[i], group.box) for group in self.groups.values()
                ):
                    self.add(i)
                    again = True
            for box in self._loose:
                for i in np.flatnonzero(~self._chosen).tolist():
                    if meet(self._boxes[i], box):
                        self.add(i)
                        again = True

    def _left(self, cell: Cell) -> list[int]:
        return [i for i in self._in_cell.get(cell, ()) if not self._chosen[i]]

    def carry(self, cell: Cell) -> None:
        """Add neighbours in the cell that together are not larger than the new manifest."""
        group = self.groups[cell]
        left = self._left(cell)
        if len(left) >= MAX_IN_CELL:
            for i in left:
                self.add(i)
            return
        while left:
            near = sorted(left, key=lambda i: _distance(self._boxes[i], group.box))[:2]
            added = next(
                (
                    more
                    for more in (self._around(hull(group.box, self._boxes[i]), left) for i in near)
                    if more and sum(map(self._count, more)) <= group.count
                ),
                (),
            )
            if not added:
                return
            for i in added:
                self.add(i)
            left = self._left(cell)

    def _around(self, box: Box, left: Iterable[int]) -> tuple[int, ...]:
        """All manifests that have to be added if the box is to be one; () if that cannot be."""
        found: list[int] = []
        rest = list(left)
        while True:
            met = [i for i in rest if meet(self._boxes[i], box)]
            if not met:
                break
            found += met
            rest = [i for i in rest if i not in met]
            for i in met:
                box = hull(box, self._boxes[i])
        if any(not self._chosen[i] and meet(self._boxes[i], box) for i in self._wide):
            return ()
        return tuple(found)


def _distance(a: Box, b: Box) -> int:
    """How far apart two boxes are, along all axes."""
    return sum(
        max(b_low - high, low - b_high, 0)
        for (low, high), (b_low, b_high) in zip(a, b, strict=True)
    )


def _cell_of(box: Box, sizes: Sequence[int]) -> Cell | None:
    """The cell that a box lies in; None if in several."""
    if len(box) != len(sizes):
        return None
    first = tuple(low // size for (low, _), size in zip(box, sizes, strict=True))
    last = tuple((high - 1) // size for (_, high), size in zip(box, sizes, strict=True))
    return first if first == last else None


def boxes_of_cells(
    index: npt.NDArray[np.uint32], sizes: Sequence[int]
) -> list[tuple[Cell, Box, int]]:
    """For each cell with chunks: the box around them, and their number."""
    if not len(index):
        return []
    if not len(sizes):
        return [((), (), len(index))]
    cells = index // np.asarray(sizes, np.uint32)
    if (cells == cells[0]).all():
        order, starts = None, np.zeros(1, np.intp)
    else:
        order = np.lexsort(cells.T[::-1])
        cells = cells[order]
        starts = np.flatnonzero(np.append(True, (cells[1:] != cells[:-1]).any(axis=1)))
    rows = index if order is None else index[order]
    low = np.minimum.reduceat(rows, starts, axis=0).tolist()
    high = (np.maximum.reduceat(rows, starts, axis=0).astype(np.int64) + 1).tolist()
    counts = np.diff(np.append(starts, len(rows))).tolist()
    return [
        (tuple(cell), tuple(zip(first, last, strict=True)), count)
        for cell, first, last, count in zip(cells[starts].tolist(), low, high, counts, strict=True)
    ]
