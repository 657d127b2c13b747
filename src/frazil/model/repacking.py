"""Which chunks are gathered into which new objects: pure, in columns.

Chunks come in the order in which they are read: version by version, array by array, row-major.
Those that are in small objects, or in objects of which much is not needed, are put into new ones
in this order. What would end up as it is stays where it is, so that to repeat it finds nothing.
Chunks that seem to be copies of others, as an earlier repack of a part of the history leaves them,
are not put anywhere: what refers to them is to refer to the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.format.ragged import sort_keys
from frazil.model.coalescing import coalesce
from frazil.model.relocation import PLACE_BYTES, PlaceKeys
from frazil.model.sweep import Objects

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ABSENT = -1
_FOOTER, _FOOTER_ROW = 128, 12
"""What a footer takes, about, and for each chunk in it: nothing of it can be dropped."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which objects are worth it.

    smaller_than: bytes; dead: the share of an object that nothing needs, None for whatever is
    dead; before, after: when the object was stored, in us since the epoch, None for ever.
    """

    smaller_than: int
    dead: float | None
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of new objects: they are full with `target` bytes or `chunks` chunks.

    Chunks of more than `largest` bytes are alone.
    """

    target: int
    largest: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How chunks are read: with up to `gap` bytes between them, at most `limit` at once."""

    gap: int
    limit: int


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """All chunks of the versions that are looked at, each place once, in the order of reading.

    object: uint8[n, 12]; offset, length: uint64[n], bytes; group: int64[n], rising: chunks of
    different groups are not read together; chosen: bool[n], whether the user asked for the array;
    anew: bool[n], those that are to be compressed anew wherever they are; twin: int64[n], the
    first chunk that has probably the same bytes, often itself.
    """

    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    group: npt.NDArray[np.int64]
    chosen: Mask
    anew: Mask
    twin: Rows

    def __len__(self) -> int:
        return len(self.offset)


@dataclass(frozen=True, slots=True)
class Figures:
    """What chunks take, before or after: objects and their bytes, requests to read all chunks."""

    objects: int
    nbytes: int
    requests: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is going to be moved: new object `i` gets the chunks `rows[first[i]:first[i + 1]]`.

    copies: int64[k, 2], chunks, and those which will stand for them if they turn out to be equal,
    whether these move or not.
    before, after: of all chunks; what compressing anew will save is not known here. dead: bytes
    that nothing needs in objects that are needed; missing: objects that should be there.
    """

    rows: Rows
    first: Rows
    copies: Rows
    before: Figures
    after: Figures
    dead: int
    missing: int

    def __len__(self) -> int:
        return len(self.first) - 1

    def packs(self) -> Iterator[Rows]:
        """The chunks of each new object."""
        for i in range(len(self)):
            yield self.rows[self.first[i] : self.first[i + 1]]


