"""Removing nodes, chunks or an attribute from all of history, and proving that they are gone.

The order: everything that is to take the place of something is written under new names, then
`repo` is swapped once, then what was replaced is deleted: chunks first, snapshots last, since
these say what there is to delete. A process that dies leaves a repository that is whole; done
again, it goes on where it was.

Snapshots that told of the target get other ids. So a session that began on one of them cannot
commit, and bring back what was removed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from frazil.engine.collection.incremental import KEY as COLLECTION
from frazil.engine.expire import check_writable
from frazil.engine.packs import chunk_key
from frazil.engine.purging import backups as purge_backups
from frazil.engine.purging.backups import keys_of
from frazil.engine.purging.survey import Range, Survey, Surveyor
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import (
    ConflictError,
    ErrorKind,
    InvalidInputError,
    NodeNotFoundError,
    StorageError,
)
from frazil.format.chunk_refs import NATIVE
from frazil.format.manifest import decode_manifest
from frazil.format.manifest_table import ManifestInfo
from frazil.format.pack import NO_REPOSITORY, Contents, checksum
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.snapshot import Node, decode_listing
from frazil.format.updates import Update, UpdateKind
from frazil.ids import ChunkId, ManifestId, NodeId, SnapshotId
from frazil.library.catalog_v2 import CatalogV2
from frazil.model import purging
from frazil.model.keys import Keys
from frazil.model.purging import Moved, Target
from frazil.model.refs import UNSTAMPED
from frazil.paths import check_path
from frazil.progress import task
from frazil.purging import PurgeReport
from frazil.storage.pool import map_parallel

_TRIES = 20
Manifests = dict[ManifestId, tuple[ManifestInfo | None, frozenset[NodeId]]]


class _Changed(Exception):
    """Somebody has added snapshots since the look."""


class _Chunk(NamedTuple):
    length: int
    node: NodeId
    coords: tuple[int, ...]
    checksum: int


@dataclass(slots=True)
class _Live:
    """What listed snapshots need of an object: the chunk at each offset."""

    chunks: dict[int, _Chunk] = field(default_factory=dict)


@dataclass(slots=True)
class _Plan:
    """ids: of all listed snapshots; manifests, snapshots: listed ones that are to be written anew;
    objects: what is to stay of each object that holds bytes of the target; gone: the snapshots and
    logs that will not be there any more, also of a purge that died."""

    ids: bytes
    manifests: set[ManifestId]
    snapshots: dict[SnapshotId, SnapshotId]
    logs: dict[SnapshotId, SnapshotId]
    objects: dict[bytes, _Live]
    gone: Keys


def purge(
    core: RepositoryCore,
    catalog: CatalogV2,
    path: str,
    *,
    region: tuple[slice, ...] | None,
    attribute: str | None,
    dry_run: bool,
) -> PurgeReport:
    """Remove it, or in a dry run say what that takes; see `Repository.purge`."""
    check_writable(core.library)
    backend = core.library.aside().backend
    surveyor = Surveyor(backend)
    target, words = _resolve(surveyor, check_path(f"/{path.strip('/')}"), region, attribute)
    # The newest of two entries must not be in a backup that is about to go.
    catalog.updates_per_file = max(catalog.updates_per_file, 2)
    for _ in range(_TRIES):
        info = catalog.info()
        found = surveyor.survey(target)
        if attribute is not None and not found.snapshots:
            raise NodeNotFoundError(f"no snapshot has {words}", ErrorKind.NODE_NOT_FOUND)
        plan = _plan(core, info, target, found)
        if dry_run:
            return _report(words, target, found, plan, dry_run=True)
        try:
            _replace(core, catalog, info, target, plan)
        except _Changed:
            continue
        backups = _delete(core, catalog, found, plan)
        done = _report(words, target, found, plan, dry_run=False)
        return _proven(core, catalog, surveyor, target, found, plan, replace(done, backups=backups))
    raise ConflictError(
        message=f"others have committed at each of {_TRIES} tries: stop them, and try again",
        kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
    )


def _resolve(
    surveyor: Surveyor, path: str, region: tuple[slice, ...] | None, attribute: str | None
) -> tuple[Target, str]:
    """Which nodes ever were at the path, in any stored snapshot, whatever they are called then."""
    whole = region is None and attribute is None
    if whole and path == "/":
        raise InvalidInputError(
            "'/' is all there is: delete the repository", ErrorKind.INVALID_PATH
        )
    nodes: dict[NodeId, Node] = {}
    for snapshot in surveyor.snapshots():
        for node in purging.nodes_at(snapshot, path, below=whole):
            known = nodes.get(node.id)
            if region is not None and known is not None:
                if purging.chunk_sizes(node) != purging.chunk_sizes(known):
                    raise InvalidInputError(
                        f"the chunks of {path} had different sizes: purge all of it",
                        ErrorKind.INVALID_CHUNK_INDEX,
                    )
                if known.shape >= node.shape:
                    continue
            nodes[node.id] = node
    if not nodes:
        raise NodeNotFoundError(f"no snapshot has {path}", ErrorKind.NODE_NOT_FOUND)
    ids = frozenset(nodes)
    if region is None:
        words = path if attribute is None else f"attribute {attribute!r} of {path}"
        return Target(ids, attribute=attribute), words
    boxes = {purging.chunk_box(node, region) for node in nodes.values()}
    if len(boxes) > 1:
        raise InvalidInputError(
            f"several arrays were at {path}, with different chunks: purge all of it",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    (box,) = boxes
    text = ", ".join(f"{a}:{b}" for a, b in box)
    return Target(ids, box=box), f"chunks [{text}] of {path}"


def _plan(core: RepositoryCore, info: RepoInfo, target: Target, found: Survey) -> _Plan:
    backend, library, table = core.library.aside().backend, core.library, info.snapshots
    ids = [table.id_of(row) for row in range(len(table))]

    def manifests_of(id_: SnapshotId) -> tuple[SnapshotId, frozenset[bytes]]:
        key = f"snapshots/{id_}"
        listing = decode_listing(backend.get(key), where=key)
        return id_, frozenset(map(bytes, listing.manifests.ids))

    with task("Reading what is needed", len(ids)):
        listed = map_parallel(manifests_of, ids)
    objects = {object_: _Live() for object_ in found.ranges if object_ in found.stored}
    needed = {ManifestId(raw) for _, used in listed for raw in used}
    affected = found.manifests & needed
    if objects:
        affected |= _needing(core, needed, target, found, objects)
    keys = {bytes(id_) for id_ in affected}
    snapshots = {
        id_: library.new_id(SnapshotId)
        for id_, used in listed
        if id_ in found.snapshots or id_ in found.logs or used & keys
    }
    stands_for = {
        log for row in range(len(table)) for log in table.record(row).pruned if log in found.logs
    }
    logs = {id_: library.new_id(SnapshotId) for id_ in stands_for - snapshots.keys()}
    gone = keys_of({*snapshots, *logs, *found.snapshots, *found.logs})
    return _Plan(table.ids.tobytes(), affected, snapshots, logs, objects, gone)


def _needing(
    core: RepositoryCore,
    manifests: set[ManifestId],
    target: Target,
    found: Survey,
    objects: dict[bytes, _Live],
) -> set[ManifestId]:
    """The manifests with chunks that stay of objects that cannot; these are noted there."""
    backend, affected = core.library.aside().backend, set[ManifestId]()
    wanted = keys_of(objects)
    spans = {object_: _Spans(found.ranges[object_]) for object_ in objects}

    def look(id_: ManifestId) -> list[tuple[bytes, int, _Chunk]]:
        key, kept = f"manifests/{id_}", []
        for node, refs in decode_manifest(backend.get(key), where=key).arrays.items():
            stay = (refs.kind == NATIVE) & np.isin(sort_keys(refs.object), wanted)
            stay &= ~target.chunks_of(node, refs.index)
            for row in np.flatnonzero(stay).tolist():
                object_, offset = refs.object[row].tobytes(), int(refs.offset[row])
                sum_ = 0 if refs.checksum is None else int(refs.checksum[row])
                chunk = _Chunk(int(refs.length[row]), node, tuple(refs.index[row].tolist()), sum_)
                if spans[object_].meet(offset, offset + chunk.length):
                    raise _shared(object_, offset, chunk)
                kept.append((object_, offset, chunk))
        return kept

    ordered = sorted(manifests)
    for id_, kept in zip(ordered, map_parallel(look, ordered), strict=True):
        for object_, offset, chunk in kept:
            affected.add(id_)
            known = objects[object_].chunks.get(offset)
            if known is None or known.length < chunk.length:
                objects[object_].chunks[offset] = chunk
    return affected


class _Spans:
    """Ranges of an object, to be asked many times."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        ordered = sorted(ranges)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((start + size for start, size in ordered), max))

    def meet(self, start: int, end: int) -> bool:
        """Whether one of them has a byte in common with this one."""
        before = bisect_left(self._starts, end)
        return before > 0 and self._ends[before - 1] > start


