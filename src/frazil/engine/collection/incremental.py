"""Collections that read what has changed since the last one.

The collection before has left, in `frazil/collection`, the parts of manifests that were needed, and
how many of them use each chunk object. Snapshots are read anew: they are small, and there are ways
to replace one. A manifest never changes, so those of parts that were known are not read; those of
new parts add uses, those of parts that nothing needs any more take theirs away. An object that is
used no more goes. So does what is named only by manifests that are about to go, and that no record
has seen: of commits that were amended, and of those that failed.

A record that is damaged, or does not explain what is there, makes the collection a full one, which
writes a new record. So does the first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frazil.engine.census import manifests_of
from frazil.engine.collection.marking import ChunkMarks, Marked
from frazil.engine.store_clock import OWN_FOLDER
from frazil.errors import ConflictError, ErrorKind, FormatError, StorageError
from frazil.format.ledger import LedgerColumns, decode_ledger, encode_ledger
from frazil.format.manifest import decode_objects
from frazil.format.ragged import sort_keys
from frazil.library.files import Library
from frazil.model.keys import Keys, format_ids
from frazil.model.listed import Listed, RawIds, raw_rows
from frazil.model.sweep import Objects
from frazil.model.uses import NO_COUNTS, NO_IDS, Inconsistent, Ledger, Uses
from frazil.storage.base import CREATE, PreconditionFailed, Update, Version

KEY = f"{OWN_FOLDER}/collection"


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
            uses = Uses(columns.objects, columns.uses)
            self.ledger = Ledger(columns.parts, uses, columns.doomed)

    def write(self, ledger: Ledger) -> None:
        """Replace the record; `ConflictError` if another collection has done so meanwhile."""
        columns = LedgerColumns(ledger.parts, ledger.uses.ids, ledger.uses.count, ledger.doomed)
        mode = CREATE if self._version is None else Update(self._version)
        try:
            self._version = self._library.backend.put(KEY, encode_ledger(columns), mode=mode)
        except PreconditionFailed as error:
            raise ConflictError(
                message="another incremental collection was at work at the same time: nothing that "
                "is needed was touched, try again when it is done",
                kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
            ) from error


def first_ledger(marked: Marked, doomed: Objects) -> Ledger:
    """The record of a full collection that has counted uses and is about to delete `doomed`."""
    return Ledger(marked.census.parts(), Uses.sum(marked.chunks.uses), doomed.raw())


def without(ledger: Ledger, deleted: Objects) -> Ledger:
    """The record once these have been deleted."""
    left = ~np.isin(sort_keys(ledger.doomed), deleted.ids)
    return replace(ledger, doomed=ledger.doomed[left])


def next_ledger(
    library: Library, ledger: Ledger, marked: Marked, manifests: Listed, going: Objects
) -> Ledger:
    """The record after what has been marked on top of `ledger`; `Stale` if it does not fit.

    manifests: those that are stored; going: those of them that are about to be deleted.
    """
    parts = marked.census.parts()
    left = ledger.parts[~np.isin(ledger.parts, parts)]
    ids = np.unique(manifests_of(left))
    if len(manifests.rows_of(raw_rows(ids))) < len(ids):
        raise Stale
    removed = ChunkMarks(None, counted=True)
    lost = [_objects_of(library, f"manifests/{name}") for name in format_ids(_other(going, ids))]
    try:
        marked.census.read_manifests(left, removed.use)
        return ledger.then(parts, marked.chunks.uses, removed.uses, np.concatenate([NO_IDS, *lost]))
    except (FormatError, Inconsistent) as error:
        raise Stale from error
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise Stale from error


def _other(going: Objects, known: Keys) -> Keys:
    return going.ids[~np.isin(going.ids, known)]


def _objects_of(library: Library, key: str) -> RawIds:
    """The chunk objects that a manifest names that nobody needs; none if it cannot be read."""
    try:
        ids = decode_objects(library.backend.get(key), where=key)
    except (FormatError, StorageError):
        return NO_IDS
    return Uses.of_arrays(NO_COUNTS, ids).ids
