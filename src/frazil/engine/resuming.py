"""Taking up changes from storage: of a flushed session again, or of a fork that was saved.

A saved fork is a snapshot that nothing refers to, with its log and manifests: anonymous, known to
whoever has its id, and garbage like anything that nothing refers to. Its metadata says what the
fork was made from: `{"frazil": {"fork_of": id}}`.
"""

from __future__ import annotations

from dataclasses import replace

from frazil.engine.reader import ChunkReader
from frazil.errors import ErrorKind, SessionStateError, StorageError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Node, NodeTable
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.library.files import Library
from frazil.model.changes import ChangeSet
from frazil.model.descent import OWN_KEY
from frazil.model.joining import Part
from frazil.model.overlay import clip, stack
from frazil.storage.pool import map_parallel

FORK_OF = "fork_of"
"""Among the commit metadata of Frazil's own: the snapshot that a saved fork started from."""


def changes_of(library: Library, record: SnapshotRecord) -> tuple[SnapshotId, ChangeSet]:
    """The parent of a snapshot, and the changes that made the one of the other.

    Raises `SessionStateError` if there is no parent, if nodes were moved, or if it is not
    recorded any more what changed.
    """
    if record.parent is None:
        raise SessionStateError(
            f"snapshot {record.id} is the first one, there are no changes to take up again",
            ErrorKind.NO_SNAPSHOT,
        )
    log = _log(library, record)
    if log.moves:
        raise SessionStateError(
            f"snapshot {record.id} has moved nodes: move them again, in a rearrange session",
            ErrorKind.REARRANGE_SESSION_ONLY,
        )
    before, after = map_parallel(library.snapshot, [record.parent, record.id])
    return record.parent, _changes(ChunkReader(library, None), before.nodes, after.nodes, log)


def saved_fork(library: Library, id_: SnapshotId) -> Part:
    """The changes of a fork that was saved under this id.

    Raises `SessionStateError` (`merge-failed`) if there is none.
    """
    try:
        after = library.snapshot(id_)
        own = after.metadata.get(OWN_KEY)
        base = own.get(FORK_OF) if isinstance(own, dict) else None
        if not isinstance(base, str):
            raise SessionStateError(
                f"cannot merge {id_}: that is a snapshot of the history, not a saved fork",
                ErrorKind.MERGE_FAILED,
            )
        before = library.snapshot(SnapshotId.parse(base))
        log = library.transaction_log(id_)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise SessionStateError(
            f"there is no fork saved as {id_} in this repository, or no longer: a collection of "
            f"garbage deletes those that are old enough ({error.message})",
            ErrorKind.MERGE_FAILED,
        ) from error
    reader = ChunkReader(library, None)
    return Part(before.id, _changes(reader, before.nodes, after.nodes, log))


def _log(library: Library, record: SnapshotRecord) -> TransactionLog:
    try:
        logs = map_parallel(library.transaction_log, [*record.pruned, record.id])
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise SessionStateError(
            f"it is not recorded any more what snapshot {record.id} changed",
            ErrorKind.REBASE_TX_LOG_PRUNED,
        ) from error
    return TransactionLog.union(logs, id=record.id)


def _changes(
    reader: ChunkReader, before: NodeTable, after: NodeTable, log: TransactionLog
) -> ChangeSet:
    changes = ChangeSet()
    for id_ in log.deleted_groups | log.deleted_arrays:
        old = _node(before, id_)
        if old is not None:
            changes.delete(old)
    new_ids = log.new_groups | log.new_arrays
    for id_ in new_ids:
        new = _node(after, id_)
        if new is not None:
            changes.create(replace(new, manifests=()))
    for id_ in (log.updated_groups | log.updated_arrays) - new_ids:
        old, new = _node(before, id_), _node(after, id_)
        if old is not None and new is not None:
            changes.update(replace(new, manifests=old.manifests), old)
            if id_ in log.updated_arrays and len(old.shape) == len(new.shape):
                # A grid that became smaller and larger again has lost what was outside.
                _add(changes, old, _lost(_refs(reader, old), _refs(reader, new), new))
    for id_, index in log.updated_chunks.items():
        new = _node(after, id_)
        if new is not None and index.shape[1] == len(new.shape):
            old = _node(before, id_)
            # What was written is in manifests that the other snapshot does not have.
            known = () if old is None else old.manifests
            fresh = tuple(ref for ref in new.manifests if ref not in known)
            refs = _refs(reader, replace(new, manifests=fresh))
            rows = refs.find_many(index)
            if (rows < 0).any() and len(fresh) < len(new.manifests):
                refs = _refs(reader, new)
                rows = refs.find_many(index)
            written, erased = refs.take(rows[rows >= 0]), ChunkRefs.absent(index[rows < 0])
            _add(changes, old or new, erased, written)
    return changes


def _add(changes: ChangeSet, node: Node, *runs: ChunkRefs) -> None:
    if any(map(len, runs)):
        changes.edits(node).add(*runs)


def _refs(reader: ChunkReader, node: Node) -> ChunkRefs:
    return stack(reader.all_refs(node), len(node.shape))


def _lost(before: ChunkRefs, after: ChunkRefs, node: Node) -> ChunkRefs:
    """Erasures of what was there before and is not there after, inside the grid of `node`."""
    before = clip(before, [count for _, count in node.shape])
    return ChunkRefs.absent(before.index[after.find_many(before.index) < 0])


def _node(nodes: NodeTable, id_: NodeId) -> Node | None:
    row = nodes.find_id(id_)
    return nodes.node(row) if row >= 0 else None
