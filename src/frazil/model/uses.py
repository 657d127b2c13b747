"""Who uses what, in numbers: what an incremental collection keeps.

A part is what one manifest holds of one array. It never changes. Snapshots use parts, and parts use
chunk objects. A collection that knows how many snapshots used each part, and how many parts each
object, has to look only at the snapshots that are new and those that are not needed any more, and
at parts that are used for the first time, or no longer.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from frazil.format.ragged import sort_keys
from frazil.model.keys import Keys
from frazil.model.listed import RawIds, ordered, raw_rows

Counts = npt.NDArray[np.int64]
NO_IDS: RawIds = np.empty((0, 12), np.uint8)
NO_COUNTS: Counts = np.empty(0, np.int64)
NO_PARTS: Keys = np.empty(0, "S20")
_MERGE = 1 << 18


class Inconsistent(Exception):
    """What should be taken away was never there."""


@dataclass(frozen=True, slots=True, eq=False)
class Uses:
    """Objects, sorted, each once, and by how many parts each is used."""

    ids: RawIds
    count: Counts

    @classmethod
    def none(cls) -> Uses:
        return cls(NO_IDS, NO_COUNTS)

    @classmethod
    def of_arrays(cls, owner: Counts, ids: RawIds) -> Uses:
        """Of references of arrays: each array counts once for an object."""
        if not len(owner) or bool((owner == owner[0]).all()):
            order, first = ordered(ids)
            return cls(ids[order[first]], np.ones(int(first.sum()), np.int64))
        order, first = ordered(ids)
        rank = np.cumsum(first)  # of the object
        pairs = np.unique(np.stack([rank, owner[order]], axis=1), axis=0)
        return cls(ids[order[first]], np.bincount(pairs[:, 0], minlength=int(first.sum()) + 1)[1:])

    @classmethod
    def sum(cls, parts: Sequence[Uses]) -> Uses:
        """All together."""
        ids = np.concatenate([NO_IDS, *(part.ids for part in parts)])
        count = np.concatenate([NO_COUNTS, *(part.count for part in parts)])
        order, first = ordered(ids)
        starts = np.flatnonzero(first)
        sums = np.add.reduceat(count[order], starts) if len(starts) else NO_COUNTS
        return cls(ids[order[starts]], sums)

    def negative(self) -> Uses:
        """To be taken away."""
        return Uses(self.ids, -self.count)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts S20[n], 12 bytes of a manifest's id and 8 of an array's, sorted; how many use each."""

    keys: Keys = field(default_factory=lambda: NO_PARTS)
    count: Counts = field(default_factory=lambda: NO_COUNTS)

    @classmethod
    def sum(cls, some: Sequence[Parts]) -> Parts:
        """All together; those that are used by none stay."""
        keys, which = np.unique(
            np.concatenate([NO_PARTS, *(one.keys for one in some)]), return_inverse=True
        )
        count = np.zeros(len(keys), np.int64)
        np.add.at(count, which, np.concatenate([NO_COUNTS, *(one.count for one in some)]))
        return cls(keys, count)

    def negative(self) -> Parts:
        """To be taken away."""
        return Parts(self.keys, -self.count)

    def take(self, rows: npt.NDArray[np.bool_]) -> Parts:
        """Some of them."""
        return Parts(self.keys[rows], self.count[rows])

    def manifests(self) -> Keys:
        """The manifests of these parts, sorted, each once."""
        raw = np.ascontiguousarray(self.keys).view(np.uint8).reshape(len(self), 20)
        return np.unique(sort_keys(raw[:, :12]))

    def of_arrays(self) -> Keys:
        """Without manifests that are only listed."""
        raw = np.ascontiguousarray(self.keys).view(np.uint8).reshape(len(self), 20)
        return self.keys[raw[:, 12:].any(axis=1)]

    def __len__(self) -> int:
        return len(self.keys)


SNAPSHOT = np.dtype([("id", "S12"), ("stored_at", "<i8"), ("digest", "<u8")])
"""A snapshot: when its file was stored (us since the epoch), and a digest of its parts."""
Snapshots = npt.NDArray[np.void]
"""SNAPSHOT[n], sorted by id, each once."""


class Tally:
    """Adds up which parts snapshots use; from any thread."""

    def __init__(self) -> None:
        self._rows: list[tuple[bytes, int, int]] = []
        self._merged = Parts()
        self._new: list[Keys] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, snapshot: bytes, parts: Keys, digest: int) -> None:
        """A snapshot with what it uses, each part once."""
        with self._lock:
            self._rows.append((snapshot, 0, digest))
            self._new.append(parts)
            self._count += len(parts)
            if self._count > max(_MERGE, len(self._merged)):
                self._merge()

    def parts(self) -> Parts:
        """What they use."""
        with self._lock:
            self._merge()
            return self._merged

    def snapshots(self) -> Snapshots:
        """Those that were added; `stored_at` is 0."""
        with self._lock:
            rows = np.array(self._rows, SNAPSHOT)
        return rows[np.unique(rows["id"], return_index=True)[1]]

    def _merge(self) -> None:
        new = [Parts(keys, np.ones(len(keys), np.int64)) for keys in self._new]
        self._merged = Parts.sum([self._merged, *new])
        self._new.clear()
        self._count = 0


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """Objects that nothing needs and that may not have been deleted yet: uint8[n, 12] each."""

    transactions: RawIds = field(default_factory=lambda: NO_IDS)
    manifests: RawIds = field(default_factory=lambda: NO_IDS)
    chunks: RawIds = field(default_factory=lambda: NO_IDS)


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """What a collection leaves for the next one.

    snapshots: those that count; logs: S12[n], transaction logs that are kept of snapshots that are
    in the history no more; parts: of the snapshots; uses: of the objects of these parts.
    """

    snapshots: Snapshots
    logs: Keys
    parts: Parts
    uses: Uses
    pending: Pending = field(default_factory=Pending)


def settled(
    uses: Uses, added: Sequence[Uses], removed: Sequence[Uses], candidates: RawIds
) -> tuple[Uses, RawIds]:
    """The uses after `added` and `removed`, and the objects that nothing uses.

    These are among those that were used before, and `candidates`. `Inconsistent` if something was
    used less than not at all.
    """
    after = Uses.sum([uses, *added, *(part.negative() for part in removed)])
    if bool((after.count < 0).any()):
        raise Inconsistent
    used = after.count > 0
    free = np.concatenate([candidates, after.ids[~used]])
    # What was doomed may be needed again, if an older state of the repository was restored.
    known = Uses.sum([after, Uses(free, np.zeros(len(free), np.int64))])
    return Uses(after.ids[used], after.count[used]), known.ids[known.count == 0]


def without(ids: RawIds, others: Keys) -> RawIds:
    """Those that are not among the others."""
    keys = np.unique(sort_keys(ids))
    return raw_rows(keys[~np.isin(keys, others)])
