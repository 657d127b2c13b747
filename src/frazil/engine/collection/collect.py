"""Collecting garbage: deleting the objects that nothing refers to.

The order: find what is needed, take what is not out of the list of snapshots (spec 2), then
delete snapshots, transaction logs, manifests and chunks. A process that dies after any step
leaves a repository that is whole, with some garbage left.

Objects younger than the cutoff are never deleted: a session that is being written has stored
things that nothing refers to yet. Only objects named by an id, in the four folders of ids, are
ever deleted, and, where the storage has such things, files that killed writers did not finish;
where it is asked for, old copies of replaced objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from frazil.engine.census import Limits, check_positive
from frazil.engine.collection.backups import old_backups
from frazil.engine.collection.deleting import Deleter
from frazil.engine.collection.incremental import (
    Records,
    Stale,
    after_deleting,
    find_changes,
    first_ledger,
)
from frazil.engine.collection.leases import held_since
from frazil.engine.collection.marking import ChunkMarks, Elsewhere, Marked, Rules, mark
from frazil.engine.expire import check_writable
from frazil.engine.inventory import (
    FOLDERS,
    all_of,
    list_folders,
    list_timed,
    list_window,
    look_at,
)
from frazil.engine.store_clock import storage_now
from frazil.engine.times import EPOCH
from frazil.library.catalog import Catalog, needs_spec_2
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.listed import Listed
from frazil.model.refs import check_online
from frazil.model.sweep import Objects
from frazil.model.uses import Ledger
from frazil.ops import GCSummary
from frazil.progress import task


@dataclass(frozen=True, slots=True)
class Options:
    """How to collect; `ValueError` for limits below one.

    cutoff: objects stored since then are left alone; us since the epoch, or how long before now by
    the clock of the storage. deletes: requests at once; failures: how many in a row end the
    collection; listings: folders at once. incremental: read only what has changed. keep_backups:
    how many copies of replaced objects to keep, None for all. elsewhere: who reads manifests.
    most: chunk objects to have in memory at once, None for all.
    """

    cutoff: int | timedelta
    dry_run: bool
    limits: Limits
    deletes: int = 10
    failures: int = 50
    listings: int | None = None
    incremental: bool = False
    keep_backups: int | None = None
    elsewhere: Elsewhere | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        check_positive("concurrent deletes", self.deletes)
        check_positive("consecutive delete failures", self.failures)
        check_positive("concurrent listings", self.listings)
        check_positive("backups", self.keep_backups)


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a collection is about to delete, by folder, and by key with its size.

    cutoff: us since the epoch; lapsed: keys of leases; ledger: the record to leave; more: chunk
    objects that are looked for when these have been deleted, as all are too many for the memory.
    """

    objects: dict[str, Objects]
    backups: dict[str, int]
    cutoff: int
    lapsed: list[str]
    ledger: Ledger | None = None
    more: Iterable[Objects] = ()


def collect(library: Library, catalog: Catalog, options: Options) -> GCSummary:
    """Delete what is not needed and older than the cutoff; in a dry run, only count it."""
    doomed, records = find(library, catalog, options)
    deleter = Deleter(
        library.backend,
        parallel=options.deletes,
        failures=options.failures,
        dry_run=options.dry_run,
    )
    if records is not None and doomed.ledger is not None and not options.dry_run:
        # Before anything is deleted: a collection that dies is gone on with by the next one.
        records.write(doomed.ledger)
    total = sum(map(len, doomed.objects.values())) + len(doomed.backups)
    with task("Deleting", total) as progress:
        for folder in FOLDERS:
            deleter.delete(folder, doomed.objects[folder], progress)
        for chunks in () if deleter.failed else doomed.more:
            deleter.delete("chunks", chunks, progress)
        deleter.delete_backups(doomed.backups, progress)
    summary = deleter.summary()
    if not options.dry_run:
        if records is not None and doomed.ledger is not None and not summary.delete_errors:
            records.write(after_deleting(doomed.ledger, doomed.objects))
        library.backend.delete(doomed.lapsed)
        if not options.incremental:  # it looks at all names
            library.backend.remove_unfinished(EPOCH + timedelta(microseconds=doomed.cutoff))
    return summary


def find(library: Library, catalog: Catalog, options: Options) -> tuple[Doomed, Records | None]:
    """What a collection would delete, and the record of an incremental one as it was found.

    In a spec 2 repository, and not in a dry run, the list of snapshots forgets the doomed ones.
    """
    check_writable(library)
    if isinstance(catalog, CatalogV2):
        check_online(catalog.info())
    elif options.incremental:
        raise needs_spec_2("an incremental collection")
    cutoff, lapsed = _cutoff(library, options)
    rules = Rules(cutoff, options.dry_run, options.limits, elsewhere=options.elsewhere)
    backups: dict[str, int] = {}
    if options.keep_backups is not None:
        backups = old_backups(library, catalog, options.keep_backups, cutoff)
    records = Records(library) if options.incremental else None
    if records is not None and records.ledger is not None:
        try:
            objects, ledger = find_changes(library, catalog, rules, records.ledger)
            return Doomed(objects, backups, cutoff, lapsed, ledger), records
        except Stale:
            pass
    stored, high = _stored(library, options)
    marked = mark(library, catalog, stored, replace(rules, counted=options.incremental))
    snapshots = stored["snapshots"]
    objects = {}
    for folder in FOLDERS:
        # Before anything is deleted, so that a storage that fails here has lost nothing.
        listed = stored.pop(folder)
        objects[folder] = look_at(library.backend, folder, listed, listed.unneeded()).before(cutoff)
    first = None
    if options.incremental:
        files = all_of(library.backend, "snapshots", snapshots)
        first = first_ledger(marked, files, objects)
    more = _more(library, rules, marked, high, options.most)
    return Doomed(objects, backups, cutoff, lapsed, first, more), records


def _stored(library: Library, options: Options) -> tuple[dict[str, Listed], int | None]:
    """What is stored by folder, and where chunk objects begin that are too many to be listed."""
    if options.incremental:
        snapshots = list_timed(library.backend, "snapshots")
        others = list_folders(library.backend, FOLDERS[1:], options.listings)
        return {"snapshots": snapshots, **others}, None
    if options.most is None:
        return list_folders(library.backend, FOLDERS, options.listings), None
    stored = list_folders(library.backend, FOLDERS[:-1], options.listings)
    stored["chunks"], high = list_window(library.backend, "chunks", 0, options.most)
    return stored, high


def _more(
    library: Library, rules: Rules, marked: Marked, low: int | None, most: int | None
) -> Iterator[Objects]:
    """Chunk objects to delete in further windows; the needed manifests are read for each."""
    while low is not None and most is not None:
        listed, low = list_window(library.backend, "chunks", low, most)
        ChunkMarks(listed, elsewhere=rules.elsewhere).update(marked.census)
        found = look_at(library.backend, "chunks", listed, listed.unneeded())
        yield found.before(rules.cutoff)


def _cutoff(library: Library, options: Options) -> tuple[int, list[str]]:
    """The time since which everything is left alone (us), and the keys of leases that lapsed."""
    cutoff = options.cutoff
    if isinstance(cutoff, timedelta):
        cutoff = storage_now(library) - cutoff // timedelta(microseconds=1)
    started, lapsed = held_since(library, look_only=options.dry_run)
    return cutoff if started is None else min(cutoff, started), lapsed
