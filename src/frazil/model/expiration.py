"""Which snapshots an expiration releases, and what those that stay are attached to.

A snapshot is old if it was made before the given time; the root of the history never is
released. What is released is only taken out of the history here: a garbage collection deletes
the files.

Spec 2. Tips of branches and tags that stay are kept, however old; every other old snapshot is
released, those without a branch among them. A kept snapshot whose parent is released gets the
root as its parent, even if an older one in between is kept, and takes over the transaction logs
of all its ancestors, so that differences stay known.

Spec 1. The history is in the snapshot files. For each reference, the oldest snapshot that is not
old, or else its tip, gets the root as its parent; everything old that it led to is released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.ragged import run_items, sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.ids import SnapshotId
from frazil.model.keys import Keys
from frazil.model.refs import MAIN, UNSTAMPED


@dataclass(frozen=True, slots=True)
class Expired:
    """The result for a spec 2 repository: its new state, and the ids that are not in it."""

    info: RepoInfo
    released: Keys

    def edit(self) -> tuple[RepoInfo, Update]:
        """The new state with its entry of the operations log."""
        return self.info, Update(UpdateKind.EXPIRATION_RAN, UNSTAMPED)


def expire(info: RepoInfo, older_than: int, *, delete_branches: bool, delete_tags: bool) -> Expired:
    """Expire what was made before `older_than` (us since the epoch) in a spec 2 repository.

    delete_branches, delete_tags: delete those whose tip is old, but never `main`.
    """
    table = info.snapshots
    old = (table.flushed_at < max(older_than, 0)) & (table.parent >= 0)

    def is_old(tip: SnapshotId) -> bool:
        return bool(old[table.find(tip)])

    gone_branches = {
        name
        for name, tip in info.branches.items()
        if delete_branches and name != MAIN and is_old(tip)
    }
    gone_tags = {name for name, tip in info.tags.items() if delete_tags and is_old(tip)}
    branches = {n: tip for n, tip in info.branches.items() if n not in gone_branches}
    tags = {n: tip for n, tip in info.tags.items() if n not in gone_tags}
    released = old.copy()
    released[[table.find(tip) for tip in (*branches.values(), *tags.values())]] = False
    return Expired(
        replace(
            info,
            branches=branches,
            tags=tags,
            deleted_tags=info.deleted_tags | gone_tags,
            snapshots=without(table, released),
        ),
        sort_keys(table.rows["id"][released]),
    )


def without(table: SnapshotTable, released: npt.NDArray[np.bool_]) -> SnapshotTable:
    """The history without these snapshots; those attached to one go to the root."""
    parents = table.parent
    orphans = np.flatnonzero(~released & (parents >= 0) & released[parents])
    steps = parents.tolist()
    moved = [_to_root(table, steps, row) for row in orphans.tolist()]
    return table.replace(moved).keep(~released) if moved else table.keep(~released)


def _to_root(table: SnapshotTable, parents: list[int], row: int) -> SnapshotRecord:
    """The snapshot with the root as parent, and the logs of all its ancestors."""
    line = []
    for _ in parents:
        line.append(row)
        row = parents[row]
        if row < 0:
            break
    else:
        list(table.ancestry(row))  # raises: it goes round in a circle
    orphan, *between, root = line
    record = table.record(orphan)
    return replace(
        record, parent=table.id_of(root), pruned=(*logs_of(table, between), *record.pruned)
    )


def thinned(table: SnapshotTable, going: npt.NDArray[np.bool_]) -> SnapshotTable:
    """The history without the rows `going`, roots never among them.

    A kept snapshot whose parent goes is attached to its nearest kept ancestor, and takes over
    the logs of those in between.
    """
    steps, moved = table.parent.tolist(), []
    for row, ancestor in attached(table.parent, going).items():
        between, step = [], steps[row]
        while step != ancestor:
            between.append(step)
            step = steps[step]
        record = table.record(row)
        logs = (*logs_of(table, between), *record.pruned)
        moved.append(replace(record, parent=table.id_of(ancestor), pruned=logs))
    return (table.replace(moved) if moved else table).keep(~going)


def attached(parent: npt.NDArray[np.signedinteger], going: npt.NDArray[np.bool_]) -> dict[int, int]:
    """The nearest kept ancestor of each kept row whose parent goes; `FormatError` in a circle."""
    steps, gone, found = parent.tolist(), going.tolist(), {}
    orphans = ~going & (parent >= 0) & going[parent]
    for row in np.flatnonzero(orphans).tolist():
        ancestor = steps[row]
        for _ in steps:
            if not gone[ancestor]:
                break
            ancestor = steps[ancestor]
        else:
            raise FormatError(
                "repo: the ancestors of a snapshot form a circle; the file is damaged, earlier "
                "versions of it are in overwritten/",
                ErrorKind.INVALID_FILE_FORMAT,
            )
        found[row] = ancestor
    return found


def logs_of(table: SnapshotTable, rows: Sequence[int]) -> list[SnapshotId]:
    """The logs that these snapshots, newest first, stand for; oldest first."""
    taken = table.rows[np.array(rows[::-1], np.intp)]
    count = np.maximum(taken["pruned_count"], 0)
    own = np.cumsum(count + 1) - 1
    logs = np.empty(len(taken) + int(count.sum()), "V12")
    others = np.ones(len(logs), np.bool_)
    others[own] = False
    logs[own] = taken["id"]
    logs[others] = table.pruned_ids[run_items(taken["pruned_start"], count)]
    return list(map(SnapshotId, logs.tolist()))


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag of a spec 1 repository."""

    name: str
    is_tag: bool
    tip: SnapshotId


@dataclass(frozen=True, slots=True)
class PlanV1:
    """What to do in a spec 1 repository.

    parents: snapshots that get another parent, and that one; released: what the history does
    not need any more, and also old tips, which the files of references still name.
    """

    parents: Mapping[SnapshotId, SnapshotId]
    released: frozenset[SnapshotId]
    deleted: tuple[Ref, ...]


Line = Sequence[tuple[SnapshotId, int]]
"""A snapshot and all before it down to the root, each with its time in us."""


def plan_v1(
    lines: Mapping[SnapshotId, Line],
    refs: Iterable[Ref],
    older_than: int,
    *,
    delete_branches: bool,
    delete_tags: bool,
) -> PlanV1:
    """Plan an expiration in a spec 1 repository; `lines` has the history of each tip."""
    to_root: dict[SnapshotId, SnapshotId] = {}
    released: set[SnapshotId] = set()
    deleted = []
    for ref in refs:
        line = lines[ref.tip]
        if (delete_tags if ref.is_tag else delete_branches and ref.name != MAIN) and (
            line[0][1] < older_than
        ):
            deleted.append(ref)
            released.update(id_ for id_, _ in line[:-1])
            continue
        first_old = next((i for i, (_, made) in enumerate(line) if made < older_than), len(line))
        oldest = max(first_old - 1, 0)
        if oldest + 2 < len(line):  # there is something between it and the root
            to_root[line[oldest][0]] = line[-1][0]
            released.update(id_ for id_, made in line[oldest:-1] if made < older_than)
    return PlanV1(to_root, frozenset(released), tuple(deleted))
