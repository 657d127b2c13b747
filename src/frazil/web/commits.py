"""The history, page by page: what a page costs does not grow with the history.

The order of all commits is a few operations on columns. Records are made, and lanes laid out,
of the commits of one page; in its place, each line that comes from above begins with a commit
that is not shown, and each that goes on below ends with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.graph import GraphRow, Place, layout
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.descent import merge_parents, parents
from frazil.model.sweep import reached_rows

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Commits:
    """All commits that branches and tags lead to; order: rows of the table, newest first."""

    table: SnapshotTable
    order: Rows
    branches: dict[str, SnapshotId]
    tags: dict[str, SnapshotId]

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def _place(self) -> Rows:
        """int64[n + 1]: where each row is in the order, n where it is not; the last for -1."""
        place = np.full(len(self.table) + 1, len(self.table), np.int64)
        place[self.order] = np.arange(len(self.order))
        return place

    @cached_property
    def names(self) -> dict[SnapshotId, tuple[tuple[str, ...], tuple[str, ...]]]:
        """The branches and tags at each snapshot that has one."""
        found: dict[SnapshotId, tuple[list[str], list[str]]] = {}
        for which, refs in enumerate((self.branches, self.tags)):
            for name, id_ in refs.items():
                found.setdefault(id_, ([], []))[which].append(name)
        return {id_: (tuple(sorted(a)), tuple(sorted(b))) for id_, (a, b) in found.items()}

    def page(self, start: int, count: int) -> list[Commit]:
        """The commits from a place in the order on."""
        rows = self.order[start : start + count].tolist()
        records = [self.table.record(row) for row in rows]
        shown = {record.id for record in records}
        above = [self.table.id_of(row) for row in self._waiting(start)]
        drawn = [GraphRow(f"above {i}", str(id_)) for i, id_ in enumerate(above)]
        below: dict[SnapshotId, None] = dict.fromkeys(above)
        for record in records:
            names = self.names.get(record.id, ((), ()))
            merged = tuple(map(str, merge_parents(record.metadata)))
            parent = None if record.parent is None else str(record.parent)
            drawn.append(GraphRow(str(record.id), parent, *names, record.message, merged))
            below.update(dict.fromkeys(parents(record)))
        drawn += [GraphRow(str(id_), None) for id_ in below if id_ not in shown]
        places = layout(drawn)[len(above) : len(above) + len(records)]
        return [Commit(*pair) for pair in zip(records, places, strict=True)]

    def _waiting(self, start: int) -> list[int]:
        """The parents, from a place on, of commits before it: rows, each once."""
        parent = self._place[self.table.parent[self.order[:start]]]
        found = np.unique(parent[(parent >= start) & (parent < len(self.table))])
        rows: list[int] = self.order[found].tolist()
        return rows

    def record(self, id_: SnapshotId) -> SnapshotRecord | None:
        """What a snapshot says of itself, None for one that is not known."""
        row = self.table.find(id_)
        return self.table.record(row) if row >= 0 else None

    def place(self, id_: SnapshotId) -> int | None:
        """Where a snapshot is in the order."""
        row = self.table.find(id_)
        place = int(self._place[row]) if row >= 0 else len(self.table)
        return place if place < len(self.table) else None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and where it is drawn."""

    record: SnapshotRecord
    place: Place

    @property
    def merged(self) -> tuple[SnapshotId, ...]:
        """What it brought in beside its parent."""
        return tuple(merge_parents(self.record.metadata))


def read_commits(catalog: Catalog, known: Commits | None) -> Commits:
    """The history as it is now; `known` if that is still it."""
    if isinstance(catalog, CatalogV2):
        info = catalog.info()
        names = dict(info.branches), dict(info.tags)
        if (
            known is not None
            and known.table is info.snapshots
            and (known.branches, known.tags) == names
        ):
            return known
        table = info.snapshots
        reached = np.flatnonzero(reached_rows(info))
        return Commits(table, _newest_first(table, reached), *names)
    branches, tags = catalog.branches(), catalog.tags()
    if known is not None and (known.branches, known.tags) == (branches, tags):
        return known
    table = SnapshotTable.of(_reached(catalog, [*branches.values(), *tags.values()]))
    return Commits(table, _newest_first(table, np.arange(len(table))), branches, tags)


def _newest_first(table: SnapshotTable, rows: npt.NDArray[np.int64]) -> Rows:
    # Negated as signed numbers: what is unsigned would wrap around at zero.
    return rows[np.argsort(-table.flushed_at[rows].astype(np.int64), kind="stable")]


def _reached(catalog: Catalog, tips: Sequence[SnapshotId]) -> list[SnapshotRecord]:
    found: dict[SnapshotId, SnapshotRecord] = {}
    for tip in tips:
        for record in catalog.ancestry(tip):
            if record.id in found:
                break
            found[record.id] = record
    return list(found.values())
