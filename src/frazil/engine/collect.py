"""Collecting garbage: deleting the objects that nothing refers to.

The order: find what is needed, take what is not out of the list of snapshots (spec 2), then
delete snapshots, transaction logs, manifests and chunks. A process that dies after any step
leaves a repository that is whole, with some garbage left.

Objects younger than the cutoff are never deleted: a session that is being written has stored
things that nothing refers to yet. Only objects named by an id, in the four folders of ids, are
ever deleted, and, where the storage has such things, files that killed writers did not finish.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

import numpy as np

from frazil.engine.census import Census, Limits, check_positive, tips_of
from frazil.engine.deleting import Deleter
from frazil.engine.expire import check_writable
from frazil.engine.times import EPOCH, microseconds
from frazil.errors import ConflictError, ErrorKind
from frazil.format.manifest import decode_objects
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.keys import Keys, KeySet, raw_ids
from frazil.model.refs import UNSTAMPED, check_online
from frazil.model.sweep import Depends, Objects, drop, kept_rows, logs_to_keep
from frazil.ops import GCSummary
from frazil.progress import Task, task
from frazil.storage.base import ObjectInfo
from frazil.storage.pool import map_parallel

FOLDERS = ("snapshots", "transactions", "manifests", "chunks")
"""In the order of deletion: nothing is deleted before what refers to it."""

_LISTED_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Options:
    """How to collect; `ValueError` for limits below one.

    cutoff: us since the epoch; objects stored since then are left alone. deletes: requests at
    once; failures: how many in a row end the collection; listings: folders at once.
    """

    cutoff: int
    dry_run: bool
    limits: Limits
    deletes: int
    failures: int
    listings: int | None

    def __post_init__(self) -> None:
        check_positive("concurrent deletes", self.deletes)
        check_positive("consecutive delete failures", self.failures)
        check_positive("concurrent listings", self.listings)


def collect(library: Library, catalog: Catalog, options: Options) -> GCSummary:
    """Delete what is not needed and older than the cutoff; in a dry run, only count it."""
    check_writable(library)
    if isinstance(catalog, CatalogV2):
        check_online(catalog.info())
    stored = _list(library, options)
    if isinstance(catalog, CatalogV2):
        needed = _mark_v2(library, catalog, stored["snapshots"], options)
    else:
        needed = _mark_v1(library, catalog, options)
    doomed = {
        folder: objects.take(objects.garbage(needed[folder], options.cutoff))
        for folder, objects in stored.items()
    }
    deleter = Deleter(
        library.backend,
        parallel=options.deletes,
        failures=options.failures,
        dry_run=options.dry_run,
    )
    with task("Deleting", sum(map(len, doomed.values()))) as progress:
        for folder in FOLDERS:
            deleter.delete(folder, doomed[folder], progress)
    if not options.dry_run:
        library.backend.remove_unfinished(EPOCH + timedelta(microseconds=options.cutoff))
    return deleter.summary()


def _list(library: Library, options: Options) -> dict[str, Objects]:
    with task("Listing objects") as progress:
        listed = map_parallel(
            lambda folder: _listing(library, folder, progress),
            FOLDERS,
            limit=options.listings or len(FOLDERS),
        )
    return dict(zip(FOLDERS, listed, strict=True))


def _listing(library: Library, folder: str, progress: Task) -> Objects:
    infos = library.backend.list(folder)
    parts = [Objects.of([], [], [])]
    while batch := list(islice(infos, _LISTED_AT_ONCE)):
        parts.append(_objects(folder, batch))
        progress.step(len(batch))
    return Objects.concat(parts)


def _objects(folder: str, infos: list[ObjectInfo]) -> Objects:
    start = len(folder) + 1
    return Objects.of(
        [info.key[start:] for info in infos],
        [info.size for info in infos],
        [_written_at(info) for info in infos],
    )


def _written_at(info: ObjectInfo) -> int:
    """The latest time at which it can have been: many storages cut off parts of a second."""
    told = microseconds("last_modified", info.last_modified)
    return told if told % 1_000_000 else told + 999_999


def _mark_v1(library: Library, catalog: Catalog, options: Options) -> dict[str, Keys]:
    census, chunks = Census(library, options.limits), KeySet()
    parts = np.empty(0, "S20")
    tips = tips_of(catalog)
    while tips:
        census.follow(tips)
        parts = _mark_chunks(census, parts, chunks)
        # Somebody may have moved a branch or made one meanwhile.
        tips = {tip for tip in tips_of(catalog) if tip not in set(raw_ids(census.snapshots()))}
    snapshots = census.snapshots()
    return {
        "snapshots": snapshots,
        "transactions": snapshots,
        "manifests": census.manifests()[0],
        "chunks": chunks.keys(),
    }


def _mark_v2(
    library: Library, catalog: CatalogV2, stored: Objects, options: Options
) -> dict[str, Keys]:
    tries = 0
    while True:
        info = catalog.info()
        keys = sort_keys(info.snapshots.rows["id"])
        kept = kept_rows(info, stored, options.cutoff)
        census, chunks = Census(library, options.limits), KeySet()
        census.read_snapshots(keys[kept])
        parts = _mark_chunks(census, np.empty(0, "S20"), chunks)
        gone = keys[~kept]
        garbage = stored.ids[stored.garbage(keys[kept], options.cutoff)]

        def edit(
            info: RepoInfo, known: Keys = keys, gone: Keys = gone, garbage: Keys = garbage
        ) -> tuple[RepoInfo, Update]:
            return drop(info, known, gone, garbage), Update(UpdateKind.GC_RAN, UNSTAMPED)

        try:
            after = edit(info)[0] if options.dry_run else catalog.update(edit)
        except Depends as error:
            tries += 1
            if tries >= catalog.retries.max_tries:
                raise ConflictError(
                    message="branches, tags or snapshots that need what was about to be deleted "
                    f"appeared at each of {tries} tries: try again",
                    kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
                ) from error
            time.sleep(catalog.retries.pause(tries))
            continue
        while not options.dry_run:
            # New snapshots may repeat what was judged, as a cherry-pick of a lost commit does.
            after = catalog.info()
            new = np.setdiff1d(sort_keys(after.snapshots.rows["id"]), census.snapshots())
            if not len(new):
                break
            census.read_snapshots(new)
            parts = _mark_chunks(census, parts, chunks)
        return {
            "snapshots": census.snapshots(),
            "transactions": logs_to_keep(after.snapshots),
            "manifests": census.manifests()[0],
            "chunks": chunks.keys(),
        }


def _mark_chunks(census: Census, known: Keys, chunks: KeySet) -> Keys:
    """Note the chunk objects of parts of manifests that are not known yet; returns all parts.

    What a shared file holds of arrays that have left it needs no chunks.
    """

    def mark(data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        chunks.add(np.unique(sort_keys(decode_objects(data, where=where, nodes=nodes))))

    parts = census.parts()
    census.read_manifests(parts[~np.isin(parts, known)], mark)
    return parts
