"""The `repo` object of a repository that comes from spec 1: pure.

The log of operations is made up from what the snapshots say: each commit at its time, branches
and tags a millisecond after the commit that they point at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Status, Update, UpdateKind, UpdateTable
from frazil.ids import SnapshotId
from frazil.model.refs import MAIN

MILLISECOND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is in a spec 1 repository.

    deleted_tags: with what they pointed at; snapshots: all that branches and tags lead to, or
    more; config: the stored configuration document.
    """

    branches: Mapping[str, SnapshotId]
    tags: Mapping[str, SnapshotId]
    deleted_tags: Mapping[str, SnapshotId]
    snapshots: Mapping[SnapshotId, SnapshotRecord]
    config: dict[str, Any] | None


def reachable(contents: Contents) -> dict[SnapshotId, SnapshotRecord]:
    """The snapshots that branches, `main` first, and tags lead to, in the order of finding them."""
    found: dict[SnapshotId, SnapshotRecord] = {}
    for _, tip in (*_in_order(contents.branches), *sorted(contents.tags.items())):
        found |= {record.id: record for record in _line(contents, tip, found)}
    return found


def _line(
    contents: Contents, tip: SnapshotId, known: Mapping[SnapshotId, Any]
) -> Iterator[SnapshotRecord]:
    id_: SnapshotId | None = tip
    while id_ is not None and id_ not in known:
        record = contents.snapshots[id_]
        yield record
        id_ = record.parent


def _in_order(branches: Mapping[str, SnapshotId]) -> list[tuple[str, SnapshotId]]:
    return sorted(branches.items(), key=lambda item: (item[0] != MAIN, item[0]))


def migrated(contents: Contents, now: int) -> RepoInfo:
    """The spec 2 repository with these contents; now: us since the epoch."""
    kept = reachable(contents)
    root = min((r for r in kept.values() if r.parent is None), key=lambda r: r.flushed_at)
    updates = _spread(sorted(_events(contents, kept, root), key=lambda event: event.updated_at))
    last = updates[-1].updated_at
    updates.append(
        Update(UpdateKind.REPO_MIGRATED, max(now, last + 1), from_version=1, to_version=2)
    )
    return RepoInfo(
        tags=dict(contents.tags),
        branches=dict(contents.branches),
        deleted_tags=frozenset(contents.deleted_tags),
        snapshots=SnapshotTable.of(kept.values()),
        status=Status(set_at=root.flushed_at),
        updates=UpdateTable.of(updates[::-1]),
        config=contents.config,
    )


def _events(
    contents: Contents, kept: Mapping[SnapshotId, SnapshotRecord], root: SnapshotRecord
) -> Iterator[Update]:
    """In the order that counts where times are the same."""

    def time_of(id_: SnapshotId) -> int:
        return kept[id_].flushed_at if id_ in kept else root.flushed_at

    yield Update(UpdateKind.REPO_INITIALIZED, root.flushed_at)
    told: dict[SnapshotId, SnapshotRecord] = {}
    for branch, tip in _in_order(contents.branches):
        for record in list(_line(contents, tip, told)):
            told[record.id] = record
            if record.parent is not None:
                yield Update(UpdateKind.NEW_COMMIT, record.flushed_at, name=branch, new=record.id)
    for branch, tip in _in_order(contents.branches):
        if branch != MAIN:
            at = time_of(tip) + MILLISECOND
            yield Update(UpdateKind.BRANCH_CREATED, at, name=branch)
    for tag, target in sorted(contents.tags.items()):
        yield Update(UpdateKind.TAG_CREATED, time_of(target) + MILLISECOND, name=tag)
    for tag, target in sorted(contents.deleted_tags.items()):
        at = time_of(target) + MILLISECOND
        yield Update(UpdateKind.TAG_CREATED, at, name=tag)
        yield Update(UpdateKind.TAG_DELETED, at + MILLISECOND, name=tag, previous=target)


def _spread(updates: Iterable[Update]) -> list[Update]:
    """The same entries, each at least a microsecond after the one before."""
    spread: list[Update] = []
    for update in updates:
        if spread and update.updated_at <= spread[-1].updated_at:
            update = replace(update, updated_at=spread[-1].updated_at + 1)
        spread.append(update)
    return spread
