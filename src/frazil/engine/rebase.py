"""Moving a session's changes onto commits that were there first."""

from __future__ import annotations

from dataclasses import replace

from frazil.conflicts import ConflictSolver
from frazil.engine.workspace import Workspace
from frazil.errors import (
    ErrorKind,
    InternalError,
    RebaseFailedError,
    SessionStateError,
    StorageError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import NodeTable, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.conflicts import Found, detect, resolve
from frazil.storage.pool import map_parallel


def rebase(workspace: Workspace, catalog: Catalog, branch: str, solver: ConflictSolver) -> None:
    """Make the tip of the branch the base of the workspace's changes.

    The commits in between are checked oldest first. Raises `RebaseFailedError` at the first
    with a conflict that the solver leaves; the workspace stays on the last one that fits.
    """
    library = workspace.library
    tip = catalog.commit_tip(branch)
    commits = _commits_since(catalog, workspace.snapshot_id, tip)
    if not commits:
        return
    workspace.changes.rebased |= not workspace.changes.is_empty()
    logs = map_parallel(lambda record: _logs(library, record), commits)
    latest = library.snapshot(tip)
    if not any(_detect(workspace, log, latest) for group in logs for log in group):
        # The usual case: one step, without reading the snapshots in between.
        _move(workspace, latest)
        return
    for record, group in zip(commits, logs, strict=True):
        snapshot = library.snapshot(record.id)
        found = [item for log in group for item in _detect(workspace, log, snapshot)]
        resolution = resolve(found, solver)
        if resolution.unsolved:
            raise RebaseFailedError(str(record.id), resolution.unsolved)
        for node, chunks in resolution.dropped:
            workspace.changes.chunks[node].drop(chunks)
        _move(workspace, snapshot)


def _detect(workspace: Workspace, log: TransactionLog, theirs: Snapshot) -> list[Found]:
    return detect(workspace.changes, workspace.base.nodes, log, theirs.nodes)


def _commits_since(catalog: Catalog, base: SnapshotId, tip: SnapshotId) -> list[SnapshotRecord]:
    """The commits after `base` up to `tip`, oldest first."""
    commits: list[SnapshotRecord] = []
    for record in catalog.ancestry(tip):
        if record.id == base:
            return commits[::-1]
        commits.append(record)
    raise InternalError(
        f"snapshot {base}, on which this session is based, is no longer in the history of the "
        "branch: somebody reset it; write the changes again in a new session",
        ErrorKind.CONFLICTING_PATH_NOT_FOUND,
    )


def _logs(library: Library, record: SnapshotRecord) -> list[TransactionLog]:
    try:
        return map_parallel(library.transaction_log, [*record.pruned, record.id])
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise SessionStateError(
            f"the changes of commit {record.id} or of one before it are not recorded any more, "
            "so nobody can tell whether they conflict: write the changes again in a new session",
            ErrorKind.REBASE_TX_LOG_PRUNED,
        ) from error


def _move(workspace: Workspace, base: Snapshot) -> None:
    """Put the changes on another base, in which their nodes may have other manifests."""
    nodes: NodeTable = base.nodes
    with workspace.lock:
        changes = workspace.changes
        for id_, node in list(changes.updated.items()):
            theirs = nodes.node(nodes.find_id(id_))
            changes.updated[id_] = replace(node, manifests=theirs.manifests)
        for id_ in [id_ for id_ in changes.deleted if nodes.find_id(id_) < 0]:
            del changes.deleted[id_]
        workspace.rebase_onto(base)