def _shared(object_: bytes, offset: int, chunk: _Chunk) -> InvalidInputError:
    place = f"bytes {offset} to {offset + chunk.length} of {chunk_key(object_)}"
    return InvalidInputError(
        f"{place} are of a chunk that was to go, and also of chunk {chunk.coords} of array "
        f"{chunk.node}, which stays: purge that one, too",
        ErrorKind.NOT_ALLOWED,
    )


def _replace(
    core: RepositoryCore, catalog: CatalogV2, info: RepoInfo, target: Target, plan: _Plan
) -> None:
    """Write what is left, and make it the repository."""
    library = core.library
    moved = {
        object_: _rewritten(core, object_, live)
        for object_, live in plan.objects.items()
        if live.chunks
    }
    manifests: Manifests = {}

    def write_manifest(id_: ManifestId) -> None:
        key = f"manifests/{id_}"
        old = decode_manifest(library.backend.get(key), where=key)
        new = purging.purged_manifest(old, target, library.new_id(ManifestId), moved)
        written = library.write_manifest(new) if new.arrays else None
        manifests[id_] = written, frozenset(new.arrays)

    with task("Writing manifests", len(plan.manifests)):
        map_parallel(write_manifest, sorted(plan.manifests))

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
        library.write_snapshot(
            purging.purged_snapshot(snapshot, target, new, manifests, plan.snapshots)
        )

    with task("Writing snapshots", len(plan.snapshots)):
        map_parallel(write_log, [*plan.snapshots.items(), *plan.logs.items()])
        map_parallel(write_snapshot, plan.snapshots.items())
    if not plan.snapshots and not plan.logs:
        return
    doomed = purge_backups.doomed(library, plan.gone)

    def edit(now: RepoInfo) -> tuple[RepoInfo, Update]:
        if now.snapshots.ids.tobytes() != plan.ids:
            raise _Changed
        after = purging.purged_info(now, plan.snapshots, plan.logs)
        # Entries that nobody could read any more elsewhere stay in the object itself.
        after = purging.unlinked(after, doomed)
        return after, Update(UpdateKind.EXPIRATION_RAN, UNSTAMPED)

    catalog.update(edit)


