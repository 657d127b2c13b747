"""Collections that look at what has changed since the last one.

The collection before has left, in `frazil/collection`, the snapshots that were needed, how many of
them use each part of a manifest, and how many parts use each chunk object. Snapshots that are new
are read, and add to that; so are those that nothing leads to any more, and take theirs away. A
manifest never changes: read are those of parts that are used for the first time, or no longer. What
is used no more goes. So does what is named by snapshots that came and went in between, of amended
and of failed commits: the folder of snapshots is listed.

A snapshot's file can be replaced, by a repack of the history. Then its time in the listing is
another one, and it is read again: if it needs other parts than it did, the record is of no use.

A record that is damaged, or does not explain what is there, makes the collection a full one, which
writes a new record. So does the first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from frazil.engine.census import manifests_of, parts_with_digest
from frazil.engine.collection.marking import ChunkMarks, Marked, Rules, mark
from frazil.engine.inventory import all_of, list_timed, look_at, look_at_ids
from frazil.engine.listings import read_listing
from frazil.engine.store_clock import OWN_FOLDER
from frazil.errors import ConflictError, ErrorKind, FormatError, StorageError
from frazil.format.ledger import LedgerColumns, decode_ledger, encode_ledger
from frazil.format.manifest import decode_objects
from frazil.format.ragged import sort_keys
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.keys import Keys, format_ids, raw_ids
from frazil.model.listed import RawIds, raw_rows
from frazil.model.sweep import Objects
from frazil.model.uses import (
    NO_COUNTS,
    NO_IDS,
    NO_PARTS,
    SNAPSHOT,
    Inconsistent,
    Ledger,
    Parts,
    Pending,
    Snapshots,
    Tally,
    Uses,
    settled,
    without,
)
from frazil.storage.base import CREATE, Backend, PreconditionFailed, Update, Version
from frazil.storage.pool import WORKERS, map_parallel

KEY = f"{OWN_FOLDER}/collection"
_PAGE = 1_000
"""Objects that object stores tell of in one request."""
_SECOND = 1_000_000


class Stale(Exception):
    """The record does not tell what is stored: everything has to be looked at."""


class Records:
    """The record of a repository, as this collection has found it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._version: Version | None = None
        self.ledger: Ledger | None = None
        try:
            found = library.backend.fetch(KEY)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            return
        assert found is not None
        self._version = found.version
        columns = decode_ledger(found.data)
        if columns is not None:
            self.ledger = _ledger(columns)

    def write(self, ledger: Ledger) -> None:
        """Replace the record; `ConflictError` if another collection has done so meanwhile."""
        mode = CREATE if self._version is None else Update(self._version)
        data = encode_ledger(_columns(ledger))
        try:
            self._version = self._library.backend.put(KEY, data, mode=mode)
        except PreconditionFailed as error:
            raise ConflictError(
                message="another incremental collection was at work at the same time: nothing that "
                "is needed was touched, try again when it is done",
                kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
            ) from error


def _ledger(columns: LedgerColumns) -> Ledger:
    snapshots = np.empty(len(columns.snapshots), SNAPSHOT)
    snapshots["id"], snapshots["stored_at"] = columns.snapshots, columns.stored
    snapshots["digest"] = columns.digests
    return Ledger(
        snapshots,
        columns.logs,
        Parts(columns.parts, columns.users),
        Uses(columns.objects, columns.uses),
        Pending(columns.doomed_transactions, columns.doomed_manifests, columns.doomed_chunks),
    )


def _columns(ledger: Ledger) -> LedgerColumns:
    snapshots, pending = ledger.snapshots, ledger.pending
    return LedgerColumns(
        snapshots["id"],
        snapshots["stored_at"],
        snapshots["digest"],
        ledger.logs,
        ledger.parts.keys,
        ledger.parts.count,
        ledger.uses.ids,
        ledger.uses.count,
        pending.transactions,
        pending.manifests,
        pending.chunks,
    )


def first_ledger(marked: Marked, stored: Objects, doomed: dict[str, Objects]) -> Ledger:
    """The record of a full collection that has counted uses and is about to delete `doomed`.

    stored: the snapshots.
    """
    snapshots = _stamped(marked.tally.snapshots(), stored)
    return Ledger(
        snapshots,
        np.setdiff1d(marked.logs, snapshots["id"]),
        marked.tally.parts(),
        Uses.sum(marked.chunks.uses),
        _pending(doomed),
    )


def after_deleting(ledger: Ledger, deleted: dict[str, Objects]) -> Ledger:
    """The record once these have been deleted."""
    pending = ledger.pending
    left = Pending(
        without(pending.transactions, deleted["transactions"].ids),
        without(pending.manifests, deleted["manifests"].ids),
        without(pending.chunks, deleted["chunks"].ids),
    )
    return replace(ledger, pending=left)


