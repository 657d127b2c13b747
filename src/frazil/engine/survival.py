"""What a session does when garbage was collected since it began: look whether it can go on.

A collection spares what is needed and what is young. It does not know of a session: neither of what
this holds in memory of a snapshot whose file has been replaced since, nor of what it has stored
itself, unless that is younger than the collection was told to spare, or there is a lease.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frazil.engine.census import Census, Limits
from frazil.engine.inventory import look_at_ids
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, SnapshotNotFoundError, StorageError
from frazil.format.chunk_refs import NATIVE
from frazil.format.manifest import decode_objects
from frazil.format.ragged import sort_keys
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.keys import Keys, KeySet
from frazil.model.listed import raw_rows
from frazil.model.moments import Collected, Moment

_LIMITS = Limits(snapshots=8, compressed=64 * 1024 * 1024, decoded=256 * 1024 * 1024, fetches=16)


def look_again(workspace: Workspace, catalog: Catalog, borrowed: Sequence[SnapshotId]) -> Moment:
    """Put the changes on what the base refers to by now; since when all of it is known to be there.

    borrowed: other snapshots that chunks of the changes are of. Raises `SnapshotNotFoundError` if
    the base is gone, and `Collected` (a `ConflictError`) if chunks of the changes are, or are about
    to go.
    """
    since = catalog.new_moment()
    base = workspace.snapshot_id
    try:
        catalog.record(base)
        workspace.reload()
    except (StorageError, SnapshotNotFoundError) as error:
        if isinstance(error, StorageError) and error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise SnapshotNotFoundError(
            f"snapshot {base}, on which this session is based, has expired and was collected: "
            "write the changes again in a new session",
            ErrorKind.SNAPSHOT_NOT_FOUND,
        ) from error
    if workspace.writer is not None:
        workspace.writer.flush()
    objects = _objects(workspace)
    if len(objects):
        lost = going(workspace.library, catalog, objects, [base, *borrowed])
        if lost:
            raise Collected(
                f"a collection of garbage has deleted {lost} of {len(objects)} objects with chunks "
                "that this session wrote or took over, or is about to, so it cannot be committed: "
                "write them again in a new session; collect with a longer grace period, or hold a "
                "lease (Repository.lease) while a session takes long"
            )
    return since


def _objects(workspace: Workspace) -> Keys:
    """The chunk objects that the changes refer to."""
    found = KeySet()
    for edits in workspace.changes.chunks.values():
        refs = edits.columns()
        found.add(np.unique(sort_keys(refs.object[refs.kind == NATIVE])))
    return found.keys()


def going(library: Library, catalog: Catalog, objects: Keys, ids: Sequence[SnapshotId]) -> int:
    """How many chunk objects are gone, or about to go.

    ids: snapshots that they may be kept for, of which some may be gone themselves.
    """
    stored = look_at_ids(library.backend, "chunks", raw_rows(objects))
    lost = len(objects) - len(stored)
    old = stored.before(catalog.collected_before()).ids
    if not len(old):
        return lost
    # Still there, but not for long, unless a version has them that was kept.
    known = catalog.lookup()
    kept = _named(library, [id_ for id_ in ids if known(id_) is not None], old)
    return lost + len(old) - len(kept)


def _named(library: Library, ids: list[SnapshotId], objects: Keys) -> Keys:
    census = Census(library, _LIMITS)
    census.read_snapshots(np.unique(np.array([bytes(id_) for id_ in ids], "S12")))
    return objects_of(census, objects)


def objects_of(census: Census, objects: Keys) -> Keys:
    """Those of the chunk objects that the snapshots of a census refer to."""
    found = KeySet()

    def use(data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        named = sort_keys(decode_objects(data, where=where, nodes=nodes))
        found.add(np.unique(named[np.isin(named, objects)]))

    census.read_manifests(census.parts(), use)
    return found.keys()
