"""Which chunks of an array exist, of what kind, and which commit wrote them, as a picture.

The picture has the slice of the grid of chunks in which the elements of a view are. Reads the
manifests that have references in there, no chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from frazil.engine.history import log_if_any
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Node
from frazil.library.files import Library
from frazil.model.blame import Ledger
from frazil.model.overlay import inside
from frazil.session import Session
from frazil.storage.pool import map_parallel
from frazil.web.markup import element

REFERENCES = 5_000_000
"""As many references may be in the manifests that are read."""
ROWS, COLUMNS = 48, 96
"""Cells of the picture; with more chunks, several share a cell."""
FOLD = 60
"""A line of more chunks goes on in the next."""
COMMITS = 64
"""So many commits are looked at for the one that wrote a chunk."""
SHOWN_COMMITS = 7

KINDS = {NATIVE: "native", INLINE: "inline", VIRTUAL: "virtual"}
NONE, MIXED, OLDER = 0, 254, 255
"""Groups of a chunk that there is not, of several in a cell, of an unknown commit."""

Groups = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """The chunks of one kind in the slice: their number and bytes."""

    name: str
    group: int
    chunks: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Slice:
    """The references of an array in a slice of its grid.

    dims: the dimensions along the rows and the columns of the picture; grid: chunks along them.
    """

    node: Node
    refs: ChunkRefs
    dims: tuple[int | None, int | None]
    grid: tuple[int, int]

    @property
    def is_folded(self) -> bool:
        """Whether the chunks are one line, and longer than one of the picture."""
        return min(self.grid) == 1 and max(self.grid) > FOLD

    def places(self) -> tuple[Places, Places]:
        """The row and the column of each reference in the grid."""
        none = np.zeros(len(self.refs), np.int64)
        row, column = (
            none if d is None else self.refs.index[:, d].astype(np.int64) for d in self.dims
        )
        return row, column


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """cells: uint8[row, column], the group of the chunks in each cell; per_cell: chunks along
    rows and columns in one; grid: chunks along rows and columns; is_folded: whether the rows are
    parts of one line."""

    cells: Groups
    per_cell: tuple[int, int]
    grid: tuple[int, int]
    is_folded: bool
    kinds: tuple[Kind, ...]
    commits: tuple[tuple[SnapshotRecord, int, int], ...] = ()
    """The commits that wrote chunks: record, group, number of chunks."""
    older: int = 0
    """Chunks that none of the commits looked at has written."""

    @property
    def named(self) -> tuple[tuple[SnapshotRecord, int, int], ...]:
        """The commits that have a colour of their own."""
        own = SHOWN_COMMITS - (len(self.commits) > SHOWN_COMMITS)
        return self.commits[:own]

    @property
    def others(self) -> tuple[tuple[SnapshotRecord, int, int], ...]:
        """Those that share the last one."""
        return self.commits[len(self.named) :]

    @property
    def total(self) -> int:
        """Chunks that the slice can have."""
        return self.grid[0] * self.grid[1]

    @property
    def present(self) -> int:
        """Chunks that it has."""
        return sum(kind.chunks for kind in self.kinds)

    def svg(self) -> str:
        """The picture; colours are classes, which the page's style sheet defines."""
        rows, columns = self.cells.shape
        size = max(6, min(28, 840 // max(1, columns), 420 // max(1, rows)))
        gap = 1 if size > 7 else 0
        body = []
        for row, line in enumerate(self._lines()):
            # Cells of one group that are side by side are one shape where no gap is between.
            alike = np.diff(line, prepend=-1) != 0 if not gap else np.ones(len(line), np.bool_)
            starts = np.flatnonzero(alike).tolist()
            for start, stop in zip(starts, [*starts[1:], len(line)], strict=True):
                width = (stop - start) * size - gap
                body.append(
                    element(
                        "rect", x=start * size, y=row * size, width=width, height=size - gap,
                        rx=1.5 if gap else 0, **{"class": f"g{line[start]}"},
                    )
                )  # fmt: skip
        return element(
            "svg", "".join(body), width=columns * size, height=rows * size, role="img",
            viewBox=f"0 0 {columns * size} {rows * size}",
            **{"class": "chunks", "aria-label": f"{self.present} of {self.total} chunks exist"},
        )  # fmt: skip

    def _lines(self) -> list[Groups]:
        """The rows of the picture; a folded line has its end in the last."""
        lines = list(self.cells)
        if self.is_folded and lines:
            lines[-1] = lines[-1][: -(-self.total // self.per_cell[1]) - (len(lines) - 1) * FOLD]
        return lines


def slice_of(
    session: Session, node: Node, y: int | None, x: int | None, at: Sequence[int]
) -> Slice:
    """The references in the slice of chunks of a view.

    at: the coordinates of a chunk, of which those of the dimensions x and y do not matter.
    `InvalidInputError` if there are too many references to look at.
    """
    counts = [count for _, count in node.shape]
    box = [
        (0, count) if d in (x, y) else (position, position + 1)
        for d, (count, position) in enumerate(zip(counts, at, strict=True))
    ]
    reached = [
        manifest
        for manifest in node.manifests
        if all(
            start < high and low < stop
            for (start, stop), (low, high) in zip(manifest.extents, box, strict=False)
        )
    ]
    table = session._workspace.base.manifests
    total = sum(table.get(manifest.id).num_refs for manifest in reached)
    if total > REFERENCES:
        raise InvalidInputError(
            f"The manifests of these chunks have {total:,} references: too many to show at once. "
            "Show a line of them: choose none for Upright.",
            ErrorKind.UNKNOWN,
        )
    found = [ChunkRefs.empty(len(counts))]
    for refs in session._workspace.ref_batches(replace(node, manifests=tuple(reached))):
        found.append(refs.take(inside(refs.index, tuple(box))))
    grid = (1 if y is None else counts[y], 1 if x is None else counts[x])
    return Slice(node, ChunkRefs.concat(found), (y, x), grid)


def by_kind(part: Slice) -> ChunkMap:
    """The map of a slice with the kinds of its chunks."""
    cells, per_cell = _cells(part, part.refs.kind)
    kinds = tuple(
        Kind(name, group, int(mask.sum()), int(part.refs.length[mask].sum()))
        for group, name in KINDS.items()
        if (mask := part.refs.kind == group).any()
    )
    return ChunkMap(cells, per_cell, part.grid, part.is_folded, kinds)


def by_commit(library: Library, part: Slice, ancestry: Iterable[SnapshotRecord]) -> ChunkMap:
    """The map of a slice with the commits that wrote its chunks, of the last `COMMITS`.

    ancestry: from the version on, newest first.
    """
    records = list(islice(ancestry, COMMITS))
    ledger = Ledger(part.node.id, part.refs.index, [count for _, count in part.node.shape])
    logs = map_parallel(
        lambda record: [log_if_any(library, id_) for id_ in (record.id, *record.pruned)], records
    )
    for number, several in enumerate(logs):
        for log in several:
            if log is not None:
                ledger.enter(number, log)
    writers, which, counts = np.unique(ledger.written_by, return_inverse=True, return_counts=True)
    known = int((writers < 0).sum())  # 1 if there are chunks of older commits, which come first
    groups = np.minimum(np.arange(len(writers)) - known + 1, SHOWN_COMMITS)
    groups[:known] = OLDER
    commits = tuple(
        (records[writer], int(group), int(count))
        for writer, group, count in zip(writers, groups, counts, strict=True)
        if writer >= 0
    )
    cells, per_cell = _cells(part, groups[which].astype(np.uint8))
    older = int(counts[:known].sum())
    kinds = by_kind(part).kinds
    return ChunkMap(cells, per_cell, part.grid, part.is_folded, kinds, commits, older)


def _cells(part: Slice, group: Groups) -> tuple[Groups, tuple[int, int]]:
    """The group of each cell of the picture: that of its chunks, or `MIXED`."""
    row, column = part.places()
    if part.is_folded:
        per = (1, -(-max(part.grid) // (ROWS * FOLD)))
        shape = (-(-max(part.grid) // (per[1] * FOLD)), FOLD)
        at = np.divmod((row + column) // per[1], FOLD)
    else:
        rows, columns = part.grid
        per = (max(1, -(-rows // ROWS)), max(1, -(-columns // COLUMNS)))
        shape = (max(1, -(-rows // per[0])), max(1, -(-columns // per[1])))
        at = (row // per[0], column // per[1])
    low, high = np.full(shape, 255, np.uint8), np.zeros(shape, np.uint8)
    np.minimum.at(low, at, group)
    np.maximum.at(high, at, group)
    return np.where(low <= high, np.where(low == high, low, MIXED), NONE).astype(np.uint8), per
