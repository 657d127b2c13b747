"""Versions by the names that people write, and the commits that only one name leads to."""

from __future__ import annotations

from collections.abc import Iterable

from frazil.errors import ErrorKind, SnapshotNotFoundError
from frazil.format.history import SnapshotRecord
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.model.descent import Lookup, parents
from frazil.model.revisions import by_id, named, split_steps, unknown


def resolve_revision(catalog: Catalog, text: str) -> SnapshotId:
    """The snapshot that a text names, see `frazil.model.revisions`."""
    branches, tags = catalog.branches(), catalog.tags()
    found = named(text, branches, tags)
    if found is not None:
        return found
    name, steps = split_steps(text)
    lookup = catalog.lookup()
    base = named(name, branches, tags)
    if base is None:
        base = by_id(name, reachable(lookup, [*branches.values(), *tags.values()]))
    if base is None:
        raise unknown(name, [*branches, *tags])
    for step in range(steps):
        record = lookup(base)
        if record is None or record.parent is None:
            raise SnapshotNotFoundError(
                f"{name!r} has only {step} commits before it, not {steps}",
                ErrorKind.SNAPSHOT_NOT_FOUND,
            )
        base = record.parent
    return base


def reachable(lookup: Lookup, starts: Iterable[SnapshotId]) -> dict[SnapshotId, SnapshotRecord]:
    """All snapshots that these lead to, themselves included, through merges too."""
    found: dict[SnapshotId, SnapshotRecord] = {}
    todo = list(starts)
    while todo:
        record = lookup(todo.pop())
        if record is not None and record.id not in found:
            found[record.id] = record
            todo += parents(record)
    return found


def lost_without(
    catalog: Catalog, *, branch: str | None, tag: str | None, to: SnapshotId | None
) -> list[SnapshotRecord]:
    """The commits, newest first, that nothing leads to once a name is deleted or moved."""
    branches, tags = catalog.branches(), catalog.tags()
    tip = catalog.tag(tag or "") if branch is None else catalog.branch(branch)
    left = [id_ for name, id_ in branches.items() if name != branch]
    left += [id_ for name, id_ in tags.items() if name != tag]
    left += [to] if to is not None else []
    lookup = catalog.lookup()
    kept = reachable(lookup, left)
    lost = [record for id_, record in reachable(lookup, [tip]).items() if id_ not in kept]
    return sorted(lost, key=lambda record: -record.flushed_at)
