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

from frazil.engine.history import read_logs
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Node
from frazil.format.transaction_log import TransactionLog
from frazil.ids import SnapshotId
from frazil.library.files import Library
from frazil.session import Session
from frazil.web.markup import element

REFERENCES = 2_000_000
"""As many references may be in the manifests that are read."""
ROWS, COLUMNS = 48, 96
"""Cells of the picture; with more chunks, several share a cell."""
COMMITS = 64
"""So many commits are looked at for the one that wrote a chunk."""
SHOWN_COMMITS = 7

KINDS = {NATIVE: "native", INLINE: "inline", VIRTUAL: "virtual"}
NONE, MIXED, OLDER = 0, 254, 255
"""Groups of a chunk that there is not, of several in a cell, of an unknown commit."""

Groups = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Kind:
    """The chunks of one kind in the slice: their number and bytes."""

    name: str
    group: int
    chunks: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """cells: uint8[row, column], the group of the chunks in each cell; per_cell: chunks along
    rows and columns in one; grid: chunks along rows and columns."""

    cells: Groups
    per_cell: tuple[int, int]
    grid: tuple[int, int]
    kinds: tuple[Kind, ...]
    commits: tuple[tuple[SnapshotRecord, int, int], ...] = ()
    """The commits that wrote chunks: record, group, number of chunks."""

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
        for row in range(rows):
            line = self.cells[row]
            # Cells of one group that are side by side are one shape where no gap is between.
            starts = np.flatnonzero(np.diff(line, prepend=-1) != 0) if not gap else range(columns)
            stops = [*list(starts)[1:], columns]
            for start, stop in zip(starts, stops, strict=True):
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


def slice_of(
    session: Session, node: Node, y: int | None, x: int | None, at: Sequence[int]
) -> tuple[ChunkRefs, tuple[int, int]]:
    """The references in the slice of chunks of a view as [row, column], and the slice's shape.

    at: the coordinates of the chunk, of which those of the dimensions x and y do not matter.
    `InvalidInputError` if there are too many references to look at.
    """
    counts = [count for _, count in node.shape]
    box = [
        (0, counts[d]) if d in (x, y) else (min(at[d], counts[d] - 1), at[d] + 1)
        for d in range(len(counts))
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
            f"The manifests of these chunks have {total:,} references: too many to show at once.",
            ErrorKind.UNKNOWN,
        )
    found = []
    for refs in session._workspace.ref_batches(replace(node, manifests=tuple(reached))):
        inside = np.ones(len(refs), np.bool_)
        for d, (low, high) in enumerate(box):
            inside &= (refs.index[:, d] >= low) & (refs.index[:, d] < high)
        part = refs.take(inside)
        index = np.zeros((len(part), 2), np.uint32)
        for column, shown in enumerate((y, x)):
            if shown is not None:
                index[:, column] = part.index[:, shown]
        found.append(replace(part, index=index))
    shape = (1 if y is None else counts[y], 1 if x is None else counts[x])
    return ChunkRefs.concat([ChunkRefs.empty(2), *found]), shape


def by_kind(refs: ChunkRefs, grid: tuple[int, int]) -> ChunkMap:
    """The map of a slice with the kinds of its chunks."""
    cells, per_cell = _cells(refs.index, refs.kind, grid)
    kinds = tuple(
        Kind(name, group, int(mask.sum()), int(refs.length[mask].sum()))
        for group, name in KINDS.items()
        if (mask := refs.kind == group).any()
    )
    return ChunkMap(cells, per_cell, grid, kinds)


def by_commit(
    library: Library,
    node: Node,
    refs: ChunkRefs,
    grid: tuple[int, int],
    dims: tuple[int | None, int | None],
    ancestry: Iterable[SnapshotRecord],
    inside: Sequence[int],
) -> ChunkMap:
    """The map of a slice with the commits that wrote its chunks, of the last `COMMITS`.

    dims: the array's dimensions along rows and columns; ancestry: from the version on, newest
    first; inside: the coordinates of the slice along the other dimensions.
    """
    records = list(islice(ancestry, COMMITS))
    logs = read_logs([record.id for record in records], lambda id_: _log(library, id_))
    group = np.full(len(refs), OLDER, np.uint8)
    found: list[tuple[SnapshotRecord, int, int]] = []
    left = np.ones(len(refs), np.bool_)
    for record, log in zip(records, logs, strict=True):
        written = None if log is None else log.updated_chunks.get(node.id)
        if written is None or not len(written) or written.shape[1] != len(node.shape):
            continue
        mine = left & _among(refs.index, written, dims, inside)
        if mine.any():
            number = min(len(found) + 1, SHOWN_COMMITS)
            group[mine] = number
            left &= ~mine
            found.append((record, number, int(mine.sum())))
    cells, per_cell = _cells(refs.index, group, grid)
    return ChunkMap(cells, per_cell, grid, by_kind(refs, grid).kinds, tuple(found))


def _log(library: Library, id_: SnapshotId) -> TransactionLog | None:
    try:
        return library.transaction_log(id_)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None


def _among(
    index: npt.NDArray[np.uint32],
    written: npt.NDArray[np.uint32],
    dims: tuple[int | None, int | None],
    inside: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """Which chunks of a slice are among those written."""
    here = np.ones(len(written), np.bool_)
    for d, position in enumerate(inside):
        if d not in dims:
            here &= written[:, d] == position
    keys = np.zeros(int(here.sum()), np.uint64)
    for shown in dims:
        keys = keys << np.uint64(32)
        if shown is not None:
            keys |= written[here, shown].astype(np.uint64)
    own = index[:, 0].astype(np.uint64) << np.uint64(32) | index[:, 1].astype(np.uint64)
    return np.isin(own, keys)


def _cells(
    index: npt.NDArray[np.uint32], group: Groups, grid: tuple[int, int]
) -> tuple[Groups, tuple[int, int]]:
    """The group of each cell of the picture: that of its chunks, or `MIXED`."""
    per = (max(1, -(-grid[0] // ROWS)), max(1, -(-grid[1] // COLUMNS)))
    shape = (max(1, -(-grid[0] // per[0])), max(1, -(-grid[1] // per[1])))
    low, high = np.full(shape, 255, np.uint8), np.zeros(shape, np.uint8)
    at = (index[:, 0] // per[0], index[:, 1] // per[1])
    np.minimum.at(low, at, group)
    np.maximum.at(high, at, group)
    return np.where(low <= high, np.where(low == high, low, MIXED), NONE).astype(np.uint8), per