def find_changes(
    library: Library, catalog: Catalog, rules: Rules, ledger: Ledger
) -> tuple[dict[str, Objects], Ledger]:
    """What goes by folder, and the next record; `Stale` if this one does not fit."""
    listed = list_timed(library.backend, "snapshots")
    stored = all_of(library.backend, "snapshots", listed)
    ledger = _confirmed(library, ledger, stored)
    known, counted = ledger.parts, ledger.snapshots["id"]
    rules = replace(rules, counted=True, known=known.keys, unread=counted)
    marked = mark(library, catalog, {"snapshots": listed}, rules)
    # A snapshot that is too young to be deleted counts on until it goes, with all that it needs.
    old = stored.before(rules.cutoff)
    going = old.take(~np.isin(old.ids, marked.census.snapshots()))
    released = going.ids[np.isin(going.ids, counted)]
    left = _read(library, ledger.snapshots[np.isin(counted, released)])
    parts = Parts.sum([known, marked.tally.parts(), left.negative()])
    if bool((parts.count < 0).any()):
        raise Stale
    stay, gone = parts.take(parts.count > 0), parts.take(parts.count == 0)
    strays = _strays(library, np.setdiff1d(going.ids, released))
    strays = strays[~np.isin(strays, parts.keys)]
    uses, chunks = _uses(library, ledger, marked, gone, strays)
    manifests = np.concatenate(
        [gone.manifests(), manifests_of(strays), sort_keys(ledger.pending.manifests)]
    )
    logs = np.concatenate([ledger.logs, going.ids, sort_keys(ledger.pending.transactions)])
    found = {
        "snapshots": going,
        "transactions": _look(
            library.backend, "transactions", without(raw_rows(logs), marked.logs), len(marked.logs)
        ),
        "manifests": _look(
            library.backend, "manifests", without(raw_rows(manifests), stay.manifests()), len(stay)
        ),
        "chunks": _look(library.backend, "chunks", chunks, len(uses)),
    }
    staying = ledger.snapshots[~np.isin(counted, released)]
    snapshots = np.concatenate([staying, _stamped(marked.tally.snapshots(), stored)])
    snapshots = snapshots[np.argsort(snapshots["id"])]
    others = np.setdiff1d(marked.logs, snapshots["id"])
    # What is gone has been deleted; what is too young waits for a later collection.
    after = Ledger(snapshots, others, stay, uses, _pending(found))
    return {folder: objects.before(rules.cutoff) for folder, objects in found.items()}, after


def _pending(found: dict[str, Objects]) -> Pending:
    return Pending(found["transactions"].raw(), found["manifests"].raw(), found["chunks"].raw())


def _stamped(snapshots: Snapshots, stored: Objects) -> Snapshots:
    """These snapshots, with the times of their files."""
    at = np.minimum(np.searchsorted(stored.ids, snapshots["id"]), max(len(stored) - 1, 0))
    stamped = snapshots.copy()
    if len(stored):
        here = stored.ids[at] == snapshots["id"]
        stamped["stored_at"] = np.where(here, _distinctive(stored.created)[at], 0)
    return stamped


def _distinctive(created: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Times of files that none can have that is put in their place from now on; or else 0.

    The newest file was there when the folder was listed, so that it was not earlier then.
    """
    told_in_seconds = bool((created % _SECOND == _SECOND - 1).all())
    step = 2 * _SECOND if told_in_seconds else _SECOND // 10
    return np.where(created + step <= np.max(created), created, 0)


def _confirmed(library: Library, ledger: Ledger, stored: Objects) -> Ledger:
    """The record, if all that it says of snapshots still holds."""
    snapshots = ledger.snapshots
    if not np.isin(snapshots["id"], stored.ids).all():
        raise Stale
    created = stored.created[np.searchsorted(stored.ids, snapshots["id"])]
    doubtful = snapshots[created != snapshots["stored_at"]]
    _read(library, doubtful)
    return replace(ledger, snapshots=_stamped(snapshots, stored))


def _read(library: Library, snapshots: Snapshots) -> Parts:
    """The parts that these snapshots use; `Stale` if they are not those that were counted."""
    tally = Tally()

    def read(raw: bytes) -> None:
        tally.add(raw, *parts_with_digest(read_listing(library, SnapshotId(raw))))

    try:
        map_parallel(read, raw_ids(snapshots["id"]), limit=_at_once(library.backend))
    except (FormatError, StorageError) as error:
        if isinstance(error, StorageError) and error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise Stale from error
    if not np.array_equal(tally.snapshots()["digest"], snapshots["digest"]):
        raise Stale
    return tally.parts()


def _strays(library: Library, ids: Keys) -> Keys:
    """The parts of snapshots that no record has counted; of those that can be read."""

    def read(raw: bytes) -> Keys:
        try:
            return parts_with_digest(read_listing(library, SnapshotId(raw)))[0]
        except (FormatError, StorageError):
            return NO_PARTS  # garbage may be damaged

    return np.unique(
        np.concatenate(
            [NO_PARTS, *map_parallel(read, raw_ids(ids), limit=_at_once(library.backend))]
        )
    )


def _uses(
    library: Library, ledger: Ledger, marked: Marked, gone: Parts, strays: Keys
) -> tuple[Uses, RawIds]:
    """The uses of chunk objects now, and the objects that nothing uses; `Stale` as before."""

    def named(name: str) -> RawIds:
        key = f"manifests/{name}"
        try:
            return Uses.of_arrays(
                NO_COUNTS, decode_objects(library.backend.get(key), where=key)
            ).ids
        except (FormatError, StorageError):
            return NO_IDS

    names = format_ids(np.unique(manifests_of(strays)))
    lost = map_parallel(named, names, limit=_at_once(library.backend))
    removed = ChunkMarks(None, counted=True)
    try:
        marked.census.read_manifests(gone.of_arrays(), removed.use)
        candidates = np.concatenate([ledger.pending.chunks, *lost])
        return settled(ledger.uses, marked.chunks.uses, removed.uses, candidates)
    except (FormatError, Inconsistent) as error:
        raise Stale from error
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise Stale from error


def _look(backend: Backend, folder: str, ids: RawIds, others: int) -> Objects:
    """Sizes and times of these objects, which are listed where that takes fewer requests.

    others: about how many more there are in the folder.
    """
    if backend.local or len(ids) <= 1 + (len(ids) + others) // _PAGE:
        return look_at_ids(backend, folder, ids)
    listed = list_timed(backend, folder)
    return look_at(backend, folder, listed, np.sort(listed.rows_of(ids)))


def _at_once(backend: Backend) -> int:
    return 1 if backend.local else WORKERS + 1
