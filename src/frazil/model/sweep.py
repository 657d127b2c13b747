"""What a garbage collection keeps, and what it deletes: pure, in columns of ids.

Reachable from branches and tags, with the whole history, or too new to judge: that is kept. All
ages are those that the storage gives, never those in the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.format.history import SnapshotTable
from frazil.format.ragged import run_items, sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.model.expiration import thinned
from frazil.model.keys import Keys, parse_ids

Mask = npt.NDArray[np.bool_]


class Depends(Exception):
    """Something new is built on what was about to be dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of one folder that are named by ids: S12[n]; bytes; µs since the epoch."""

    ids: Keys
    size: npt.NDArray[np.int64]
    created: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str], sizes: Sequence[int], created: Sequence[int]) -> Objects:
        """From a listing; objects whose names are no ids are left out."""
        ids, valid = parse_ids(names)
        return cls(
            sort_keys(ids[valid]),
            np.array(sizes, np.int64)[valid],
            np.array(created, np.int64)[valid],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def garbage(self, keep: Keys, cutoff: int) -> Mask:
        """Which of them were stored before `cutoff` (us) and are not to be kept."""
        return (self.created < cutoff) & ~np.isin(self.ids, keep)

    def too_new(self, cutoff: int) -> Keys:
        """Those that were stored at `cutoff` or later."""
        return self.ids[self.created >= cutoff]

    def before(self, cutoff: int) -> Objects:
        """Those that were stored before `cutoff` (us)."""
        return self.take(self.created < cutoff)

    def raw(self) -> npt.NDArray[np.uint8]:
        """The ids as uint8[n, 12]."""
        return np.ascontiguousarray(self.ids).view(np.uint8).reshape(len(self), 12)

    def take(self, rows: Mask | slice) -> Objects:
        """Some of them."""
        return Objects(self.ids[rows], self.size[rows], self.created[rows])


def kept_rows(info: RepoInfo, stored: Objects, cutoff: int) -> Mask:
    """Which snapshots of a spec 2 repository stay in its list.

    Those that branches and tags lead to, and those whose file is not listed as `stored`
    before `cutoff` (us).
    """
    table = info.snapshots
    keys = sort_keys(table.rows["id"])
    kept = ~np.isin(keys, stored.ids) | np.isin(keys, stored.too_new(cutoff))
    # What everything else goes back to is no garbage even if no branch does.
    return kept | reached_rows(info) | (table.parent < 0)


def reached_rows(info: RepoInfo) -> Mask:
    """Which snapshots branches and tags lead to."""
    table = info.snapshots
    reached = np.zeros(len(table), np.bool_)
    for tip in (*info.branches.values(), *info.tags.values()):
        for row in table.ancestry(table.find(tip)):
            if reached[row]:
                break
            reached[row] = True
    return reached


def logs_to_keep(table: SnapshotTable) -> Keys:
    """The transaction logs of these snapshots, and those that they have taken over."""
    rows = table.rows
    pruned = table.pruned_ids[run_items(rows["pruned_start"], rows["pruned_count"])]
    return np.unique(np.concatenate([sort_keys(rows["id"]), sort_keys(pruned)]))


def drop(info: RepoInfo, known: Keys, gone: Keys, garbage: Keys) -> RepoInfo:
    """The repository without the snapshots `gone`.

    A kept snapshot whose parent goes is attached to its nearest ancestor that stays, and takes
    over the logs of those in between. known: the snapshots that were judged; garbage: those
    whose files will be deleted. `Depends` if anything that came later needs one that goes.
    """
    table = info.snapshots
    keys = sort_keys(table.rows["id"])
    going = np.isin(keys, gone)
    new = ~np.isin(keys, known)
    parents = table.parent
    orphans = ~going & (parents >= 0) & going[parents]
    tips = [table.find(tip) for tip in (*info.branches.values(), *info.tags.values())]
    if going[tips].any() or (orphans & new).any() or np.isin(keys[new], garbage).any():
        raise Depends
    return replace(info, snapshots=thinned(table, going)) if going.any() else info
