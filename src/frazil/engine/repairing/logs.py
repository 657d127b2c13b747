"""Telling a lost transaction log from what differs between the snapshot and the one before it.

Nodes have ids and chunks have places, so that what was created, deleted, moved and changed can be
seen, as far as it is different in the end. What cannot be seen is said in the report. Nothing that
another log or a digest could prove is needed: a log that says less than the lost one leaves out
only what was written again as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from frazil.engine.difference import changes_between
from frazil.engine.verification.tips import ancestry
from frazil.errors import ErrorKind, FormatError, IcechunkError, StorageError
from frazil.format.transaction_log import TransactionLog, initial_transaction_log
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.verification import RebuiltLog

_UNSEEN = (
    "what was written again as it was, and nodes that it created and deleted, cannot be seen; "
    "chunks that were only copied to other objects, as by a repack, look as if they were written"
)
_MOVES = "nodes that were moved several times are told as moved once"
_GAP = "some commits after {} are in the history no more, and cannot be told from this one"


@dataclass(frozen=True, slots=True)
class Retold:
    """A log that can be stored, and what to tell of it."""

    log: TransactionLog
    told: RebuiltLog


def retell(
    library: Library, catalog: Catalog, tips: Sequence[SnapshotId], lost: Iterable[SnapshotId]
) -> list[Retold]:
    """Those of the lost logs whose snapshots, and manifests of both, can be read."""
    wanted, holders = set(lost), dict[SnapshotId, SnapshotId]()
    for id_, pruned in ancestry(catalog, tips, 0):
        for log in wanted & {id_, *pruned}:
            # A commit that is in the history itself tells more than one that has taken it over.
            if log not in holders or log == id_:
                holders[log] = id_
    lookup = catalog.lookup()
    result = []
    for log, holder in sorted(holders.items()):
        try:
            record = lookup(holder)
            parent = None if record is None else record.parent
            gap = record is not None and bool(record.pruned)
            found = _compare(library, log, holder, parent)
        except FormatError:
            continue
        except StorageError as error:
            if error.kind not in (ErrorKind.OBJECT_NOT_FOUND, ErrorKind.INVALID_OBJECT_SIZE):
                raise
            continue
        except IcechunkError as error:
            if error.kind != ErrorKind.SNAPSHOT_NOT_FOUND:
                raise
            continue
        if found is not None:
            result.append(Retold(found, _told(found, parent, gap=gap)))
    return result


def _compare(
    library: Library, log: SnapshotId, holder: SnapshotId, parent: SnapshotId | None
) -> TransactionLog | None:
    if log == INITIAL_SNAPSHOT:
        return initial_transaction_log()
    if parent is None:
        return None  # what came before is not known
    changes, moves = changes_between(library, library.snapshot(parent), library.snapshot(holder))
    return changes.log(log, moves)


def _told(log: TransactionLog, parent: SnapshotId | None, *, gap: bool) -> RebuiltLog:
    notes = [] if parent is None else [_UNSEEN]
    notes += [_MOVES] * bool(log.moves) + [_GAP.format(parent)] * gap
    return RebuiltLog(
        str(log.id),
        None if parent is None else str(parent),
        created=len(log.new_groups) + len(log.new_arrays),
        deleted=len(log.deleted_groups) + len(log.deleted_arrays),
        updated=len(log.updated_groups) + len(log.updated_arrays),
        moved=len(log.moves),
        chunks=sum(map(len, log.updated_chunks.values())),
        uncertain=tuple(notes),
    )
