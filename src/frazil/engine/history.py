"""Reading what happened: the difference between two snapshots, a session's changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.format.history import SnapshotRecord
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.diff import diff
from frazil.progress import task
from frazil.snapshots import Diff
from frazil.storage.pool import WORKERS, map_parallel

T = TypeVar("T")

logger = logging.getLogger(__name__)


def status(workspace: Workspace) -> Diff:
    """The uncommitted changes."""
    with workspace.lock:
        changes, nodes = workspace.changes, workspace.nodes
        created = {node.id: node.path for node in changes.created.values()}

        def path_of(id_: NodeId) -> str | None:
            return created.get(id_) or nodes.path_of(nodes.find_id(id_))

        return diff([changes.log(workspace.snapshot_id, workspace.net_moves())], path_of)


def diff_between(library: Library, catalog: Catalog, older: SnapshotId, newer: SnapshotId) -> Diff:
    """What the commits after `older` up to `newer` changed.

    Raises `InvalidInputError` (`bad-snapshot-chain-for-diff`) unless `older` is an ancestor of
    `newer`.
    """
    between = commits_between(catalog, older, newer)
    if not between:
        raise InvalidInputError(
            f"both versions are snapshot {older}: there is nothing between them"
            if older == newer
            else f"snapshot {older} is not in the history of {newer}: give the older version first",
            ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
        )
    ids = [id_ for record in between for id_ in (*record.pruned, record.id)]
    before, after = map_parallel(library.snapshot, [older, newer])

    def path_of(id_: NodeId) -> str | None:
        for nodes in (after.nodes, before.nodes):
            row = nodes.find_id(id_)
            if row >= 0:
                return nodes.path_of(row)
        return None

    # A log is decoded in the time that threads take to hand over: they help where reading waits.
    limit = 1 if library.backend.local else WORKERS + 1
    logs = read_logs(ids, lambda id_: log_if_any(library, id_), limit=limit)
    return diff([log for log in logs if log is not None], path_of)


def read_logs(
    ids: Sequence[SnapshotId], read: Callable[[SnapshotId], T], *, limit: int = WORKERS + 1
) -> list[T]:
    """What `read` returns for each of these commits, at most `limit` at a time."""

    def step(id_: SnapshotId) -> T:
        log = read(id_)
        progress.step()
        return log

    with task("Reading transaction logs", len(ids)) as progress:
        return map_parallel(step, ids, limit=limit)


def commits_between(catalog: Catalog, older: SnapshotId, newer: SnapshotId) -> list[SnapshotRecord]:
    """The commits after a snapshot up to another, oldest first; none if they are not in line."""
    commits: list[SnapshotRecord] = []
    for record in catalog.ancestry(newer):
        if record.id == older:
            return commits[::-1]
        commits.append(record)
    return []


def log_if_any(library: Library, id_: SnapshotId) -> TransactionLog | None:
    """What a commit changed; None, with a warning in the log, if that was lost."""
    try:
        return library.transaction_log(id_)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        logger.warning(
            "the changes of commit %s are not recorded and missing in the diff; Repository.repair "
            "tells them from the snapshots",
            id_,
        )
        return None
