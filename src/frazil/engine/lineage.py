"""The commits that a session has to be put on top of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from frazil.errors import ErrorKind, InternalError, SnapshotNotFoundError
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Snapshot
from frazil.format.updates import UpdateKind
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2


@dataclass(frozen=True, slots=True)
class Line:
    """What is on a branch since a snapshot.

    substitute: the commit that took the snapshot's place, None if the snapshot itself is in
    the history of the branch, or was until it expired; commits: those after it, oldest first.
    The `pruned` of the first one leaves out what does not come after the snapshot.
    """

    substitute: SnapshotRecord | None
    commits: list[SnapshotRecord]


def line_since(catalog: Catalog, branch: str, base: Snapshot, tip: SnapshotId) -> Line:
    """The commits after `base` up to `tip`.

    Raises `InternalError` (`conflicting-path-not-found`) if the history of the tip has neither
    the snapshot nor what it was amended or squashed to.
    """
    commits: list[SnapshotRecord] = []
    for record in catalog.ancestry(tip):
        if record.id == base.id:
            return Line(None, commits[::-1])
        if base.id in record.pruned:
            # The base has expired, and this commit took over the logs of what followed it.
            after = record.pruned[record.pruned.index(base.id) + 1 :]
            return Line(None, [replace(record, pruned=after), *commits[::-1]])
        commits.append(record)
    successors = _successors(catalog, branch, base)
    for i, record in enumerate(commits):
        if record.id in successors:
            return Line(record, commits[:i][::-1])
    raise InternalError(
        f"snapshot {base.id}, on which this session is based, is no longer in the history of the "
        "branch: somebody reset it; write the changes again in a new session",
        ErrorKind.CONFLICTING_PATH_NOT_FOUND,
    )


def _successors(catalog: Catalog, branch: str, base: Snapshot) -> set[SnapshotId]:
    """The commits by which a snapshot, or one that follows it, was replaced on a branch."""
    if not isinstance(catalog, CatalogV2):
        return set()
    found: set[SnapshotId] = set()
    # Oldest first, so that what was amended twice is followed.
    for previous, new in reversed(list(_replacements(catalog, branch, base.flushed_at))):
        if previous in found or _descends(catalog, previous, base):
            found.add(new)
    return found


def _replacements(
    catalog: CatalogV2, branch: str, since: int
) -> Iterator[tuple[SnapshotId, SnapshotId]]:
    """Which tips of a branch were replaced by which commits, newest first."""
    for update in catalog.ops_log():
        if update.updated_at < since:
            return
        if update.kind is UpdateKind.COMMIT_AMENDED and update.name == branch:
            assert update.previous is not None
            assert update.new is not None
            yield update.previous, update.new


def _descends(catalog: Catalog, id_: SnapshotId, base: Snapshot) -> bool:
    """Whether a snapshot is `base` or follows it; what is no longer listed does not."""
    if id_ == base.id:
        return True
    try:
        for record in catalog.ancestry(id_):
            if record.id == base.id:
                return True
            if record.flushed_at < base.flushed_at:
                return False
    except SnapshotNotFoundError:
        pass
    return False
