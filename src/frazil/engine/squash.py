"""Snapshots that show what others show, with another history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from frazil.engine.difference import changes_between
from frazil.engine.history import commits_between, read_logs
from frazil.engine.ref_changes import MERGE, Purpose, RefChange, observed
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.format.history import SnapshotRecord
from frazil.format.jsonvalue import normalize
from frazil.format.snapshot import Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import SnapshotId
from frazil.model.descent import MERGE_PARENTS, merge_parents, with_own
from frazil.model.moments import Moment
from frazil.model.moves import compound
from frazil.model.refs import next_time
from frazil.storage.pool import map_parallel


def squash(
    core: RepositoryCore, branch: str, after: SnapshotId, message: str, metadata: dict[str, Any]
) -> SnapshotId:
    """Put one commit in the place of those after `after` up to the tip of a branch.

    Raises `InvalidInputError` unless `after` is before the tip, and `ConflictError` if the
    branch moves meanwhile.
    """
    core.check_writable()
    tip = core.catalog.commit_tip(branch)
    since = core.catalog.moment()
    commits = commits_between(core.catalog, after, tip)
    if not commits:
        raise InvalidInputError(
            f"there are no commits to squash: {after} is not before the tip of {branch!r}",
            ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
        )
    merged = [str(id_) for record in commits for id_ in merge_parents(record.metadata)]
    if merged:
        metadata = with_own(metadata, **{MERGE_PARENTS: merged})
    change = RefChange(Purpose("commit", "squash"), branch, tip, None, tip, message, metadata)
    with observed(core.observer, change) as know:
        record = _store(core, tip, after, message, metadata)
        core.catalog.amend_commit(branch, tip, record, since=since)
        know(record.id)
    return record.id


def add_on_top(
    core: RepositoryCore,
    branch: str,
    tip: SnapshotId,
    shown: SnapshotId,
    since: Moment,
    message: str,
    metadata: dict[str, Any],
) -> SnapshotId:
    """Merge by a commit that shows what `shown` does; `ConflictError` if the branch moved."""
    change = RefChange(MERGE, branch, tip, None, shown, message, metadata)
    with observed(core.observer, change) as know:
        record = _store(core, shown, tip, message, metadata)
        core.catalog.add_commit(branch, record, since=since)
        know(record.id)
    return record.id


def _store(
    core: RepositoryCore,
    shown: SnapshotId,
    parent: SnapshotId,
    message: str,
    metadata: dict[str, Any],
) -> SnapshotRecord:
    """Store a snapshot with the nodes of `shown` after another one, and its log."""
    library = core.library
    snapshot, before = map_parallel(library.snapshot, [shown, parent])
    id_ = library.new_id(SnapshotId)
    now = next_time(library.now(), max(snapshot.flushed_at, before.flushed_at))
    metadata = normalize(core.default_metadata | metadata)
    library.write_log(_log_between(core, before, snapshot, id_))
    record = SnapshotRecord(
        id=id_, parent=parent, flushed_at=now, message=message, metadata=metadata, pruned=()
    )
    library.write_snapshot(library.snapshot_of(record, snapshot.nodes, snapshot.manifests))
    return record


def _log_between(
    core: RepositoryCore, before: Snapshot, after: Snapshot, id_: SnapshotId
) -> TransactionLog:
    """What the commits from one snapshot to another changed; or, if they are not in one line or
    are no longer recorded, how the snapshots differ.
    """
    commits = commits_between(core.catalog, before.id, after.id)
    ids = [i for record in commits for i in (*record.pruned, record.id)]
    try:
        logs = read_logs(ids, core.library.transaction_log)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        logs = []
    if not logs:
        changes, moves = changes_between(core.library, before, after)
        return changes.log(id_, moves)
    if not any(log.moves for log in logs):
        return TransactionLog.union(logs, id=id_)
    union = logs[0]
    for log in logs[1:]:
        moves = compound(union, log)
        union = replace(TransactionLog.union([union, log], id=id_), moves=moves)
    return replace(union, id=id_)
