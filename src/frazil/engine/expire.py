"""Taking old snapshots out of the history of a repository."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frazil.engine.listings import with_ancestors
from frazil.errors import ErrorKind, FormatError, ReadOnlyError, RefNotFoundError
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.expiration import Line, PlanV1, Ref, expire, plan_v1
from frazil.model.keys import Keys, format_ids
from frazil.progress import task
from frazil.storage.pool import WORKERS, map_parallel


def expire_snapshots(
    library: Library,
    catalog: Catalog,
    older_than: int,
    *,
    delete_branches: bool,
    delete_tags: bool,
    dry_run: bool = False,
) -> set[str]:
    """Release the snapshots made before `older_than` (us); see `frazil.model.expiration`.

    Returns the ids of the released ones. Their files stay until they are collected.
    """
    if not dry_run:
        check_writable(library)
    if isinstance(catalog, CatalogV2) and dry_run:
        expired = expire(
            catalog.info(), older_than, delete_branches=delete_branches, delete_tags=delete_tags
        )
        return set(format_ids(expired.released))
    if isinstance(catalog, CatalogV2):
        return _expire_v2(
            catalog, older_than, delete_branches=delete_branches, delete_tags=delete_tags
        )
    branches, tags = catalog.branches(), catalog.tags()
    refs = [Ref(name, False, tip) for name, tip in branches.items()]
    refs += [Ref(name, True, tip) for name, tip in tags.items()]
    lines = _lines(library, [ref.tip for ref in refs])
    plan = plan_v1(
        lines,
        refs,
        older_than,
        delete_branches=delete_branches,
        delete_tags=delete_tags,
    )
    if not dry_run:
        apply_v1(library, catalog, plan)
    return set(map(str, plan.released))


def check_writable(library: Library) -> None:
    """Raise `ReadOnlyError` if the storage cannot be written."""
    if library.backend.read_only:
        raise ReadOnlyError("the storage cannot be written", ErrorKind.READ_ONLY_STORAGE)


def _expire_v2(
    catalog: CatalogV2, older_than: int, *, delete_branches: bool, delete_tags: bool
) -> set[str]:
    released: Keys = np.empty(0, "S12")

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        nonlocal released
        expired = expire(info, older_than, delete_branches=delete_branches, delete_tags=delete_tags)
        released = expired.released
        return expired.edit()

    catalog.update(edit)
    return set(format_ids(released))


def read_history(
    library: Library, tips: list[SnapshotId]
) -> dict[SnapshotId, tuple[SnapshotId | None, int]]:
    """The parent and the time (us) of all snapshots of a spec 1 repository that these lead to."""
    known: dict[SnapshotId, tuple[SnapshotId | None, int]] = {}
    with task("Reading the history") as progress:
        # Not from memory: an expiration by somebody else may have changed the files.
        for listing in with_ancestors(library, tips, known=(), limit=WORKERS):
            known[listing.id] = listing.parent_id, listing.flushed_at
            progress.step()
    return known


def _lines(library: Library, tips: list[SnapshotId]) -> dict[SnapshotId, Line]:
    known = read_history(library, tips)
    lines: dict[SnapshotId, Line] = {}
    for tip in tips:
        line: dict[SnapshotId, int] = {}
        id_: SnapshotId | None = tip
        while id_ is not None:
            if id_ in line:
                raise FormatError(
                    f"snapshot {id_} is its own ancestor: the repository is damaged",
                    ErrorKind.INVALID_FILE_FORMAT,
                )
            parent, line[id_] = known[id_]
            id_ = parent
        lines[tip] = list(line.items())
    return lines


def apply_v1(library: Library, catalog: Catalog, plan: PlanV1) -> None:
    """Replace snapshot files, each whole, then delete references.

    A repack of the history that replaces the same files keeps its changes, and these.
    """

    def attach(item: tuple[SnapshotId, SnapshotId]) -> None:
        id_, parent = item
        library.replace_snapshot(id_, lambda snapshot: replace(snapshot, parent_id=parent))
        progress.step()

    with task("Expiring snapshots", len(plan.parents)) as progress:
        map_parallel(attach, plan.parents.items())
    library.backend.sync()
    for ref in plan.deleted:
        try:
            if ref.is_tag:
                catalog.delete_tag(ref.name)
            elif catalog.branch(ref.name) == ref.tip:  # else somebody has just moved it
                catalog.delete_branch(ref.name)
        except RefNotFoundError:
            pass  # somebody else has just deleted it
