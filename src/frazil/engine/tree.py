"""A base snapshot and uncommitted changes on top of it, seen as one tree of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np

from frazil.engine.packs import ChunkWriter, PackSizes
from frazil.engine.reader import ChunkReader
from frazil.engine.sources.reading import VirtualSources
from frazil.engine.sources.table import SourceTable
from frazil.errors import (
    AlreadyExistsError,
    ErrorKind,
    NodeNotFoundError,
    ReadOnlyError,
    RebaseFailedError,
    SessionStateError,
    StorageError,
)
from frazil.format.snapshot import Node, NodeKind, NodeTable, Snapshot
from frazil.format.transaction_log import Move
from frazil.ids import ChunkId, NodeId, SnapshotId
from frazil.library.files import Library
from frazil.model.changes import ChangeSet
from frazil.model.moves import move, net_moves
from frazil.model.zarr_metadata import read_layout
from frazil.paths import is_under, parent_of
from frazil.storage.fork import ForksafeRLock

if TYPE_CHECKING:
    from frazil.model.joining import Part

_MISSING = object()


class Tree:
    """The nodes of a session, with its changes, and what makes and undoes these.

    Blocking, and safe for any number of threads. Without a writer it is read-only.
    """

    def __init__(
        self,
        library: Library,
        base: Snapshot,
        *,
        inline_bytes: int | None,
        moves_only: bool = False,
        changes: ChangeSet | None = None,
        virtual: VirtualSources | None = None,
        packs: PackSizes | None = None,
    ) -> None:
        """inline_bytes: chunks up to this size go into manifests; None makes it read-only.

        moves_only: nodes can be moved, and nothing else. changes: what was changed before.
        virtual: the files of virtual chunks. packs: how small chunks share objects.
        """
        self.library = library
        self.virtual = virtual or VirtualSources(SourceTable())
        self._packs = packs
        self.base = base
        self.nodes = base.nodes
        """The nodes of the base, where they have been moved to."""
        self.moves_only = moves_only
        self.changes = ChangeSet() if changes is None else changes
        self.lock = ForksafeRLock(_half_changed)
        self._inline_bytes = inline_bytes
        self.writer: ChunkWriter | None = None
        self._write_with(None if inline_bytes is None else self._new_writer())
        self._base_nodes: dict[str, Node | None] = {}

    def _new_writer(self) -> ChunkWriter:
        library = self.library
        return ChunkWriter(
            library.backend,
            lambda: library.new_id(ChunkId),
            self._packs,
            lambda: library.identity(),
        )

    def _write_with(self, writer: ChunkWriter | None) -> None:
        self.writer = writer
        self._reader = ChunkReader(self.library, writer, self.virtual)

    def as_read_only(self) -> Self:
        """A view of the same nodes and chunks, which are stored by then; nothing is copied.

        To be used while nothing is changed here.
        """
        if self.writer is not None:
            self.writer.flush()
        view = type(self)(
            self.library,
            self.base,
            inline_bytes=None,
            moves_only=self.moves_only,
            changes=self.changes,
            virtual=self.virtual,
        )
        view.nodes = self.nodes
        return view

    @property
    def read_only(self) -> bool:
        """Whether changes are refused."""
        return self.writer is None

    @property
    def spec(self) -> int:
        """The spec version of the repository."""
        return self.library.spec

    @property
    def snapshot_id(self) -> SnapshotId:
        """The snapshot that the changes start from."""
        return self.base.id

    def freeze(self, base: Snapshot) -> None:
        """Become a read-only view of `base`, which holds what was changed here."""
        with self.lock:
            self._show(base, base.nodes)
            self.changes = ChangeSet()
            self._write_with(None)

    def rebase_onto(self, base: Snapshot) -> None:
        """Keep the changes, on another base.

        Raises `RebaseFailedError` if nodes cannot be moved there as they were here.
        """
        from frazil.conflicts import Conflict, ConflictType

        with self.lock:
            nodes = base.nodes
            for source, target in self.changes.moves:
                try:
                    nodes = move(nodes, source, target)
                except (AlreadyExistsError, NodeNotFoundError, SessionStateError) as error:
                    conflict = Conflict(ConflictType.MoveOperationCannotBeRebased, source)
                    raise RebaseFailedError(str(base.id), [conflict]) from error
            self._show(base, nodes)

    def _show(self, base: Snapshot, nodes: NodeTable) -> None:
        # In this order: see `_base_node`.
        self.base = base
        self.nodes = nodes
        self._base_nodes = {}

    def followed(self, node: Node, error: StorageError) -> Node:
        """An array as it is now, if it is worth to try again what went wrong with it.

        So it is if an object was not found and the base refers to others by now, as when its
        history was repacked, and what was there before collected. Raises the error otherwise.
        """
        now = self.node(node.path)
        if now is not None and now.manifests == node.manifests and self.follow(error):
            now = self.node(node.path)
        if (
            error.kind != ErrorKind.OBJECT_NOT_FOUND
            or now is None
            or now.id != node.id
            or now.manifests == node.manifests
        ):
            raise error
        return now

    def follow(self, error: StorageError) -> bool:
        """Take up what the base refers to by now, if that is why an object was not found.

        Returns whether it is other manifests.
        """
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            return False
        try:
            return self.reload()
        except StorageError:
            return False  # it is gone as a whole

    def reload(self) -> bool:
        """Take up what the base refers to by now; whether it is other manifests.

        `StorageError` (`object-not-found`) if it is gone.
        """
        with self.lock:
            known = self.base
            fresh = self.library.read_snapshot(known.id)
            if np.array_equal(fresh.manifests.ids, known.manifests.ids):
                return False
            for id_, node in self.changes.updated.items():
                row = fresh.nodes.find_id(id_)
                self.changes.updated[id_] = replace(node, manifests=fresh.nodes.node(row).manifests)
            self.library.forget_snapshots()  # it will not be the only one
            self.rebase_onto(fresh)
            return True

    def discard_changes(self) -> None:
        """Forget all changes; chunk objects that are stored already stay as garbage."""
        with self.lock:
            self._check_not_read_only(ErrorKind.READ_ONLY_SESSION)
            self.changes = ChangeSet()
            self._show(self.base, self.base.nodes)
            self._write_with(self._new_writer())

    def join(self, parts: Iterable[Part]) -> None:
        """Lay the changes of forks over those made here; see `frazil.model.joining`."""
        from frazil.model.joining import join

        self.check_editable()
        with self.lock:
            self.changes = join(
                self.changes, self.base.nodes, parts, lambda id_: self.library.snapshot(id_).nodes
            )

    # Nodes

    def node(self, path: str) -> Node | None:
        """The node at a path, own changes included."""
        created = self.changes.created.get(path)
        if created is not None:
            return created
        base = self._base_node(path)
        if base is None or base.id in self.changes.deleted:
            return None
        return self.changes.updated.get(base.id, base)

    def document(self, path: str) -> bytes | None:
        """The zarr.json of the node at a path, own changes included."""
        changes = self.changes
        if changes.created or changes.updated or changes.deleted:
            node = self.node(path)
            return None if node is None else node.user_data
        table = self.nodes
        row = table.find(path)
        return table.document_of(row) if row >= 0 else None

    def _base_node(self, path: str) -> Node | None:
        # Without the lock: taken before the base, the dictionary is never of a newer one.
        nodes = self._base_nodes
        known = nodes.get(path, _MISSING)
        if known is _MISSING:
            table = self.nodes
            row = table.find(path)
            known = nodes[path] = table.node(row) if row >= 0 else None
        return known  # type: ignore[return-value]

    def children(self, path: str) -> list[str]:
        """The names of the direct children of a node, sorted."""
        with self.lock:
            names = set(self.nodes.children(path))
            for node in self.changes.deleted.values():
                if parent_of(node.path) == path:
                    names.discard(node.path.rpartition("/")[2])
            for created in self.changes.created:
                if created != "/" and parent_of(created) == path:
                    names.add(created.rpartition("/")[2])
        return sorted(names)

    def nodes_under(self, path: str) -> Iterator[Node]:
        """The node at `path` and all below it, in the order of their paths."""
        with self.lock:
            nodes, changes = self.nodes, self.changes
            found = [
                changes.updated.get(node.id, node)
                for node in map(nodes.node, nodes.rows_under(path).tolist())
                if node.id not in changes.deleted
            ]
            created = [node for p, node in changes.created.items() if is_under(p, path)]
        if created:
            found = sorted([*found, *created], key=lambda node: node.path.encode())
        return iter(found)

    def set_metadata(self, path: str, document: bytes) -> None:
        """Create the node at `path`, or give it another `zarr.json`.

        Raises `InvalidInputError` (`bad-metadata`) and `AlreadyExistsError` when a group would
        become an array or the reverse.
        """
        self._check_writable(ErrorKind.READ_ONLY_STORE)
        with self.lock:
            old = self.node(path)
            if old is not None and old.user_data == document:
                return
            layout = read_layout(document, path=path, spec=self.spec)
            if old is None:
                id_ = self.library.new_id(NodeId)
                self.changes.create(
                    Node(id_, path, document, layout.kind, layout.shape, layout.dimension_names, ())
                )
                return
            if old.kind is not layout.kind:
                raise AlreadyExistsError(
                    f"there is already {_article(old.kind)} at {path}: delete it before "
                    f"creating {_article(layout.kind)}",
                    ErrorKind.NODE_ALREADY_EXISTS,
                )
            new = replace(
                old,
                user_data=document,
                shape=layout.shape,
                dimension_names=layout.dimension_names,
            )
            self.changes.update(new, old)

    def set_metadata_if_absent(self, path: str, document: bytes) -> None:
        """Create the node at `path` unless there is one."""
        with self.lock:
            if self.node(path) is None:
                self.set_metadata(path, document)

    def delete_node(self, path: str) -> None:
        """Delete a node and all below it; a missing one is fine."""
        with self.lock:
            nodes = list(self.nodes_under(path))
            if nodes:
                self._check_writable(ErrorKind.READ_ONLY_SESSION)
            for node in nodes:
                self.changes.delete(node)

    def move_node(self, source: str, target: str) -> None:
        """Move a node with all below it; see `frazil.model.moves.move` for the errors."""
        with self.lock:
            nodes = move(self.nodes, source, target)
            self._check_not_read_only(ErrorKind.READ_ONLY_SESSION)
            if not self.moves_only:
                raise SessionStateError(
                    "this session cannot move nodes: commit it, and move them in a session of "
                    "Repository.rearrange_session",
                    ErrorKind.NON_REARRANGE_SESSION,
                )
            self.changes.moves.append((source, target))
            self._show(self.base, nodes)

    def net_moves(self) -> tuple[Move, ...]:
        """What came of all moves, for each node."""
        return net_moves(self.base.nodes, self.nodes) if self.changes.moves else ()

    def clear(self) -> None:
        """Delete all nodes, the root included."""
        self._check_writable(ErrorKind.READ_ONLY_SESSION)
        self.delete_node("/")

    def check_editable(self) -> None:
        """Raise `ReadOnlyError` or `SessionStateError` unless chunks can be changed."""
        self._check_writable(ErrorKind.READ_ONLY_SESSION)

    def _check_writable(self, kind: ErrorKind) -> None:
        self._check_not_read_only(kind)
        if self.moves_only:
            raise SessionStateError(
                "this session can only move nodes: commit it, and make other changes in a "
                "writable session",
                ErrorKind.REARRANGE_SESSION_ONLY,
            )

    def _check_not_read_only(self, kind: ErrorKind) -> None:
        if self.read_only:
            raise ReadOnlyError(
                "this session is read-only: make the change in a writable session "
                "(a session becomes read-only when it is committed)",
                kind,
            )


def _half_changed() -> SessionStateError:
    return SessionStateError(
        "another thread was changing or committing this session when this process was forked, so "
        "it may be half done here: open a session in this process",
        ErrorKind.POISON_LOCK,
    )


def _article(kind: NodeKind) -> str:
    return "an array" if kind is NodeKind.ARRAY else "a group"