def plan(
    chunks: Chunks, stored: Objects, criteria: Criteria, sizes: Sizes, reading: Reading
) -> Plan:
    """Decide what moves where. stored: the chunk objects of the repository, in any order."""
    objects = _Held.of(chunks, stored)
    worth = objects.worth(criteria)
    moving = (chunks.chosen & worth[objects.of_chunk] | chunks.anew) & (chunks.length > 0)
    moving &= objects.size[objects.of_chunk] != _ABSENT
    stands_for = _representatives(chunks.twin, moving)
    copy = moving & (stands_for != np.arange(len(chunks)))
    packs = [
        pack
        for pack in _packs(chunks, np.flatnonzero(moving & ~copy), sizes)
        if _is_better(pack, chunks, objects, criteria)
    ]
    rows = np.concatenate([*packs, np.empty(0, np.int64)])
    first = np.cumsum([0, *map(len, packs)]).astype(np.int64)
    copies = np.stack([np.flatnonzero(copy), stands_for[copy]], axis=1)
    stay = ~copy
    stay[rows] = False
    left = np.zeros(len(objects.size), np.bool_)
    left[objects.of_chunk[stay]] = True
    there = objects.size != _ABSENT
    return Plan(
        rows,
        first,
        copies,
        before=Figures(
            int(there.sum()),
            int(objects.size[there].sum()),
            _requests(chunks.object, chunks.offset, chunks.length, reading),
        ),
        after=Figures(
            int((left & there).sum()) + len(packs),
            int(objects.size[left & there].sum()) + int(chunks.length[rows].sum()),
            _requests_after(chunks, rows, first, copies, reading),
        ),
        dead=int(np.maximum(objects.size - objects.live, 0)[there].sum()),
        missing=int((~there).sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """The objects that chunks are in: size in bytes or _ABSENT; created, us since the epoch.

    live: bytes that are needed, with a footer; all_chosen: whether all chunks in it are;
    of_chunk: the object of each chunk.
    """

    size: npt.NDArray[np.int64]
    live: npt.NDArray[np.int64]
    created: npt.NDArray[np.int64]
    all_chosen: Mask
    of_chunk: npt.NDArray[np.intp]

    @classmethod
    def of(cls, chunks: Chunks, stored: Objects) -> _Held:
        ids, of_chunk = np.unique(sort_keys(chunks.object), return_inverse=True)
        n = len(ids)
        size, created = np.full(n, _ABSENT, np.int64), np.zeros(n, np.int64)
        order = np.argsort(stored.ids, kind="stable")
        if n and len(order):
            at = np.minimum(np.searchsorted(stored.ids, ids, sorter=order), len(order) - 1)
            at = order[at]
            found = stored.ids[at] == ids
            size[found], created[found] = stored.size[at[found]], stored.created[at[found]]
        # Sums of float64 are exact up to 2**53.
        live = np.bincount(of_chunk, chunks.length, n).astype(np.int64)
        live += _FOOTER + _FOOTER_ROW * np.bincount(of_chunk, minlength=n)
        unchosen = np.bincount(of_chunk, ~chunks.chosen, n)
        return cls(size, live, created, unchosen == 0, of_chunk)

    def worth(self, criteria: Criteria) -> Mask:
        """Which of them the criteria are about."""
        mask: Mask = self.size < criteria.smaller_than
        mask |= self.is_dead(criteria) & self.all_chosen
        if criteria.before is not None:
            mask &= self.created < criteria.before
        if criteria.after is not None:
            mask &= self.created >= criteria.after
        mask &= self.size != _ABSENT
        return mask

    def is_dead(self, criteria: Criteria) -> Mask:
        if criteria.dead is None:
            return np.zeros(len(self.size), np.bool_)
        dead: Mask = self.size - self.live > criteria.dead * self.size
        return dead


def _packs(chunks: Chunks, rows: Rows, sizes: Sizes) -> Iterator[Rows]:
    """Cut the chunks into objects; where one group ends a half full object is enough."""
    large = chunks.length[rows] > sizes.largest
    for row in rows[large]:
        yield np.array([row], np.int64)
    rows = rows[~large]
    length = chunks.length[rows].astype(np.int64)
    end = np.cumsum(length)
    group = chunks.group[rows]
    last_of_group = np.flatnonzero(np.append(group[1:] != group[:-1], True)[: len(rows)])
    first = 0
    while first < len(rows):
        done = int(end[first] - length[first])
        stop = int(np.searchsorted(end, done + sizes.target, side="right"))
        stop = min(max(stop, first + 1), first + sizes.chunks)
        # The last group that ends in here, if it leaves the object half full.
        k = int(np.searchsorted(last_of_group, stop, side="left")) - 1
        if stop < len(rows) and k >= 0 and last_of_group[k] >= first:
            cut = int(last_of_group[k]) + 1
            if int(end[cut - 1]) - done >= sizes.target // 2:
                stop = cut
        yield rows[first:stop]
        first = stop


def _is_better(pack: Rows, chunks: Chunks, objects: _Held, criteria: Criteria) -> bool:
    """Whether these chunks are not an object already that is about the same."""
    if chunks.anew[pack].any():
        return True
    of = objects.of_chunk[pack]
    if (of != of[0]).any():
        return True
    return bool(objects.is_dead(criteria)[of[0]])


def _requests(
    object_: npt.NDArray[np.uint8],
    offset: npt.NDArray[np.uint64],
    length: npt.NDArray[np.uint64],
    reading: Reading,
) -> int:
    if not len(offset):
        return 0
    reads = coalesce(object_, offset, length, gap=reading.gap, limit=reading.limit)
    return len(reads.start)


def _requests_after(chunks: Chunks, rows: Rows, first: Rows, copies: Rows, reading: Reading) -> int:
    object_, offset = chunks.object.copy(), chunks.offset.copy()
    length = chunks.length[rows]
    end = np.cumsum(length)
    pack = np.repeat(np.arange(len(first) - 1), np.diff(first))
    begin = np.concatenate([np.zeros(1, np.uint64), end])[first[:-1]]
    # Ids that stand for the new objects: the last bytes of the real ones are as good as any.
    ids = np.zeros((len(rows), 12), np.uint8)
    ids[:, :8] = (pack + 1).astype(">u8").view(np.uint8).reshape(-1, 8)
    object_[rows] = ids
    offset[rows] = end - length - begin[pack]
    object_[copies[:, 0]], offset[copies[:, 0]] = object_[copies[:, 1]], offset[copies[:, 1]]
    return _requests(object_, offset, chunks.length, reading)


def _representatives(twin: Rows, moving: Mask) -> Rows:
    """int64[n]: of the chunks that are probably equal the first that stays, or else the first."""
    n = len(twin)
    found = np.full(n, n, np.int64)
    staying = np.flatnonzero(~moving)
    np.minimum.at(found, twin[staying], staying)
    return np.where(found < n, found, np.arange(n))[twin]


def twins(keys: npt.NDArray[np.bytes_], known: Mask) -> Rows:
    """int64[n]: the first chunk with the same key; itself for those of which none is known."""
    found = np.arange(len(keys))
    rows = np.flatnonzero(known)
    _, first, of = np.unique(keys[rows], return_index=True, return_inverse=True)
    found[rows] = rows[first][of]
    return found


def interleaved(index: list[npt.NDArray[np.uint32]]) -> tuple[Rows, Rows]:
    """The order in which arrays are read together: (array, row) of all chunks.

    index: uint32[n, rank] of each array, sorted. Chunks whose first coordinates are the same, as
    many as all arrays have, come together, array by array.
    """
    rank = min(one.shape[1] for one in index)
    array = np.repeat(np.arange(len(index)), [len(one) for one in index])
    row = np.concatenate([np.arange(len(one)) for one in index])
    lead = np.concatenate([one[:, :rank] for one in index])
    order = np.lexsort((array, *(lead[:, d] for d in reversed(range(rank)))))
    return array[order], row[order]


class Seen:
    """Places that have come up, so that each is taken once."""

    def __init__(self) -> None:
        self._runs: list[PlaceKeys] = []

    def new(self, keys: PlaceKeys) -> Mask:
        """Which of the keys, in any order, come up for the first time; all are known then."""
        own, at = np.unique(keys, return_index=True)
        fresh = np.zeros(len(keys), np.bool_)
        fresh[at] = True
        for run in self._runs:
            found = run[np.minimum(np.searchsorted(run, keys), len(run) - 1)] == keys
            fresh &= ~found
        if fresh.any():
            self._add(own if fresh.sum() == len(own) else np.sort(keys[fresh]))
        return fresh

    def _add(self, run: PlaceKeys) -> None:
        # As a binary counter carries: few runs, and each key is merged a few times.
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run.astype(f"S{PLACE_BYTES}", copy=False))
