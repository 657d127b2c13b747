"""Sessions: a consistent view of one snapshot, and the changes made on top of it.

Many processes write one commit like this: the session is forked, each process is sent a fork,
writes its part, and sends it back; the session merges them all and is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from frazil.config import RepositoryConfig
from frazil.display import Displayed, Shown, record
from frazil.engine.forks import ForkFamily
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.session_state import SessionState
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError, NodeNotFoundError, SessionStateError
from frazil.format.chunk_refs import InlineRef, NativeRef, VirtualRef
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import SnapshotId
from frazil.mapping import NodeMapping
from frazil.paths import check_path
from frazil.storage.base import Backend
from frazil.storage.fork import ForksafeLock
from frazil.storage.pool import map_parallel
from frazil.store import IcechunkStore
from frazil.twins import twin
from frazil.types import ChecksumPolicy, ChunkType, SessionMode

if TYPE_CHECKING:
    from frazil.conflicts import ConflictSolver
    from frazil.files import Files
    from frazil.model.joining import Part
    from frazil.runner import Place
    from frazil.snapshots import Diff
    from frazil.stats import CommitEstimate

__all__ = ["ForkSession", "Session", "SessionMode"]

Reindexing: TypeAlias = Callable[[Iterable[int]], Iterable[int] | None]
"""From the coordinates of a chunk, a list, to others or None."""

_CHUNK_TYPES = {
    InlineRef: ChunkType.inline,
    NativeRef: ChunkType.native,
    VirtualRef: ChunkType.virtual,
}


class Session(NodeMapping, Displayed):
    """A transaction on a repository: made by `Repository`, not by calling this class.

    Its nodes are found by path: `session["group/array"][:10]`, see `frazil.mapping`.

    Read-only sessions and forks can be pickled. A writable one becomes read-only, on the new
    snapshot, when it is committed.
    """

    _public_name = "frazil.session.Session"

    def __init__(self, session: tuple[RepositoryCore, SessionState]) -> None:
        self._core, self._live = session
        self._store: IcechunkStore | None = None

    @property
    def _state(self) -> SessionState:
        return self._live

    @property
    def _workspace(self) -> Workspace:
        return self._state.workspace

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Session) and self._state is value._state

    __hash__ = object.__hash__

    def __getstate__(self) -> object:
        if self.mode is SessionMode.readonly and self.has_uncommitted_changes:
            raise ValueError("a view of what is not committed yet cannot be pickled")
        if self.mode is not SessionMode.readonly:
            raise ValueError(
                "a writable session cannot be pickled: pickle a fork of it (Session.fork), or "
                "commit it first"
            )
        return self._core, self.snapshot_id, self.virtual_checksums

    def __setstate__(self, state: Any) -> None:
        core, snapshot_id, checksums = state
        Session.__init__(self, (core, core.session(SnapshotId.parse(snapshot_id))))
        self.virtual_checksums = checksums

    def _shown(self) -> Iterable[Shown]:
        names = ["read_only", "snapshot_id"]
        if not self.read_only:
            names += ["branch", "has_uncommitted_changes"]
        return record(names, self)

    def _repr_html_(self) -> str:
        from frazil import notebook

        manifests = self._workspace.base.manifests
        chunks = sum(manifests.info(row).num_refs for row in range(len(manifests)))
        stored = f", {chunks:,} chunks stored"
        return super()._repr_html_() + notebook.tree(self._workspace.nodes_under("/"), stored)

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

    @property
    def virtual_checksums(self) -> ChecksumPolicy:
        """What happens where the file of a virtual chunk has changed since the reference was set.

        "strict": an error (the default), "warn": a `RuntimeWarning`, "off": nothing is checked.
        Forks and pickles of a session take it over.
        """
        return self._workspace.virtual.checksums

    @virtual_checksums.setter
    def virtual_checksums(self, policy: ChecksumPolicy) -> None:
        if policy not in get_args(ChecksumPolicy):
            raise ValueError(f'virtual_checksums is "strict", "warn" or "off", not {policy!r}')
        self._workspace.virtual.checksums = policy

    def files(self, group: str = "/") -> Files:
        """The ordinary files of a group: sources, notes, logs, weights of models.

            session.files("/notes")["README.md"] = b"# Read me"

        They are committed with the arrays. A group that is not there yet is made by the first
        file. Raises `InvalidInputError` (`not-a-group`) for an array, and `NodeNotFoundError`
        where a group is missing and cannot be made.
        """
        from frazil.files.group import files_of

        return files_of(self.store, group)

    def status(self) -> Diff:
        """The uncommitted changes."""
        from frazil.engine.history import status

        return status(self._workspace)

    def all_virtual_chunk_locations(self) -> list[str]:
        """The absolute URLs of all virtual chunks of all arrays, one per chunk."""
        from frazil.engine import reindexing

        return reindexing.virtual_locations(self._workspace)

    all_virtual_chunk_locations_async = twin(all_virtual_chunk_locations)

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
        branch has moved, or (`repo-info-updated`) if a collection of garbage has deleted chunks
        that the changes refer to, `RebaseFailedError` for changes that exclude each other, and
        `SessionStateError` without changes unless `allow_empty`, and `HookError` if a hook refuses
        it. A commit that fails leaves the session and its changes as they were.
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

    def explain_commit(self) -> CommitEstimate:
        """How many requests, bytes and manifests a commit will take now, without committing.

        Reads the manifests that the commit would read.
        """
        from frazil.engine import explaining

        return explaining.explain_commit(self._workspace, self._core.catalog, self._core.layout)

    explain_commit_async = twin(explain_commit)

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
        """Store the changes as a snapshot on no branch, reachable by its id; returns the id.

        `Repository.resume_session` goes on from there, also in another process.
        """
        return str(self._state.flush(message, metadata))

    flush_async = twin(flush)

    def rebase(self, solver: ConflictSolver) -> None:
        """Put the changes on the newest commit of the branch.

        Raises `RebaseFailedError`, which lists them, at conflicts that the solver leaves; the
        session stays on the last commit that fits.
        """
        self._state.rebase(solver)

    rebase_async = twin(rebase)

    def fork(self) -> ForkSession:
        """A session to be sent to another process, and merged into this one later.

        It shows what this session shows now. If that has changes, they are stored as a snapshot
        on no branch, which the fork starts from.
        """
        fork = ForkSession((self._core, self._core.fork(self._state.base_of_fork())))
        fork.virtual_checksums = self.virtual_checksums
        self._state.family.make_known()
        fork._state.join_family(self._state.family)
        return fork

    def merge(self, *others: ForkSession | str) -> None:
        """Take over the changes of forks, in order: of a chunk the last writer wins.

        Of forks that were saved, the ids that `ForkSession.save` returned will do.

        Raises `SessionStateError` (`merge-failed`) and merges nothing if a node was created by
        more than one writer, given different metadata by more than one, or deleted by one and
        modified by another.
        """
        from frazil.engine.resuming import saved_fork

        if not others:
            return
        for other in others:
            if isinstance(other, str):
                SnapshotId.parse(other)
            elif self._state.is_fork and other.branch is not None:
                raise SessionStateError(
                    "a session of a branch cannot be merged into a fork: merge the fork into it",
                    ErrorKind.MERGE_NOT_ALLOWED,
                )
        self._workspace.check_editable()
        core = self._core

        def part_of(other: ForkSession | str) -> tuple[Part, bool]:
            if isinstance(other, str):
                return saved_fork(core.library, SnapshotId.parse(other)), False
            return other._part(core.library.place), other._core.storage != core.storage

        parts = map_parallel(part_of, [other for other in others if other is not self])
        self._state.merge(
            [part for part, _ in parts], doubtful=[part.base for part, away in parts if away]
        )

    merge_async = twin(merge)

    def _part(self, of: Backend | None) -> Part:
        return self._state.part(of=of)

    def move(self, from_path: str, to_path: str) -> None:
        """Move a node and all below it to another path; only in rearrange sessions.

        No chunk is touched. Raises `NodeNotFoundError`, `AlreadyExistsError`
        (`move-wont-overwrite`), `SessionStateError` (`move-into-self-or-descendant`,
        `move-destination-parent-missing`, `move-destination-parent-not-group`,
        `non-rearrange-session`), and `FormatError` in spec 1 repositories.
        """
        self._state.move(check_path(from_path), check_path(to_path))

    move_async = twin(move)

    def shift_array(self, array_path: str, chunk_offset: Iterable[int]) -> None:
        """Move all chunks of an array by this many chunks along each dimension.

        Chunks that leave the grid are gone; resize the array before to keep them. Places from
        which a chunk went become uninitialised. Offsets beyond the number of dimensions are
        ignored. Only for arrays with a regular chunk grid.
        """
        from frazil.engine import reindexing

        reindexing.shift(self._workspace, self._array(array_path), chunk_offset)

    def reindex_array(
        self, array_path: str, forward: Reindexing, backward: Reindexing | None = None
    ) -> None:
        """Move the chunks of an array to other coordinates.

        forward: is given the coordinates of each initialised chunk, as a list, and returns those
        it goes to; None leaves it alone. Places from which a chunk went keep it, unless another
        one goes there, or `backward` tells them to be empty: it is given the coordinates of
        each chunk into which none goes, and returns where its chunk comes from; None, or a
        place without a chunk, empties it.

        Nothing changes if a callback fails (`IcechunkError`) or returns coordinates outside of
        the grid (`InvalidInputError`). Only for arrays with a regular chunk grid.
        """
        from frazil.engine import reindexing

        reindexing.reindex(self._workspace, self._array(array_path), forward, backward)

    def materialize(
        self, path: str = "/", region: Sequence[slice] | None = None, *, on: Place | None = None
    ) -> int:
        """Copy the bytes of virtual chunks into the repository; returns how many chunks.

        path: an array, or a group for all arrays below it; region: of an array, a slice of
        elements for each of its first dimensions: whole chunks that it touches are copied. Only
        what is still virtual is: what was copied before an error, or before a commit, is not
        copied again by the next call. Checksums are checked as `virtual_checksums` says. The
        copies become visible to others with the next commit. on: a Dask client or an executor
        whose workers make the copies, about 64 MiB at a time; they read the sources themselves,
        with the credentials that this session was opened with.
        """
        from frazil.engine.materialize import Worker, materialize

        worker = Worker(self._core, self._workspace.snapshot_id, self.virtual_checksums)
        return materialize(self._workspace, self._node(path).path, region, worker, on)

    materialize_async = twin(materialize)

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


class ForkSession(Session):
    """A session that can be changed, pickled, and merged into the one that it is a fork of.

    It cannot be committed, and its `mode` is therefore readonly. Pickling it makes what it has
    written durable, so a worker process can end once its fork has been sent back.
    """

    def __init__(self, session: tuple[RepositoryCore, SessionState]) -> None:
        super().__init__(session)
        self._packed: Part | None = None
        self._checksums: ChecksumPolicy = "strict"  # of what is packed
        self._stamp = ""
        self._unpacking = ForksafeLock()

    @property
    def _state(self) -> SessionState:
        # What was unpickled is opened when it is used: thousands of forks that come back are
        # only merged, which needs nothing of their snapshots.
        if self._packed is not None:
            with self._unpacking:
                part = self._packed
                if part is not None:
                    self._live = self._core.fork(part.base, part.changes)
                    self._live.workspace.virtual.checksums = self._checksums
                    if self._family.has_taken(self._stamp):
                        self._live.hand_over()
                    self._live.join_family(self._family)
                    self._packed = None
        return self._live

    def _part(self, of: Backend | None) -> Part:
        packed = self._packed
        if packed is None:
            return self._state.part(of=of)
        self._family.take(self._stamp)
        return packed

    def save(self) -> str:
        """Leave the changes in the repository's storage; returns an id for `Session.merge`.

        For workers that cannot send a fork back: the id is a short text. Nothing shows the changes
        until they are merged and committed; if they never are, they are garbage, which a
        collection deletes once it is old enough.
        """
        return str(self._state.save())

    save_async = twin(save)

    def has_unseen_changes(self) -> bool:
        """Whether what was unpickled has changes that nobody took over."""
        packed = self._packed
        return (
            packed is not None
            and not packed.changes.is_empty()
            and not self._family.has_taken(self._stamp)
        )

    def __getstate__(self) -> object:
        part = self._part(None)
        if self._packed is None:
            family, checksums = self._live.family, self.virtual_checksums
        else:
            family, checksums = self._family, self._checksums
        return self._core, part, checksums, family.token, secrets.token_hex(8)

    def __setstate__(self, state: Any) -> None:
        self._core, self._packed, self._checksums, token, self._stamp = state
        self._store = None
        self._unpacking = ForksafeLock()
        self._family = ForkFamily.of(token)
        self._family.add(self)

    @property
    def branch(self) -> None:
        """None: a fork belongs to no branch."""
        return None
