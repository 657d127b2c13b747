"""From a session's changes to a new snapshot that a branch points at.

The order of writes: chunks, then manifests, then snapshot and transaction log, then the
reference, by compare-and-swap. Nothing refers to what is not stored yet, so a process may die
after any step and no reader notices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from frazil.arguments import instance_of
from frazil.engine.manifests import ManifestWriter, Plan, Rewritten
from frazil.engine.workspace import Workspace
from frazil.errors import (
    ConflictError,
    ErrorKind,
    FormatError,
    SessionStateError,
    SnapshotNotFoundError,
    StorageError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.jsonvalue import normalize
from frazil.format.snapshot import Node, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.uploads import Uploads
from frazil.model.descent import joined
from frazil.model.moments import NEVER, Moment
from frazil.model.moves import compound
from frazil.model.refs import check_amendable, next_time
from frazil.storage.pool import map_parallel

if TYPE_CHECKING:
    from frazil.conflicts import ConflictSolver

Metadata = dict[str, Any]
Publish = Callable[[SnapshotRecord, Uploads], None]
"""Makes a snapshot visible, after what is being uploaded is stored."""

BACKOFF_SECONDS = 0.005
MAX_BACKOFF_SECONDS = 0.5


class Committer:
    """Commits the changes of one workspace; not for several threads at once."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        manifests: ManifestWriter,
        since: Moment,
        borrowed: Sequence[SnapshotId] = (),
    ) -> None:
        """since: before the base was read. borrowed: of what snapshots the changes may be.

        Whatever makes a snapshot visible raises `Collected` if what it refers to may be gone since
        then; see `look_again`.
        """
        self._since = since
        self._borrowed = list(borrowed)
        self._workspace = workspace
        self._catalog = catalog
        self._manifests = manifests
        self._stored_for_forks: tuple[object, SnapshotId] | None = None

    def commit(
        self,
        branch: str,
        message: str,
        metadata: Metadata,
        *,
        rebase_with: ConflictSolver | None,
        rebase_tries: int,
        allow_empty: bool,
        approve: Callable[[], None] | None = None,
    ) -> SnapshotId:
        """Make the changes the next commit of the branch; the workspace becomes read-only.

        approve: called before each try, once the session is at the tip; what it raises ends it.
        With a solver, commits that were there first are rebased over, at most `rebase_tries`
        times, and how often is recorded in the metadata. Raises `ConflictError` when the
        branch has moved, `RebaseFailedError` when the changes exclude each other; the changes
        are kept then.
        """
        self._check_changes(allow_empty)
        with ExitStack() as line:
            attempts = 0
            while True:
                try:
                    tagged = metadata
                    if rebase_with is not None:
                        tagged = joined(metadata, "__icechunk", {"rebase_attempts": attempts})
                    return self._try(branch, message, tagged, approve)
                except ConflictError as error:
                    lost = error.kind == ErrorKind.COMMIT_CONFLICT
                    if not lost or rebase_with is None or attempts >= rebase_tries:
                        raise
                if attempts == 0:
                    line.enter_context(self._workspace.library.backend.turn())
                else:
                    time.sleep(pause(attempts))
                attempts += 1
                # Here, and not above: with what it needs it is a tenth of all modules.
                from frazil.engine.rebase import rebase

                rebase(self._workspace, self._catalog, branch, rebase_with)

    def _try(
        self, branch: str, message: str, metadata: Metadata, approve: Callable[[], None] | None
    ) -> SnapshotId:
        """Commit if the branch is where the session began; `ConflictError` otherwise."""
        since = self._since  # as of the plan: what hooks do may lead to another base
        plan = self._plan()

        def check() -> None:
            tip = self._catalog.commit_tip(branch)
            if tip != self._workspace.snapshot_id:
                raise ConflictError(str(self._workspace.snapshot_id), str(tip))
            self._catalog.check_kept(since)

        self._meanwhile(check, plan)
        if approve is not None:
            approve()
        publish = partial(self._catalog.add_commit, branch, since=since)
        return self._publish(message, metadata, publish, plan)

    def doubt(self) -> None:
        """Look again before anything is made visible."""
        self._since = NEVER

    def look_again(self) -> None:
        """After `Collected`: see whether the changes can still be committed, and on what.

        Raises what `frazil.engine.survival.look_again` does.
        """
        from frazil.engine.survival import look_again

        self._since = look_again(self._workspace, self._catalog, self._borrowed)
        # Of an earlier try, which may be long ago.
        self._manifests.forget()
        self._stored_for_forks = None

    def _meanwhile(self, check: Callable[[], None], plan: Plan) -> None:
        """Check something; where that takes a network, store chunks and read manifests as well."""
        workspace = self._workspace
        if workspace.library.backend.local:
            check()
            return

        def read() -> None:
            with suppress(StorageError, FormatError):  # told when it is needed
                self._manifests.fetch(plan)

        steps = [check, read]
        if workspace.writer is not None:
            steps.append(workspace.writer.flush)
        map_parallel(lambda step: step(), steps)

    def _plan(self) -> Plan:
        """What is to be done with manifests."""
        workspace = self._workspace
        changes, nodes = workspace.changes, workspace.base.nodes
        created = {node.id: node for node in changes.created.values()}

        def current(id_: NodeId) -> Node:
            node = created.get(id_) or changes.updated.get(id_)
            return node if node is not None else nodes.node(nodes.find_id(id_))

        return self._manifests.plan(
            [
                (current(id_), edits)
                for id_, edits in changes.chunks.items()
                if edits or edits.shrunk
            ],
            workspace.nodes,
            workspace.base.manifests,
            lambda node: None if node.id in changes.deleted else changes.updated.get(node.id, node),
        )

    def amend(
        self,
        branch: str,
        message: str,
        metadata: Metadata,
        *,
        allow_empty: bool,
        approve: Callable[[], None] | None = None,
    ) -> SnapshotId:
        """Put the branch's tip together with the changes in the place of the tip."""
        catalog, workspace = self._catalog, self._workspace
        assert isinstance(catalog, CatalogV2)
        self._check_changes(allow_empty)
        tip = catalog.commit_tip(branch)
        check_amendable(tip)
        replaced = workspace.snapshot_id
        if tip != replaced:
            raise ConflictError(str(replaced), str(tip))
        catalog.check_kept(self._since)
        log = workspace.library.transaction_log(replaced)
        if log.moves and not workspace.moves_only:
            raise SessionStateError(
                f"the newest commit of {branch!r} moves nodes, and a commit holds either moves or "
                "other changes: commit these instead of amending",
                ErrorKind.REARRANGE_SESSION_ONLY,
            )
        if approve is not None:
            approve()
        return self._publish(
            message,
            metadata,
            partial(catalog.amend_commit, branch, replaced, since=self._since),
            self._plan(),
            instead_of=(catalog.record(replaced), log),
        )

    def flush(self, message: str, metadata: Metadata) -> SnapshotId:
        """Store the changes as a snapshot that no branch points at."""
        publish = partial(self._catalog.add_detached, since=self._since)
        return self._publish(message, metadata, publish, self._plan())

    def base_of_fork(self) -> SnapshotId:
        """A snapshot that shows what the workspace shows, its changes included.

        Changes are stored as a detached snapshot, once while they stay the same.
        """
        workspace = self._workspace
        if workspace.changes.is_empty():
            return workspace.snapshot_id
        mark = workspace.snapshot_id, workspace.changes.mark()
        if self._stored_for_forks is None or self._stored_for_forks[0] != mark:
            snapshot = self._store("fork", {}, self._list_for_forks, self._plan())
            self._borrowed.append(snapshot.id)
            self._stored_for_forks = mark, snapshot.id
        return self._stored_for_forks[1]

    def save_anonymously(self, metadata: Metadata) -> SnapshotId:
        """Store the changes as a snapshot that is not recorded anywhere."""
        return self._store("fork", metadata, self._leave_unlisted, self._plan()).id

    def _list_for_forks(self, record: SnapshotRecord, uploads: Uploads) -> None:
        try:
            self._catalog.add_detached(record, uploads, since=self._since)
        except SnapshotNotFoundError:
            # The base has expired, and nothing is listed after what is not.
            self._leave_unlisted(record, uploads)

    def _leave_unlisted(self, record: SnapshotRecord, uploads: Uploads) -> None:
        uploads.wait()
        self._workspace.library.backend.sync()

    def rehearse(self, uploads: Uploads) -> None:
        """Hand what a commit stores to `uploads`, and leave it at that."""
        self._upload(uploads, "", {}, self._plan(), None)

    def _check_changes(self, allow_empty: bool) -> None:
        changes = self._workspace.changes
        # Changes that a rebase found in the other commits are no mistake of the caller.
        if changes.is_empty() and not (allow_empty or changes.rebased):
            raise SessionStateError(
                "there are no changes to commit (allow_empty=True commits all the same)",
                ErrorKind.NO_CHANGES_TO_COMMIT,
            )

    def _publish(
        self,
        message: str,
        metadata: Metadata,
        publish: Publish,
        plan: Plan,
        instead_of: tuple[SnapshotRecord, TransactionLog] | None = None,
    ) -> SnapshotId:
        """Store all files of the changes, make them visible, and freeze the workspace."""
        snapshot = self._store(message, metadata, publish, plan, instead_of)
        self._workspace.freeze(snapshot)
        return snapshot.id

    def _store(
        self,
        message: str,
        metadata: Metadata,
        publish: Publish,
        plan: Plan,
        instead_of: tuple[SnapshotRecord, TransactionLog] | None = None,
    ) -> Snapshot:
        """Store all files of the changes, and make them visible once they are."""
        uploads = Uploads(self._workspace.library.backend)
        try:
            snapshot, record = self._upload(uploads, message, metadata, plan, instead_of)
            try:
                publish(record, uploads)
            except ConflictError:
                uploads.wait()  # the next try refers to the same manifests
                raise
        except BaseException as error:
            if not isinstance(error, ConflictError):
                self._manifests.forget()  # nobody knows which of them are stored
            raise
        return snapshot

    def _upload(
        self,
        uploads: Uploads,
        message: str,
        metadata: Metadata,
        plan: Plan,
        instead_of: tuple[SnapshotRecord, TransactionLog] | None,
    ) -> tuple[Snapshot, SnapshotRecord]:
        """Hand all files of the changes to `uploads`, each as soon as it is known."""
        instance_of(str, "message", message)
        metadata = normalize(metadata)
        workspace, library = self._workspace, self._workspace.library
        if workspace.writer is not None:
            workspace.writer.flush()
        base = workspace.base
        id_ = library.new_id(SnapshotId)
        rewritten = self._manifests.write(plan, uploads)
        log = workspace.changes.log(id_, workspace.net_moves())
        parent: SnapshotId | None = base.id
        pruned: tuple[SnapshotId, ...] = ()
        if instead_of is not None:
            replaced, replaced_log = instead_of
            parent, pruned = replaced.parent, replaced.pruned
            log = replace(
                TransactionLog.union([replaced_log, log], id=id_),
                moves=compound(replaced_log, log),
            )
        library.write_log(log, uploads)
        snapshot = _snapshot(
            workspace,
            rewritten,
            id_=id_,
            parent=parent,
            flushed_at=next_time(library.now(), base.flushed_at),
            message=message,
            metadata=metadata,
        )
        library.write_snapshot(snapshot, uploads)
        record = SnapshotRecord(
            id=id_,
            parent=parent,
            flushed_at=snapshot.flushed_at,
            message=message,
            metadata=metadata,
            pruned=pruned,
        )
        return snapshot, record


def _snapshot(
    workspace: Workspace,
    rewritten: Rewritten,
    *,
    id_: SnapshotId,
    parent: SnapshotId | None,
    flushed_at: int,
    message: str,
    metadata: Metadata,
) -> Snapshot:
    """The base with all changes applied; only changed nodes are handled one by one."""
    base, before, changes = workspace.base, workspace.nodes, workspace.changes
    nodes = {node.path: node for node in changes.updated.values()}
    nodes |= changes.created
    nodes |= {node.path: node for node in rewritten.nodes}
    gone = {node.path for node in changes.deleted.values()} | set(nodes)
    rows = np.array([row for path in gone if (row := before.find(path)) >= 0], np.intp)
    table = before.replace(rows, nodes.values())
    return Snapshot(
        id=id_,
        parent_id=parent if workspace.spec == 1 else None,
        flushed_at=flushed_at,
        message=message,
        metadata=metadata,
        nodes=table,
        manifests=base.manifests.select(table.manifest_ids(), rewritten.new),
    )


def pause(attempts: int) -> float:
    """Seconds to wait after a lost race: random, so that the racers part."""
    return random.uniform(0, min(BACKOFF_SECONDS * 2.0 ** min(attempts, 10), MAX_BACKOFF_SECONDS))
