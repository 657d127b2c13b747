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

import numpy as np

from frazil.engine.census import Census, Limits, check_positive, tips_of
from frazil.engine.deleting import Deleter
from frazil.engine.expire import check_writable
from frazil.engine.inventory import FOLDERS, list_folders, look_at
from frazil.engine.times import EPOCH
from frazil.errors import ConflictError, ErrorKind
from frazil.format.manifest import object_blocks
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.keys import Keys, raw_ids
from frazil.model.listed import Listed, raw_rows
from frazil.model.refs import UNSTAMPED, check_online
from frazil.model.sweep import Depends, drop, kept_rows, logs_to_keep, reached_rows
from frazil.ops import GCSummary
from frazil.progress import task


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
    stored = list_folders(library.backend, options.listings)
    if isinstance(catalog, CatalogV2):
        _mark_v2(library, catalog, stored, options)
    else:
        _mark_v1(library, catalog, stored, options)
    doomed = {}
    for folder in FOLDERS:
        # Before anything is deleted, so that a storage that fails here has lost nothing.
        unneeded = stored.pop(folder)
        found = look_at(library.backend, folder, unneeded, unneeded.unneeded())
        doomed[folder] = found.take(found.created < options.cutoff)
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


def _mark_v1(
    library: Library, catalog: Catalog, stored: dict[str, Listed], options: Options
) -> None:
    census = Census(library, options.limits)
    parts = np.empty(0, "S20")
    tips = tips_of(catalog)
    while tips:
        census.follow(tips)
        parts = _mark_chunks(census, parts, stored["chunks"])
        # Somebody may have moved a branch or made one meanwhile.
        tips = {tip for tip in tips_of(catalog) if tip not in set(raw_ids(census.snapshots()))}
    snapshots = raw_rows(census.snapshots())
    stored["snapshots"].need(snapshots)
    stored["transactions"].need(snapshots)
    stored["manifests"].need(raw_rows(census.manifests()[0]))


def _mark_v2(
    library: Library, catalog: CatalogV2, stored: dict[str, Listed], options: Options
) -> None:
    tries = 0
    snapshots = stored["snapshots"]
    while True:
        info = catalog.info()
        keys = sort_keys(info.snapshots.rows["id"])
        unreached = snapshots.others(raw_rows(keys[reached_rows(info)]))
        lost = look_at(library.backend, "snapshots", snapshots, unreached)
        kept = kept_rows(info, lost, options.cutoff)
        census = Census(library, options.limits)
        census.read_snapshots(keys[kept])
        parts = _mark_chunks(census, np.empty(0, "S20"), stored["chunks"])
        gone = keys[~kept]
        garbage = lost.ids[lost.garbage(keys[kept], options.cutoff)]

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
            parts = _mark_chunks(census, parts, stored["chunks"])
        snapshots.need(raw_rows(census.snapshots()))
        stored["transactions"].need(raw_rows(logs_to_keep(after.snapshots)))
        stored["manifests"].need(raw_rows(census.manifests()[0]))
        return


def _mark_chunks(census: Census, known: Keys, chunks: Listed) -> Keys:
    """Mark the chunk objects of parts of manifests that are not known yet; returns all parts.

    What a shared file holds of arrays that have left it needs no chunks.
    """

    def mark(data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        for ids in object_blocks(data, where=where, nodes=nodes):
            chunks.need(ids)

    parts = census.parts()
    census.read_manifests(parts[~np.isin(parts, known)], mark)
    return parts