def _rewritten(core: RepositoryCore, object_: bytes, live: _Live) -> Moved:
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


def _delete(core: RepositoryCore, catalog: CatalogV2, found: Survey, plan: _Plan) -> int:
    """Delete what was replaced, and what told of the target before; the number of backups."""
    backend = core.library.backend
    backend.sync()
    backups = purge_backups.forget(catalog, core.library, plan.gone)
    backend.delete([COLLECTION])  # this record names arrays, too
    backend.delete([chunk_key(object_) for object_ in plan.objects])
    backend.delete([f"manifests/{id_}" for id_ in sorted(plan.manifests | found.manifests)])
    logs = {*plan.snapshots, *plan.logs, *found.logs}
    backend.delete([f"transactions/{id_}" for id_ in sorted(logs)])
    backend.delete([f"snapshots/{id_}" for id_ in sorted({*plan.snapshots, *found.snapshots})])
    return backups


def _report(
    words: str, target: Target, found: Survey, plan: _Plan, *, dry_run: bool
) -> PurgeReport:
    places = [place for ranges in found.ranges.values() for place in ranges]
    return PurgeReport(
        words,
        dry_run,
        tuple(sorted(map(str, target.nodes))),
        {str(old): str(new) for old, new in plan.snapshots.items()},
        len(places),
        sum(length for _, length in places),
        found.inline,
        found.virtual,
        len(plan.manifests | found.manifests),
        len(plan.logs) + len(found.logs),
        sum(not live.chunks for live in plan.objects.values()),
        sum(bool(live.chunks) for live in plan.objects.values()),
        files_read=found.files,
        unreadable=tuple(sorted(found.unreadable)),
        unattributed=tuple(chunk_key(object_) for object_ in sorted(found.silent)),
    )


def _proven(
    core: RepositoryCore,
    catalog: CatalogV2,
    surveyor: Surveyor,
    target: Target,
    before: Survey,
    plan: _Plan,
    report: PurgeReport,
) -> PurgeReport:
    """The report, with what reading everything once more has shown."""
    removed = frozenset(sum_ for ranges in before.ranges.values() for sum_ in ranges.values())
    found = surveyor.survey(target, removed - {0})
    remaining = found.remaining()
    if purge_backups.names(catalog.info(), plan.gone):
        remaining.append("repo")
    unreadable, backups = list(found.unreadable), 0
    for key, state in purge_backups.backups(core.library):
        backups += 1
        if state is None:
            unreadable.append(key)
        elif purge_backups.names(state, plan.gone):
            remaining.append(key)
    return replace(
        report,
        files_read={"repo": 1, **found.files, "backups": backups},
        remaining=tuple(remaining),
        unreadable=tuple(sorted(unreadable)),
        unattributed=tuple(chunk_key(object_) for object_ in sorted(found.silent)),
        same_bytes=tuple(sorted(found.same_bytes)),
    )
