"""What stands behind a session: its workspace, its branch, and what it may still do."""

from __future__ import annotations

from typing import Any

from frazil.conflicts import ConflictSolver
from frazil.engine.commit import Committer
from frazil.engine.manifests import ManifestWriter
from frazil.engine.rebase import rebase
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, SessionStateError
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog, needs_spec_2
from frazil.types import SessionMode


class SessionState:
    """A read-only view of a snapshot, or changes on their way to a branch."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        manifests: ManifestWriter,
        *,
        branch: str | None,
        default_metadata: dict[str, Any],
    ) -> None:
        """branch: where the changes go; None for a read-only session."""
        self.workspace = workspace
        self.branch = branch
        self._catalog = catalog
        self._committer = Committer(workspace, catalog, manifests)
        self._default_metadata = dict(default_metadata)

    @property
    def mode(self) -> SessionMode:
        """Read-only, from the start or since the changes were committed, or writable."""
        return SessionMode.readonly if self.branch is None else SessionMode.writable

    def commit(
        self,
        message: str,
        metadata: dict[str, Any] | None,
        *,
        rebase_with: ConflictSolver | None,
        rebase_tries: int,
        allow_empty: bool,
    ) -> SnapshotId:
        """See `Committer.commit`."""
        with self.workspace.lock:
            id_ = self._committer.commit(
                self._branch("committed"),
                message,
                self._metadata(metadata),
                rebase_with=rebase_with,
                rebase_tries=rebase_tries,
                allow_empty=allow_empty,
            )
            self.branch = None
        return id_

    def amend(
        self, message: str, metadata: dict[str, Any] | None, *, allow_empty: bool
    ) -> SnapshotId:
        """See `Committer.amend`."""
        if self._catalog.spec < 2:
            raise needs_spec_2("amend")
        with self.workspace.lock:
            id_ = self._committer.amend(
                self._branch("amended"), message, self._metadata(metadata), allow_empty=allow_empty
            )
            self.branch = None
        return id_

    def flush(self, message: str, metadata: dict[str, Any] | None) -> SnapshotId:
        """See `Committer.flush`."""
        with self.workspace.lock:
            id_ = self._committer.flush(message, self._metadata(metadata))
            self.branch = None
        return id_

    def rebase(self, solver: ConflictSolver) -> None:
        """Put the changes on the tip of the branch."""
        with self.workspace.lock:
            rebase(self.workspace, self._catalog, self._branch("rebased"), solver)

    def _branch(self, verb: str) -> str:
        if self.branch is None:
            raise SessionStateError(
                f"this session is read-only and cannot be {verb}: open a writable session "
                "(a session becomes read-only when it is committed)",
                ErrorKind.COMMIT_NOT_ALLOWED,
            )
        return self.branch

    def _metadata(self, metadata: dict[str, Any] | None) -> dict[str, Any]:
        return self._default_metadata | (metadata or {})
