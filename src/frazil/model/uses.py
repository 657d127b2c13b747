"""How many parts of manifests refer to each chunk object: what an incremental collection keeps.

A part is what one manifest holds of one array. It never changes, so that a collection that knows
the parts that were needed before, and how often each object was used by them, has to read only
those that are new and those that are not needed any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.model.keys import Keys
from frazil.model.listed import RawIds, ordered

Counts = npt.NDArray[np.int64]
NO_IDS: RawIds = np.empty((0, 12), np.uint8)
NO_COUNTS: Counts = np.empty(0, np.int64)


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
class Ledger:
    """What a collection leaves for the next one.

    parts: S20[n], sorted, of the manifests that were needed; uses: of their objects; doomed:
    uint8[n, 12], objects that nothing needs and that may not have been deleted yet.
    """

    parts: Keys
    uses: Uses
    doomed: RawIds

    def then(
        self, parts: Keys, added: Sequence[Uses], removed: Sequence[Uses], lost: RawIds
    ) -> Ledger:
        """With these parts: `added` are the uses of the new ones, `removed` those of what left.

        lost: objects of manifests that came and left in between. `Inconsistent` if something was
        used less than not at all.
        """
        taken = [part.negative() for part in removed]
        uses = Uses.sum([self.uses, *added, *taken])
        if bool((uses.count < 0).any()):
            raise Inconsistent
        used = uses.count > 0
        # What was doomed may be needed again, if an older state of the repository was restored.
        candidates = np.concatenate([self.doomed, lost, uses.ids[~used]])
        known = Uses.sum([uses, Uses(candidates, np.zeros(len(candidates), np.int64))])
        return Ledger(parts, Uses(uses.ids[used], uses.count[used]), known.ids[known.count == 0])
