"""Sessions: a consistent view of one snapshot, and the changes made on top of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from frazil.config import RepositoryConfig
from frazil.conflicts import ConflictSolver
from frazil.display import Displayed, Shown, record
from frazil.engine.history import status
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.session_state import SessionState
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError, NodeNotFoundError
from frazil.format.chunk_refs import InlineRef, NativeRef, VirtualRef
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import SnapshotId
from frazil.paths import check_path
from frazil.snapshots import Diff
from frazil.store import IcechunkStore
from frazil.twins import twin
from frazil.types import ChunkType, SessionMode

__all__ = ["Session", "SessionMode"]

_CHUNK_TYPES = {
    InlineRef: ChunkType.inline,
    NativeRef: ChunkType.native,
    VirtualRef: ChunkType.virtual,
}


class Session(Displayed):
    """A transaction on a repository: made by `Repository`, not by calling this class.

    Read-only sessions can be pickled. A writable one becomes read-only, on the new snapshot,
    when it is committed.
    """

    _public_name = "frazil.session.Session"

    def __init__(self, session: tuple[RepositoryCore, SessionState]) -> None:
        self._core, self._state = session
        self._store: IcechunkStore | None = None

    @property
    def _workspace(self) -> Workspace:
        return self._state.workspace

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Session) and self._state is value._state

    __hash__ = object.__hash__

    def __getstate__(self) -> object:
        if self.mode is not SessionMode.readonly:
            raise ValueError(
                "a writable session cannot be pickled: commit it first, or pickle a read-only one"
            )
        return self._core, self.snapshot_id

    def __setstate__(self, state: Any) -> None:
        core, snapshot_id = state
        self.__init__((core, core.session(SnapshotId.parse(snapshot_id))))  # type: ignore[misc]

    def _shown(self) -> Iterable[Shown]:
        names = ["read_only", "snapshot_id"]
        if not self.read_only:
            names += ["branch", "has_uncommitted_changes"]
        return record(names, self)

    @property
    def read_only(self) -> bool:
        """Whether changes are refused."""
        return self._workspace.read_only

    @property
    def mode(self) -> SessionMode:
        """What the session may do."""
        return self._state.mode

    @property
    def snapshot_id(self) -> str:
        """The snapshot that the session shows, without its own changes."""
        return str(self._workspace.snapshot_id)

    @property
    def branch(self) -> str | None:
        """The branch that a commit goes to; None for read-only sessions."""
        return self._state.branch

    @property
    def has_uncommitted_changes(self) -> bool:
        """Whether there is something to commit."""
        return not self._workspace.changes.is_empty()

    @property
    def config(self) -> RepositoryConfig:
        """A copy of the configuration of the repository as it was opened."""
        return RepositoryConfig.from_document(self._core.config.to_document())

    @property
    def store(self) -> IcechunkStore:
        """The Zarr store: give it to `zarr.open_group`, `xarray.open_zarr` and the like."""
        if self._store is None:
            self._store = IcechunkStore(self, self.read_only)
        return self._store

    def status(self) -> Diff:
        """The uncommitted changes."""
        return status(self._workspace)

    def discard_changes(self) -> None:
        """Forget all uncommitted changes."""
        self._workspace.discard_changes()

    def commit(
        self,
        message: str,
        metadata: dict[str, Any] | None = None,
        *,
        rebase_with: ConflictSolver | None = None,
        rebase_tries: int = 1_000,
        allow_empty: bool = False,
    ) -> str:
        """Make the changes the newest commit of the branch; returns the snapshot's id.

        metadata: JSON values by name, over the repository's defaults. rebase_with: on losing a
        race, rebase and try again, at most `rebase_tries` times. Raises `ConflictError` if the
        branch has moved, `RebaseFailedError` for changes that exclude each other, and
        `SessionStateError` without changes unless `allow_empty`. A commit that fails leaves
        the session and its changes as they were.
        """
        return str(
            self._state.commit(
                message,
                metadata,
                rebase_with=rebase_with,
                rebase_tries=rebase_tries,
                allow_empty=allow_empty,
            )
        )

    commit_async = twin(commit)

    def amend(
        self,
        message: str,
        *,
        metadata: dict[str, Any] | None = None,
        allow_empty: bool = False,
    ) -> str:
        """Replace the newest commit of the branch by itself and the changes; returns the id.

        Needs a spec 2 repository (`FormatError` otherwise). Raises as `commit`.
        """
        return str(self._state.amend(message, metadata, allow_empty=allow_empty))

    amend_async = twin(amend)

    def flush(self, message: str, *, metadata: dict[str, Any] | None = None) -> str:
        """Store the changes as a snapshot on no branch, reachable by its id; returns the id."""
        return str(self._state.flush(message, metadata))

    flush_async = twin(flush)

    def rebase(self, solver: ConflictSolver) -> None:
        """Put the changes on the newest commit of the branch.

        Raises `RebaseFailedError`, which lists them, at conflicts that the solver leaves; the
        session stays on the last commit that fits.
        """
        self._state.rebase(solver)

    rebase_async = twin(rebase)

    def get_node_id(self, path: str) -> str:
        """The id of the node at an absolute path; it survives updates of the node."""
        return str(self._node(path).id)

    get_node_id_async = twin(get_node_id)

    def chunk_type(self, array_path: str, chunk_coordinates: Sequence[int]) -> ChunkType:
        """Where the bytes of a chunk are."""
        coords = tuple(int(c) for c in chunk_coordinates)
        ref = self._workspace.locate(self._array(array_path), coords)
        return ChunkType.uninitialized if ref is None else _CHUNK_TYPES[type(ref)]

    chunk_type_async = twin(chunk_type)

    async def chunk_coordinates(
        self, array_path: str, batch_size: int = 1000
    ) -> AsyncIterator[tuple[int, ...]]:
        """The coordinates of all initialised chunks of an array, none twice."""
        for batch in self._workspace.chunk_batches(self._array(array_path)):
            for start in range(0, len(batch), batch_size):
                for coords in batch[start : start + batch_size].tolist():
                    yield tuple(coords)

    def _node(self, path: str) -> Node:
        node = self._workspace.node(check_path(path))
        if node is None:
            raise NodeNotFoundError(f"there is no node at {path}", ErrorKind.NODE_NOT_FOUND)
        return node

    def _array(self, path: str) -> Node:
        node = self._node(path)
        if node.kind is not NodeKind.ARRAY:
            raise InvalidInputError(f"{path} is a group, not an array", ErrorKind.NOT_AN_ARRAY)
        return node
