"""Rows that come in between: where everything goes, and which chunks can stay as they are.

Along one dimension, a stored array has rows, and new rows are to overwrite some of them, come
between them, or follow them. What was in a chunk may be in one again, at the same places in it:
then the reference of the chunk is all that moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placement:
    """What the rows of the result are, int64[length] each.

    old: the stored row that was, or now is, at this place, -1 for none; new: the new row that is
    there, -1 for none. A row that is overwritten has both.
    """

    old: Rows
    new: Rows

    def __len__(self) -> int:
        return len(self.old)

    @property
    def overwritten(self) -> int:
        """Rows that were there."""
        return int(((self.old >= 0) & (self.new >= 0)).sum())

    @property
    def appended(self) -> int:
        """Rows that follow all that were there."""
        there = np.flatnonzero(self.old >= 0)
        return len(self) - (int(there[-1]) + 1 if len(there) else 0)

    @property
    def inserted(self) -> int:
        """Rows that come before others that were there."""
        return int((self.old < 0).sum()) - self.appended


def place(matches: Rows, order: Rows, stored: int) -> Placement:
    """Put rows in order.

    matches: for each new row, the stored row with its label, -1 for none; order: which row each
    place of the result gets, where those from `stored` on are the new rows without match, in turn.
    """
    unmatched = np.flatnonzero(matches < 0)
    is_old = order < stored
    old = np.where(is_old, order, -1)
    new = np.full(len(order), -1, np.int64)
    new[~is_old] = unmatched[order[~is_old] - stored]
    at = np.empty(stored, np.int64)
    at[order[is_old]] = np.flatnonzero(is_old)
    matched = np.flatnonzero(matches >= 0)
    new[at[matches[matched]]] = matched
    return Placement(old, new)


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """What becomes of the chunks along the dimension.

    sources: the stored chunk whose reference each chunk of the result gets, -1 for none:
    int64[count]; written: which chunks of the result have rows that must be written, bool[count].
    """

    sources: Rows
    written: npt.NDArray[np.bool_]

    @property
    def moves(self) -> bool:
        """Whether a chunk gets the reference of another one."""
        return bool((self.sources != np.arange(len(self.sources)))[self.sources >= 0].any())


def plan_chunks(placement: Placement, size: int) -> ChunkPlan:
    """Keep for each chunk of `size` rows the stored one that has most of its rows in place."""
    rows = np.arange(len(placement), dtype=np.int64)
    chunk, count = rows // size, -(-len(placement) // size)
    stays = placement.new < 0
    fits = stays & ((rows - placement.old) % size == 0)
    sources = np.full(count, -1, np.int64)
    pairs, votes = np.unique(
        np.stack([chunk[fits], placement.old[fits] // size], 1), axis=0, return_counts=True
    )
    ascending = np.argsort(votes, kind="stable")
    sources[pairs[ascending, 0]] = pairs[ascending, 1]  # the last one assigned has most
    in_place = fits & (sources[chunk] == placement.old // size)
    written = np.zeros(count, np.bool_)
    written[chunk[~in_place]] = True
    return ChunkPlan(sources, written)
