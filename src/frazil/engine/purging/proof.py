"""The report about a purge: what there is to do and, when it is done, that nothing is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from frazil.engine.packs import chunk_key
from frazil.engine.purging import backups as purge_backups
from frazil.engine.purging.erasing import Erasing
from frazil.engine.purging.plan import Plan, dirty, needed_by, places_of, readings
from frazil.engine.purging.survey import Survey, Surveyor
from frazil.engine.repository_core import RepositoryCore
from frazil.format.repo_info import RepoInfo
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.purge_target import Target
from frazil.purging import PurgeReport


def foreseen(words: str, target: Target, info: RepoInfo, found: Survey, todo: Plan) -> PurgeReport:
    """What is to be done, as of a dry run."""
    chunks, size = _dropped(todo)
    erased = todo.erased
    return PurgeReport(
        words,
        True,
        tuple(sorted(map(str, target.nodes))),
        {str(old): str(new) for old, new in todo.snapshots.items()},
        chunks=chunks,
        bytes=size,
        chunks_rewritten=erased.chunks,
        bytes_rewritten=erased.bytes,
        inline=found.inline + erased.dropped_inline,
        virtual=found.virtual + erased.dropped_virtual,
        virtual_rewritten=erased.taken_over,
        foreign_files=tuple(sorted(found.foreign)),
        manifests=len(todo.manifests | todo.unused),
        logs=len(todo.logs) + len(found.logs),
        objects_deleted=sum(not live.chunks for live in todo.objects.values()),
        objects_rewritten=sum(bool(live.chunks) for live in todo.objects.values()),
        warnings=_warnings(info, found),
        files_read=found.files,
        unreadable=tuple(sorted(found.unreadable)),
        unattributed=tuple(chunk_key(object_) for object_ in sorted(found.silent)),
    )


def proven(
    core: RepositoryCore,
    catalog: CatalogV2,
    surveyor: Surveyor,
    target: Target,
    todo: Plan,
    erasing: Erasing,
    report: PurgeReport,
) -> PurgeReport:
    """The report, with what reading everything once more has shown.

    erasing: stores nothing; it looks whether chunks have fill value where it should be.
    """
    removed = frozenset(sum_ for ranges in todo.ranges.values() for sum_ in ranges.values())
    found = surveyor.survey(target, removed - {0})
    info = catalog.info()
    left, checked = _left_in_chunks(core, info, found, erasing)
    remaining = [*found.remaining(), *left]
    if purge_backups.names(info, todo.gone):
        remaining.append("repo")
    unreadable, backups = list(found.unreadable), 0
    for key, state in purge_backups.backups(core.library):
        backups += 1
        if state is None:
            unreadable.append(key)
        elif purge_backups.names(state, todo.gone):
            remaining.append(key)
    return replace(
        report,
        files_read={"repo": 1, **found.files, "backups": backups},
        chunks_checked=checked,
        remaining=tuple(remaining),
        unreadable=tuple(sorted(unreadable)),
        unattributed=tuple(chunk_key(object_) for object_ in sorted(found.silent)),
        same_bytes=tuple(sorted(found.same_bytes)),
    )


def _left_in_chunks(
    core: RepositoryCore, info: RepoInfo, found: Survey, erasing: Erasing
) -> tuple[list[str], int]:
    """The files that have elements of the target in chunks that it cuts; how many were decoded."""
    if not found.cut_manifests and not found.cut_ranges:
        return [], 0
    table = info.snapshots
    uses, paths = readings(needed_by(core, [table.id_of(row) for row in range(len(table))]), found)
    erased = erasing.run(uses, paths)
    manifests = erased.manifests | (found.cut_manifests - uses.keys())
    keys = [
        *(f"manifests/{id_}" for id_ in sorted(manifests)),
        *(chunk_key(object_) for object_ in sorted(dirty(found, erased))),
    ]
    return keys, sum(map(len, erased.replaced.values()))


def _dropped(todo: Plan) -> tuple[int, int]:
    """Stored chunks that go without another in their place, and their bytes."""
    keys, lengths = places_of(todo.ranges)
    gone = ~np.isin(keys, todo.erased.places(same=False))
    return int(gone.sum()), int(lengths[gone].sum())


def _warnings(info: RepoInfo, found: Survey) -> tuple[str, ...]:
    """What somebody should think of who has named elements of an array."""
    table = info.snapshots
    held = [one for row in range(len(table)) for one in found.versions.get(table.id_of(row), ())]
    shapes, paths = Counter(one.shape for one in held), sorted({one.path for one in held})
    arrays = len({one.form.node for one in held})
    warnings = []
    if len(shapes) > 1:
        listed = ", ".join(f"{shape} in {n}" for shape, n in sorted(shapes.items()))
        warnings.append(
            f"its shape differs between versions: {listed}; the elements are those at these places "
            "in each"
        )
    if len(paths) > 1:
        warnings.append(f"it was moved: {', '.join(paths)}; it is removed wherever it was")
    if arrays > 1:
        warnings.append(f"{arrays} arrays were there, one after the other; each is concerned")
    return tuple(warnings)
