"""Removing nodes, elements or an attribute from all of history, and proving that they are gone.

The order: everything that is to take the place of something is written under new names, then
`repo` is swapped once, then what was replaced is deleted: chunks first, snapshots last, since
these say what there is to delete. A process that dies leaves a repository that is whole; done
again, it goes on where it was.

Snapshots that told of the target get other ids. So a session that began on one of them cannot
commit, and bring back what was removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from frazil.engine.collection.incremental import KEY as COLLECTION
from frazil.engine.expire import check_writable
from frazil.engine.packs import chunk_key
from frazil.engine.purging import backups as purge_backups
from frazil.engine.purging.erasing import Eraser, Erasing
from frazil.engine.purging.plan import Live, Plan, plan, resolve
from frazil.engine.purging.proof import foreseen, proven
from frazil.engine.purging.survey import Reading, Survey, Surveyor
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ConflictError, ErrorKind, IcechunkError, NodeNotFoundError, StorageError
from frazil.format.manifest import decode_manifest
from frazil.format.manifest_table import ManifestInfo
from frazil.format.pack import NO_REPOSITORY, Contents, checksum
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.ids import ChunkId, ManifestId, NodeId, SnapshotId
from frazil.library.catalog_v2 import CatalogV2
from frazil.model import purging
from frazil.model.purge_target import Target
from frazil.model.purging import Moved
from frazil.model.refs import UNSTAMPED
from frazil.paths import check_path
from frazil.progress import task
from frazil.purging import PurgeReport
from frazil.storage.pool import map_parallel

_TRIES = 20
Manifests = dict[tuple[ManifestId, Reading], tuple[ManifestInfo | None, frozenset[NodeId]]]


class _Changed(Exception):
    """Somebody has added snapshots since the look."""


def purge(
    core: RepositoryCore,
    catalog: CatalogV2,
    path: str,
    *,
    region: tuple[slice, ...] | None,
    attribute: str | None,
    whole_chunks: bool,
    make_eraser: Callable[[bytes], Eraser],
    dry_run: bool,
) -> PurgeReport:
    """Remove it, or in a dry run say what that takes; see `Repository.purge`.

    make_eraser: see `Erasing`.
    """
    check_writable(core.library)
    backend = core.library.aside().backend
    surveyor = Surveyor(backend)
    path = check_path(f"/{path.strip('/')}")
    # The newest of two entries must not be in a backup that is about to go.
    catalog.updates_per_file = max(catalog.updates_per_file, 2)
    for _ in range(_TRIES):
        info = catalog.info()
        target, words = resolve(surveyor, path, region, attribute, whole_chunks=whole_chunks)
        found = surveyor.survey(target)
        if attribute is not None and not found.snapshots:
            raise NodeNotFoundError(f"no snapshot has {words}", ErrorKind.NODE_NOT_FOUND)
        erasing = Erasing(core, target, make_eraser, stores=not dry_run)
        try:
            todo = plan(core, info, target, found, erasing)
        except IcechunkError:
            erasing.undo()
            raise
        report = foreseen(words, target, info, found, todo)
        if dry_run:
            return report
        try:
            _replace(core, catalog, found, target, todo)
        except _Changed:
            erasing.undo()
            continue
        report = replace(report, dry_run=False, backups=_delete(core, catalog, found, todo))
        prove = Erasing(core, target, make_eraser, stores=False)
        return proven(core, catalog, surveyor, target, todo, prove, report)
    raise ConflictError(
        message=f"others have committed at each of {_TRIES} tries: stop them, and try again",
        kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
    )


def _replace(
    core: RepositoryCore, catalog: CatalogV2, found: Survey, target: Target, todo: Plan
) -> None:
    """Write what is left, and make it the repository."""
    library = core.library
    moved = {
        object_: _rewritten(core, object_, live)
        for object_, live in todo.objects.items()
        if live.chunks
    }
    manifests: Manifests = {}

    def write_manifest(id_: ManifestId) -> None:
        key = f"manifests/{id_}"
        old = decode_manifest(library.backend.get(key), where=key)
        for reading in todo.readings_of(id_):
            replaced = todo.erased.of(reading)
            new_id = library.new_id(ManifestId)
            new = purging.purged_manifest(old, target, new_id, replaced, moved)
            written = library.write_manifest(new) if new.arrays else None
            manifests[id_, reading] = written, frozenset(new.arrays)

    with task("Writing manifests", len(todo.manifests)):
        map_parallel(write_manifest, sorted(todo.manifests))

    def write_log(item: tuple[SnapshotId, SnapshotId]) -> None:
        old, new = item
        try:
            log = library.transaction_log(old)
        except StorageError as error:  # of a snapshot of format 1 that was the first
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            return
        library.write_log(purging.purged_log(log, target, new))

    def write_snapshot(item: tuple[SnapshotId, SnapshotId]) -> None:
        old, new = item
        snapshot = library.read_snapshot(old)
        used = (ManifestId(bytes(raw)) for raw in snapshot.manifests.ids)
        now = {
            id_: manifests[id_, found.reading(old, id_)] for id_ in used if id_ in todo.manifests
        }
        library.write_snapshot(purging.purged_snapshot(snapshot, target, new, now, todo.snapshots))

    with task("Writing snapshots", len(todo.snapshots)):
        map_parallel(write_log, [*todo.snapshots.items(), *todo.logs.items()])
        map_parallel(write_snapshot, todo.snapshots.items())
    if not todo.snapshots and not todo.logs:
        return
    doomed = purge_backups.doomed(library, todo.gone)

    def edit(now: RepoInfo) -> tuple[RepoInfo, Update]:
        if now.snapshots.ids.tobytes() != todo.ids:
            raise _Changed
        after = purging.purged_info(now, todo.snapshots, todo.logs)
        # Entries that nobody could read any more elsewhere stay in the object itself.
        after = purging.unlinked(after, doomed)
        return after, Update(UpdateKind.EXPIRATION_RAN, UNSTAMPED)

    catalog.update(edit)


def _rewritten(core: RepositoryCore, object_: bytes, live: Live) -> Moved:
    """Store what stays of an object under another id."""
    library = core.library
    offsets = sorted(live.chunks)
    ranges = [(offset, offset + live.chunks[offset].length) for offset in offsets]
    parts = library.backend.get_ranges(chunk_key(object_), ranges)
    contents = Contents()
    for offset, data in zip(offsets, parts, strict=True):
        chunk = live.chunks[offset]
        contents.add(chunk.node, chunk.coords, len(data), chunk.checksum or checksum(data))
    identity = library.identity()
    footer = contents.footer(NO_REPOSITORY if identity is None else identity.bytes)
    id_ = library.new_id(ChunkId)
    library.backend.put(chunk_key(id_), b"".join([*parts, footer]))
    lengths = np.array([len(data) for data in parts], np.uint64)
    return Moved(bytes(id_), np.array(offsets, np.uint64), np.cumsum(lengths) - lengths)


def _delete(core: RepositoryCore, catalog: CatalogV2, found: Survey, todo: Plan) -> int:
    """Delete what was replaced, and what told of the target before; the number of backups."""
    backend = core.library.backend
    backend.sync()
    backups = purge_backups.forget(catalog, core.library, todo.gone)
    backend.delete([COLLECTION])  # this record names arrays, too
    backend.delete([chunk_key(object_) for object_ in todo.objects])
    backend.delete([f"manifests/{id_}" for id_ in sorted(todo.manifests | todo.unused)])
    logs = {*todo.snapshots, *todo.logs, *found.logs}
    backend.delete([f"transactions/{id_}" for id_ in sorted(logs)])
    backend.delete([f"snapshots/{id_}" for id_ in sorted({*todo.snapshots, *found.snapshots})])
    return backups
