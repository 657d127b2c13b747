"""Distinct ranges of bytes, and the first snapshot and array that refer to each, in columns.

A range is (object or location, offset, length), told from others by 64 bits that are mixed from
all of it. Ids of objects are random, so two of ten million ranges are taken for one with a
probability of 1 in 370,000.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import INLINE, NATIVE, ChunkRefs
from frazil.format.pack import checksums

Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_MERGE = 1 << 20
_NODE_BITS = 31
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Distinct ranges, sorted by key.

    key, object: uint64[n], which range, and which object it is in, 0 for virtual ones; owner:
    int64[n], who refers to it first (`owners`); size: int64[n], bytes.
    """

    key: Words
    object: Words
    owner: Numbers
    size: Numbers

    def __len__(self) -> int:
        return len(self.key)

    @property
    def native(self) -> npt.NDArray[np.bool_]:
        """Which of them lie in objects of the repository."""
        own: npt.NDArray[np.bool_] = self.object != 0
        return own

    @property
    def rank(self) -> Numbers:
        """The snapshot that refers to each of them first."""
        return self.owner >> _NODE_BITS

    @property
    def node(self) -> Numbers:
        """The array of it that does."""
        return self.owner & ((1 << _NODE_BITS) - 1)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Ranges:
        """Some of them."""
        return Ranges(self.key[rows], self.object[rows], self.owner[rows], self.size[rows])


def owners(rank: Numbers, node: Numbers) -> Numbers:
    """One number for each snapshot and array: a smaller one for an earlier snapshot."""
    return (rank << _NODE_BITS) | node


def no_ranges() -> Ranges:
    """None."""
    words, numbers = np.empty(0, np.uint64), np.empty(0, np.int64)
    return Ranges(words, words, numbers, numbers)


def distinct(ranges: Ranges) -> Ranges:
    """Each of them once, by key, with its first owner."""
    if not len(ranges):
        return ranges
    order = np.argsort(ranges.key, kind="stable")
    key = ranges.key[order]
    first = np.ones(len(key), np.bool_)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    if first.all():
        return ranges.take(order)
    starts = np.flatnonzero(first)
    found = ranges.take(order[starts])
    owner = np.minimum.reduceat(ranges.owner[order], starts)
    return Ranges(found.key, found.object, owner, found.size)


def _concat(parts: list[Ranges]) -> Ranges:
    return Ranges(
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.object for part in parts]),
        np.concatenate([part.owner for part in parts]),
        np.concatenate([part.size for part in parts]),
    )


class Ledger:
    """Gathers ranges from many threads, keeping each once: 32 bytes for each."""

    def __init__(self) -> None:
        self._merged = no_ranges()
        self._new: list[Ranges] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, ranges: Ranges) -> None:
        """Add these, in any order."""
        ranges = distinct(ranges)
        if not len(ranges):
            return
        with self._lock:
            new = ranges
            if len(self._merged):
                # Most of what a later manifest says was said by an earlier one.
                at = np.minimum(self._merged.key.searchsorted(ranges.key), len(self._merged) - 1)
                known = self._merged.key[at] == ranges.key
                rows = at[known]
                self._merged.owner[rows] = np.minimum(self._merged.owner[rows], ranges.owner[known])
                new = ranges.take(~known)
            self._new.append(new)
            self._count += len(new)
            if self._count > max(_MERGE, len(self._merged)):
                self._merge()

    def ranges(self) -> Ranges:
        """All of them."""
        with self._lock:
            self._merge()
            return self._merged

    def _merge(self) -> None:
        if self._new:
            self._merged = distinct(_concat([self._merged, *self._new]))
        self._new.clear()
        self._count = 0


def ranges_of(refs: ChunkRefs, owner: Numbers) -> tuple[Ranges, npt.NDArray[np.intp]]:
    """The ranges of the references that are not inline, with repetitions, and their rows."""
    rows = np.flatnonzero(refs.kind != INLINE)
    own = refs.kind[rows] == NATIVE
    raw = np.zeros((len(rows), 16), np.uint8)
    raw[own, :12] = refs.object[rows[own]]
    words = raw.view(np.uint64)
    if not own.all():
        assert refs.payload is not None
        words[~own, 0] = checksums(refs.payload.take(rows[~own]))
        words[~own, 1] = 1 << 32  # beyond the four bytes of an id
    key = words[:, 0] ^ _mixed(words[:, 1])
    for column in (refs.offset, refs.length):
        key = _mixed(key + _ODD) ^ column[rows]
    # A word of zeros is as likely as any other: it would be taken for that of a virtual range.
    object_ = np.where(own, np.maximum(words[:, 0], np.uint64(1)), np.uint64(0))
    size = refs.length[rows].astype(np.int64)
    return Ranges(_mixed(key), object_, owner[rows], size), rows


def object_words(ids: npt.NDArray[np.uint8]) -> Words:
    """uint64[n]: what `Ranges.object` says of the objects uint8[n, 12]."""
    head = np.ascontiguousarray(ids[:, :8]).view(np.uint64).reshape(-1)
    return np.maximum(head, np.uint64(1))


def _mixed(words: Words) -> Words:
    """The finaliser of SplitMix64: each bit of a word depends on all of them."""
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(multiplier)
    return words ^ (words >> np.uint64(31))


def sums_by_part(refs: ChunkRefs, part: Numbers, count: int) -> Numbers:
    """int64[count, 3]: native, inline and virtual bytes of each part of a manifest.

    part: int64[n], which part each reference belongs to, ascending. In a part, a range counts
    once.
    """
    sums = np.zeros((count, 3), np.int64)
    ranges, rows = ranges_of(refs, part)
    # The same range in two parts is two.
    apart = Ranges(
        ranges.key ^ _mixed(part[rows].astype(np.uint64) + _ODD),
        ranges.object,
        ranges.owner,
        ranges.size,
    )
    once = distinct(apart)
    np.add.at(sums[:, 0], once.owner[once.native], once.size[once.native])
    np.add.at(sums[:, 2], once.owner[~once.native], once.size[~once.native])
    inline = refs.kind == INLINE
    np.add.at(sums[:, 1], part[inline], refs.length[inline].astype(np.int64))
    return sums
