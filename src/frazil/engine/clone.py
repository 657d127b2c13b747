"""Copying a repository, or a part of its history, to another storage.

The order is that of a commit: chunks, manifests, transaction logs, snapshots, and at last what
refers to them. A copy that was interrupted is no repository yet, and is taken up again where it
was: what a storage holds under the id of an object is that object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from frazil.display import brief
from frazil.engine.census import Census, Limits, manifests_of
from frazil.engine.copying import Copier, End
from frazil.engine.expire import check_writable
from frazil.engine.inventory import look_at_ids
from frazil.engine.repository_core import RepositoryCore, stored_spec
from frazil.engine.survival import objects_of
from frazil.errors import ConflictError, ErrorKind, FormatError, StorageError
from frazil.format.history import SnapshotTable
from frazil.format.manifest import decode_objects
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo, initial_repo_info
from frazil.format.transaction_log import TransactionLog
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library import catalog_v1, catalog_v2
from frazil.library.catalog import Catalog, already_there, needs_spec_2
from frazil.library.catalog_v1 import CatalogV1
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model import cloning
from frazil.model.cloning import Selection
from frazil.model.keys import Keys, KeySet
from frazil.model.listed import raw_rows
from frazil.model.moments import Collected, Moment, unless_collected
from frazil.model.refs import MAIN, next_time
from frazil.model.sweep import logs_to_keep
from frazil.ops import CopySummary
from frazil.progress import task
from frazil.runner import Place
from frazil.storage import Storage
from frazil.storage.pool import map_parallel

TRIES: Final = 5
"""How often a copy begins anew because somebody collects."""
_LIMITS = Limits(
    snapshots=32, compressed=512 * 1024 * 1024, decoded=2 * 1024 * 1024 * 1024, fetches=64
)


def clone(
    core: RepositoryCore,
    storage: Storage,
    selection: Selection,
    *,
    depth: int | None,
    compare: bool,
    on: Place | None,
) -> CopySummary:
    """Make a copy in a place that has no repository; see `Repository.clone_to`."""
    end = End(storage, storage.default_settings())
    target = Library(end.open(), spec=core.spec)
    check_writable(target)
    if stored_spec(target.backend) is not None:
        raise already_there(core.spec)
    storage.check_creation()
    catalog = core.catalog
    if not isinstance(catalog, CatalogV2) and depth is not None:
        raise needs_spec_2("a copy of only a part of the history")

    def copy() -> CopySummary:
        copier = Copier(End(core.storage, core.config.storage), end, compare=compare, on=on)
        if isinstance(catalog, CatalogV2):
            return _clone_v2(core.library, catalog, target, copier, selection, depth)
        return _advance_v1(core, target, copier, selection, force=False)

    return _undisturbed(catalog, copy)


def sync(
    core: RepositoryCore,
    storage: Storage,
    selection: Selection,
    *,
    force: bool,
    compare: bool,
    on: Place | None,
) -> CopySummary:
    """Bring a copy up to date, or make it; see `Repository.sync_to`."""
    end = End(storage, storage.default_settings())
    target = Library(end.open(), spec=core.spec)
    spec = stored_spec(target.backend)
    if spec is None:
        return clone(core, storage, selection, depth=None, compare=compare, on=on)
    if spec != core.spec:
        raise FormatError(
            f"the repository is in format {core.spec}, and what is there "
            f"({brief(storage)}) in format {spec}: both must be in the same one to be kept alike",
            ErrorKind.UNSUPPORTED_OPERATION_FOR_VERSION,
        )
    check_writable(target)
    _check_same(core.catalog, target, storage)
    catalog = core.catalog

    def copy() -> CopySummary:
        copier = Copier(End(core.storage, core.config.storage), end, compare=compare, on=on)
        if isinstance(catalog, CatalogV2):
            return _sync_v2(core.library, catalog, target, copier, selection, force=force)
        return _advance_v1(core, target, copier, selection, force=force)

    return _undisturbed(catalog, copy)


def _undisturbed(catalog: Catalog, copy: Callable[[], CopySummary]) -> CopySummary:
    """What `copy` returns; again if somebody has collected meanwhile, at either end."""
    for tries in range(TRIES):
        since = catalog.new_moment()
        try:
            return copy()
        except Collected:
            if tries == TRIES - 1:
                raise
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND or tries == TRIES - 1:
                raise
            if catalog.spec == 2 and not _collected(catalog, since):
                raise  # it was not there before
    raise AssertionError("unreachable")


def _collected(catalog: Catalog, since: Moment) -> bool:
    catalog.new_moment()
    try:
        catalog.check_kept(since)
    except Collected:
        return True
    return False


def _check_same(catalog: Catalog, target: Library, storage: Storage) -> None:
    """Raise `ConflictError` (`another-repository`) if the target is no copy of the repository."""
    there: Catalog = CatalogV1(target) if catalog.spec == 1 else CatalogV2(target)
    ours, theirs = catalog.identity(), there.identity()
    if ours != theirs:
        raise ConflictError(
            message=f"this is repository {ours}, and what is there ({brief(storage)}) is "
            f"repository {theirs}, no copy of it: sync to a place that is empty or holds a copy",
            kind=ErrorKind.ANOTHER_REPOSITORY,
        )


# Spec 2


def _clone_v2(
    source: Library,
    catalog: CatalogV2,
    target: Library,
    copier: Copier,
    selection: Selection,
    depth: int | None,
) -> CopySummary:
    chosen = cloning.selected(catalog.info(), selection)
    portion = replace(chosen, snapshots=cloning.history(chosen, depth))
    portion = _with_joined_logs(source, target, chosen, portion)
    table = portion.snapshots
    wanted = _Wanted(sort_keys(table.ids), logs_to_keep(table), spec=2)
    _copy_snapshots(source, target, copier, wanted)
    created_at = source.snapshot(INITIAL_SNAPSHOT).flushed_at
    newest = int(table.flushed_at.max(initial=created_at))
    template = initial_repo_info(created_at, next_time(target.now(), newest))
    catalog_v2.store_new(target, cloning.new_repository(portion, template))
    return _summary(copier, [*portion.branches], [*portion.tags])


def _with_joined_logs(
    source: Library, target: Library, chosen: RepoInfo, portion: RepoInfo
) -> RepoInfo:
    """Give each snapshot where the history is cut one log in the place of all it stands for."""
    cuts = cloning.cut(chosen.snapshots, portion.snapshots)
    records = []
    with task("Joining transaction logs", sum(map(len, cuts.values()))) as progress:

        def read(id_: SnapshotId) -> TransactionLog:
            log = source.transaction_log(id_)
            progress.step()
            return log

        for id_, logs in cuts.items():
            joined = TransactionLog.union(map_parallel(read, logs), id=target.new_id(SnapshotId))
            target.write_log(joined)
            record = portion.snapshots.record(portion.snapshots.find(id_))
            records.append(replace(record, pruned=(joined.id,)))
    return replace(portion, snapshots=portion.snapshots.replace(records)) if records else portion


def _sync_v2(
    source: Library,
    catalog: CatalogV2,
    target: Library,
    copier: Copier,
    selection: Selection,
    *,
    force: bool,
) -> CopySummary:
    chosen = cloning.selected(catalog.info(), selection)
    copy = CatalogV2(target)
    since = copy.new_moment()
    there = copy.info()
    refs = [(name, False, tip, there.branches.get(name)) for name, tip in chosen.branches.items()]
    refs += [(name, True, tip, there.tags.get(name)) for name, tip in chosen.tags.items()]
    moved = [
        (name, is_tag)
        for name, is_tag, tip, known in refs
        if tip != known and (force or is_tag or not _is_in_line(copy, tip, known))
    ]
    edits = [
        cloning.put_ref(name, is_tag=is_tag, source=chosen, force=force) for name, is_tag in moved
    ]
    state = there
    for edit in edits:  # so that a conflict is found before anything is copied
        state, _ = edit(state)
    before, after = sort_keys(there.snapshots.ids), sort_keys(state.snapshots.ids)
    logs = np.setdiff1d(logs_to_keep(state.snapshots), logs_to_keep(there.snapshots))
    new = np.setdiff1d(after, before)
    # What versions there have is safe from collections, other than what a copy that died has left.
    kept = Census(target, _LIMITS)
    kept.read_snapshots(np.intersect1d(_parents(state.snapshots, new), before))
    _copy_snapshots(source, target, copier, _Wanted(new, logs, spec=2, kept=kept))
    _check_stays(target, copy, copier, kept)
    for edit in edits:
        copy.update(unless_collected(edit, since))
    return _summary(
        copier,
        [name for name, is_tag in moved if not is_tag],
        [name for name, is_tag in moved if is_tag],
    )


def _parents(table: SnapshotTable, ids: Keys) -> Keys:
    rows = np.flatnonzero(np.isin(sort_keys(table.ids), ids))
    parents = table.parent[rows]
    return np.unique(sort_keys(table.ids)[parents[parents >= 0]])


def _check_stays(target: Library, copy: CatalogV2, copier: Copier, kept: Census) -> None:
    """Raise `ConflictError` if a collection there is about to delete what was there before."""
    cutoff = copy.collected_before()
    for folder, found in copier.found.items() if cutoff else ():
        ids = found.keys()
        if folder == "manifests":
            ids = np.setdiff1d(ids, kept.manifests()[0])
        old = look_at_ids(target.backend, folder, raw_rows(ids)).before(cutoff).ids
        if folder == "chunks" and len(old):
            old = np.setdiff1d(old, objects_of(kept, old))
        if len(old):
            raise ConflictError(
                message=f"{len(old)} objects below {folder}/ at the target are left from a copy "
                "that was interrupted or from versions that were dropped there, and a collection "
                "there deletes them: let it come to its end, and start the copy again",
                kind=ErrorKind.REPO_INFO_UPDATED,
            )


# Spec 1: the history is in the snapshot files, and an expiration changes those


def _advance_v1(
    core: RepositoryCore, target: Library, copier: Copier, selection: Selection, *, force: bool
) -> CopySummary:
    source, catalog = core.library, core.catalog
    branches, tags = selection.branches, selection.tags
    tips = catalog.branches() if branches is None else {n: catalog.branch(n) for n in branches}
    tagged = catalog.tags() if tags is None else {n: catalog.tag(n) for n in tags}
    exists = stored_spec(target.backend) is not None
    copy = CatalogV1(target)
    moved = _check_v1(catalog, copy, tips, force=force) if exists else tips
    known_tags = copy.tags()
    for name, tip in tagged.items():
        cloning.check_tag(name, known_tags.get(name), tip, deleted=False, force=False)
    census = Census(source, _LIMITS)
    census.follow([INITIAL_SNAPSHOT, *tips.values(), *tagged.values()])
    snapshots = census.snapshots()
    _copy_all(source, target, copier, census, _Wanted(snapshots, snapshots, spec=1))
    if not exists:
        document = catalog.config_document()
        if document is not None:
            copy.save_config({k: v for k, v in document.items() if k != "storage"})
    new_tags = [name for name in tagged if name not in known_tags]
    for name in new_tags:
        copy.create_tag(name, tagged[name])
    known = copy.branches()
    for name, tip in sorted(moved.items(), key=lambda item: item[0] == MAIN):
        if name in known:
            copy.reset_branch(name, tip, known[name])
        else:
            copy.create_branch(name, tip)
    if not exists and MAIN not in tips:
        catalog_v1.create(target)  # main makes it a repository, so it is last
    return _summary(copier, [*moved], new_tags)


def _check_v1(
    catalog: Catalog, copy: Catalog, tips: dict[str, SnapshotId], *, force: bool
) -> dict[str, SnapshotId]:
    """The branches to move; `ConflictError` if one has more at the target."""
    there = copy.branches()
    moved = {}
    for name, tip in tips.items():
        current = there.get(name)
        if current is not None and not force:
            if _is_in_line(copy, tip, current):
                continue
            ahead = _is_in_line(catalog, current, tip)
            cloning.check_ahead(name, current, tip, ahead=ahead)
        moved[name] = tip
    return moved


# Both


def _is_in_line(catalog: Catalog, id_: SnapshotId, tip: SnapshotId | None) -> bool:
    return tip is not None and any(record.id == id_ for record in catalog.ancestry(tip))


class _Wanted(NamedTuple):
    """What is to be at the target: snapshots with all that they need, and logs.

    kept: what versions at the target have; None if what is there is relied on as it is.
    """

    snapshots: Keys
    logs: Keys
    spec: int
    kept: Census | None = None


def _copy_snapshots(source: Library, target: Library, copier: Copier, wanted: _Wanted) -> None:
    census = Census(source, _LIMITS)
    census.read_snapshots(wanted.snapshots)
    _copy_all(source, target, copier, census, wanted)


def _copy_all(
    source: Library, target: Library, copier: Copier, census: Census, wanted: _Wanted
) -> None:
    """Copy what the snapshots of a census need; and what they do when they arrive, if that differs.

    A repack of the history has replaced them then, between the look and the copy.
    """
    _copy_files(copier, census, wanted)
    snapshots = wanted.snapshots
    if wanted.spec == 1:  # those that were there before are what the target needs
        snapshots = np.setdiff1d(snapshots, copier.found["snapshots"].keys())
    while True:
        arrived = Census(target, _LIMITS)
        arrived.read_snapshots(snapshots)
        if np.isin(arrived.parts(), census.parts()).all():
            return
        census = arrived.in_(source)
        _copy_files(copier, census, wanted._replace(snapshots=snapshots))


def _copy_files(copier: Copier, census: Census, wanted: _Wanted) -> None:
    """Copy what the snapshots of a census need; nothing before what it refers to."""
    chunks, others = KeySet(), KeySet()

    def mark(data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        chunks.add(np.unique(sort_keys(decode_objects(data, where=where, nodes=nodes))))
        others.add(np.unique(sort_keys(decode_objects(data, where=where))))

    manifests, _ = census.manifests()
    if wanted.kept is None:
        # The chunks of a manifest arrive before it: where it is, they are.
        missing = manifests[copier.missing("manifests", manifests)]
    else:
        # Collections may have deleted some again, unless a version needs it.
        missing = np.setdiff1d(manifests, wanted.kept.manifests()[0])
    parts = census.parts()
    census.read_manifests(parts[np.isin(manifests_of(parts), missing)], mark)
    needed = chunks.keys()
    copier.copy("chunks", needed)
    # Of arrays that have left a shared manifest. Other snapshots may need them, if they are there.
    left = np.setdiff1d(others.keys(), needed)
    if len(left):
        copier.copy("chunks", left, optional=True)
    copier.copy("manifests", manifests)
    # The first snapshot of spec 1 has no log. An expiration there changes snapshot files.
    copier.copy("transactions", wanted.logs, optional=wanted.spec == 1)
    copier.copy("snapshots", wanted.snapshots, final=wanted.spec == 2)


def _summary(copier: Copier, branches: list[str], tags: list[str]) -> CopySummary:
    return CopySummary(
        copier.objects,
        copier.bytes,
        copier.present,
        tuple(sorted(branches)),
        tuple(sorted(tags)),
    )
