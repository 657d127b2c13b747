"""What stands behind a session: its workspace, its branch, and what it may still do.

| mode | made for | can |
|---|---|---|
| readonly | a snapshot, or after a commit | be read, flushed |
| writable | a branch | be edited, merged into, committed |
| rearrange | a branch, spec 2 | have nodes moved, be committed |
| readonly, as a fork | another session | be edited, merged into, sent to other processes |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import ParamSpec

from frazil.arguments import instance_of
from frazil.engine.commit import Committer
from frazil.engine.forks import ForkFamily
from frazil.engine.manifests import ManifestWriter
from frazil.engine.ref_changes import COMMIT, Approval, Observer, Purpose
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, IcechunkError, SessionStateError, StorageError
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog, needs_spec_2
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.descent import with_own
from frazil.model.flags import MOVE_NODE, check_enabled
from frazil.model.moments import Collected, Moment
from frazil.storage.base import Backend
from frazil.telemetry import span
from frazil.types import SessionMode

if TYPE_CHECKING:
    from frazil.conflicts import ConflictSolver
    from frazil.model.joining import Part


P = ParamSpec("P")
TRIES: Final = 20
"""How often a session begins anew with what others have collected or moved meanwhile."""


class SessionState:
    """A read-only view of a snapshot, or changes on their way to a branch."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        manifests: ManifestWriter,
        *,
        branch: str | None,
        since: Moment,
        default_metadata: dict[str, Any],
        borrowed: Sequence[SnapshotId] = (),
        observer: Observer | None = None,
    ) -> None:
        """branch: where the changes go; None for a read-only session, and for a fork.

        since, borrowed: as in `Committer`. observer: is asked before commits, and told after them.
        """
        self.workspace = workspace
        self.branch = branch
        self.is_fork = branch is None and not workspace.read_only
        self._catalog = catalog
        self._committer = Committer(workspace, catalog, manifests, since, borrowed)
        self._default_metadata = dict(default_metadata)
        self._observer = observer
        self._lapses = workspace.library.lapses
        self.family = ForkFamily()
        self._handed_over: object = None

    @property
    def mode(self) -> SessionMode:
        """Read-only (also a fork, which cannot be committed), writable, or for moving nodes."""
        if self.branch is None:
            return SessionMode.readonly
        return SessionMode.rearrange if self.workspace.moves_only else SessionMode.writable

    def commit(
        self,
        message: str,
        metadata: dict[str, Any] | None,
        *,
        rebase_with: ConflictSolver | None,
        rebase_tries: int,
        allow_empty: bool,
        purpose: Purpose = COMMIT,
    ) -> SnapshotId:
        """See `Committer.commit`."""
        if rebase_with is not None:
            from frazil.conflicts import ConflictSolver

            instance_of(ConflictSolver, "rebase_with", rebase_with)
        with span("frazil.commit") as told, self.workspace.lock:
            branch = self._branch("committed")
            told.note(branch=branch)
            self._check_moves_are_allowed()
            self._check_no_fork_is_left_out()
            given = self._metadata(metadata)
            approval = self._approval(purpose, branch, message, given)
            id_ = self._following(
                self._committer.commit,
                branch,
                message,
                given,
                rebase_with=rebase_with,
                rebase_tries=rebase_tries,
                allow_empty=allow_empty,
                approve=None if approval is None else approval.ask,
            )
            told.note(snapshot=str(id_))
            self.branch = None
        if approval is not None:
            approval.tell(id_)
        return id_

    def amend(
        self, message: str, metadata: dict[str, Any] | None, *, allow_empty: bool
    ) -> SnapshotId:
        """See `Committer.amend`."""
        if self._catalog.spec < 2:
            raise needs_spec_2("amend")
        with span("frazil.commit") as told, self.workspace.lock:
            branch = self._branch("amended")
            told.note(branch=branch)
            self._check_moves_are_allowed()
            self._check_no_fork_is_left_out()
            given = self._metadata(metadata)
            approval = self._approval(Purpose("commit", "amend"), branch, message, given)
            id_ = self._following(
                self._committer.amend,
                branch,
                message,
                given,
                allow_empty=allow_empty,
                approve=None if approval is None else approval.ask,
            )
            told.note(snapshot=str(id_))
            self.branch = None
        if approval is not None:
            approval.tell(id_)
        return id_

    def flush(self, message: str, metadata: dict[str, Any] | None) -> SnapshotId:
        """See `Committer.flush`."""
        if self.is_fork:
            raise IcechunkError(
                "a fork cannot be flushed: merge it into the session it came from, and flush that",
                ErrorKind.UNKNOWN,
            )
        with self.workspace.lock:
            self._check_moves_are_allowed()
            id_ = self._following(self._committer.flush, message, self._metadata(metadata))
            self.branch = None
        return id_

    def rebase(self, solver: ConflictSolver) -> None:
        """Put the changes on the tip of the branch."""
        from frazil.conflicts import ConflictSolver
        from frazil.engine.rebase import rebase

        with self.workspace.lock:
            branch = self._branch("rebased")
            instance_of(ConflictSolver, "solver", solver)
            rebase(self.workspace, self._catalog, branch, solver)

    def move(self, source: str, target: str) -> None:
        """See `Workspace.move_node`."""
        if self._catalog.spec < 2:
            raise needs_spec_2("moving nodes")
        self.workspace.move_node(source, target)

    # Forks

    def base_of_fork(self) -> SnapshotId:
        """The snapshot that a fork starts from: it holds what this session shows now."""
        with self.workspace.lock:
            if self.workspace.read_only:
                raise SessionStateError(
                    "a read-only session cannot be forked: it can be pickled and sent as it is",
                    ErrorKind.CANNOT_FORK_READ_ONLY_SESSION,
                )
            return self._following(self._committer.base_of_fork)

    def join_family(self, family: ForkFamily) -> None:
        """Be a fork of the session that this family stems from, which waits for it to be merged."""
        self.family = family
        family.add(self)

    def has_unseen_changes(self) -> bool:
        """Whether there are changes that nobody took over, see `frazil.engine.forks`."""
        with self.workspace.lock:
            changes = self.workspace.changes
            return not changes.is_empty() and self._handed_over != changes.mark()

    def hand_over(self) -> None:
        """Somebody else is in charge of the changes as they are now."""
        with self.workspace.lock:
            self._handed_over = self.workspace.changes.mark()

    def part(self, *, of: Backend | None = None) -> Part:
        """The changes as they are now, their chunks stored where other processes see them.

        They are durable as well, which whoever commits them relies on, unless that will be done
        through the very backend `of`.
        """
        from frazil.model.joining import Part

        workspace = self.workspace
        backend = workspace.library.backend
        with workspace.lock:
            if workspace.writer is not None:
                workspace.writer.flush()
                if workspace.library.place is not of:
                    backend.sync()
            self.hand_over()
            return Part(workspace.snapshot_id, workspace.changes.copy())

    def save(self) -> SnapshotId:
        """Leave the changes in the storage, see `frazil.engine.resuming`; returns their id."""
        from frazil.engine.resuming import FORK_OF

        with self.workspace.lock:
            base = str(self.workspace.snapshot_id)
            id_ = self._committer.save_anonymously(with_own(None, **{FORK_OF: base}))
            self.hand_over()
        return id_

    def merge(self, parts: Sequence[Part], *, doubtful: Sequence[SnapshotId] = ()) -> None:
        """Take over the changes of forks, or of none of them; see `Workspace.join`.

        doubtful: bases of forks that may be of another repository.
        """
        try:
            for base in set(doubtful):
                self.workspace.library.snapshot(base)
            self.workspace.join(parts)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            raise SessionStateError(
                "failed to merge sessions: the snapshot that a fork was made from is not in this "
                f"repository ({error.message})",
                ErrorKind.MERGE_FAILED,
            ) from error

    def _check_no_fork_is_left_out(self) -> None:
        count = self.family.left_out()
        if count:
            raise SessionStateError(
                f"{count} fork{'s' * (count > 1)} of this session {'have' if count > 1 else 'has'} "
                "changes that were not merged and would be lost: session.merge(fork), or "
                "fork.discard_changes() if they are not wanted",
                ErrorKind.UNCOMMITTED_CHANGES,
            )

    def _approval(
        self, purpose: Purpose, branch: str, message: str, metadata: dict[str, Any]
    ) -> Approval | None:
        if self._observer is None:
            return None
        return Approval(
            self._observer,
            purpose,
            branch,
            self.workspace,
            message,
            metadata,
            self._committer.base_of_fork,
        )

    def _following(
        self, commit: Callable[P, SnapshotId], *args: P.args, **kwargs: P.kwargs
    ) -> SnapshotId:
        """What `commit` returns; again if what it needs of the base has moved, or may be gone."""
        self._keep_leases()
        for last in (*[False] * (TRIES - 1), True):
            try:
                return commit(*args, **kwargs)
            except Collected:
                if last:
                    raise
                self._committer.look_again()
            except StorageError as error:
                if last or not self.workspace.follow(error):
                    raise
        raise AssertionError("unreachable")

    def _keep_leases(self) -> None:
        """What is about to be committed was stored under them; look at it if any had lapsed."""
        library = self.workspace.library
        for lease in list(library.leases):
            lease.keep_up()
        if self._lapses != library.lapses:
            self._lapses = library.lapses
            self._committer.doubt()

    # Checks

    def _branch(self, verb: str) -> str:
        if self.branch is None:
            raise SessionStateError(
                f"a fork cannot be {verb}: merge it into the session it came from"
                if self.is_fork
                else f"this session is read-only and cannot be {verb}: open a writable session "
                "(a session becomes read-only when it is committed)",
                ErrorKind.COMMIT_NOT_ALLOWED,
            )
        return self.branch

    def _check_moves_are_allowed(self) -> None:
        if self.workspace.moves_only and isinstance(self._catalog, CatalogV2):
            check_enabled(self._catalog.info(), MOVE_NODE)

    def _metadata(self, metadata: dict[str, Any] | None) -> dict[str, Any]:
        return self._default_metadata | (metadata or {})
