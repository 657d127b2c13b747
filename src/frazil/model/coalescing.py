"""Which reads answer for many ranges of many objects."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_U64_MAX = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads of one object each, that together hold all ranges asked for.

    order: int64[n], the ranges by object and offset; first: int64[m + 1], read `i` holds the
    ranges `order[first[i]:first[i + 1]]`; start, end: uint64[m], the bytes it covers.
    """

    order: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    start: npt.NDArray[np.uint64]
    end: npt.NDArray[np.uint64]


def coalesce(
    object_: npt.NDArray[np.uint8],
    offset: npt.NDArray[np.uint64],
    length: npt.NDArray[np.uint64],
    *,
    gap: int,
    limit: int,
) -> Reads:
    """Reads for the ranges `[offset, offset + length)` of objects (uint8[n, 12]), at least one.

    Ranges of one object with up to `gap` bytes between them share a read of up to `limit` bytes;
    a longer range has its own, in which others may lie.
    """
    words = object_.view(np.uint32)
    order = np.lexsort((offset, words[:, 2], words[:, 1], words[:, 0]))
    words, start = words[order], offset[order]
    end = start + length[order]
    # Nobody has such an object: the read of it says so.
    end[end < start] = _U64_MAX
    other = (words[1:] != words[:-1]).any(axis=1)
    reached = _reached(end, other)[:-1]
    # Unsigned: where ranges overlap, the difference is not a gap.
    cut = other | (start[1:] > reached) & (start[1:] - reached > np.uint64(gap))
    first = np.concatenate([[0], np.flatnonzero(cut) + 1, [len(order)]]).astype(np.int64)
    stop = np.maximum.reduceat(end, first[:-1])
    long = stop - start[first[:-1]] > np.uint64(limit)
    if long.any():
        first = _cut_long(start, end, first, long, limit)
        stop = np.maximum.reduceat(end, first[:-1])
    return Reads(order, first, start[first[:-1]], stop)


def _reached(end: npt.NDArray[np.uint64], other: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """How far each range and those before it in its object go; other: the next is in another."""
    if not bool((~other & (end[1:] < end[:-1])).any()):
        return end
    edges = [0, *(np.flatnonzero(other) + 1).tolist(), len(end)]
    return np.concatenate([np.maximum.accumulate(end[a:b]) for a, b in pairwise(edges)])


def _cut_long(
    start: npt.NDArray[np.uint64],
    end: npt.NDArray[np.uint64],
    first: npt.NDArray[np.int64],
    long: npt.NDArray[np.bool_],
    limit: int,
) -> npt.NDArray[np.int64]:
    cuts: list[int] = []
    for begin, stop, is_long in zip(
        first[:-1].tolist(), first[1:].tolist(), long.tolist(), strict=True
    ):
        cuts.append(begin)
        while is_long and begin < stop:
            upto = max(int(start[begin]) + limit, int(end[begin]))
            # Ranges may overlap, and a longer one come before a shorter one.
            reached = np.maximum.accumulate(end[begin:stop])
            fits = np.searchsorted(reached, np.uint64(min(upto, 2**64 - 1)), side="right")
            begin += max(1, int(fits))
            if begin < stop:
                cuts.append(begin)
    return np.array([*cuts, first[-1]], np.int64)
