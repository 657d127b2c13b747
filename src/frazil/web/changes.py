"""Differences as sections of a page: what kind of change, and to which nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frazil.snapshots import Diff

SHOWN = 200
"""As many nodes of a section are listed."""

_TITLES = {
    "new_groups": ("Groups created", "added"),
    "new_arrays": ("Arrays created", "added"),
    "updated_groups": ("Groups with other metadata", "changed"),
    "updated_arrays": ("Arrays with other metadata", "changed"),
    "deleted_groups": ("Groups deleted", "removed"),
    "deleted_arrays": ("Arrays deleted", "removed"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A node that changed; note: what there is to add; compare: whether both versions have it."""

    path: str
    note: str = ""
    compare: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Changes of one kind; total: how many there are, the first of which are entries."""

    title: str
    tone: str
    total: int
    entries: tuple[Entry, ...]


def section(title: str, tone: str, entries: Iterable[Entry]) -> Section:
    """A section with as many entries as are shown."""
    listed = list(entries)
    return Section(title, tone, len(listed), tuple(listed[:SHOWN]))


def sections_of(diff: Diff) -> list[Section]:
    """The changes by kind; kinds without any are left out."""
    found = [
        section(title, tone, [Entry(path) for path in sorted(getattr(diff, name))])
        for name, (title, tone) in _TITLES.items()
    ]
    moves = [Entry(to, f"from {source}") for source, to in diff.moved_nodes]
    found.append(section("Moved", "changed", moves))
    created = diff.new_arrays
    chunks = [
        Entry(path, f"{len(rows):,} chunk{'s' * (len(rows) != 1)}", path not in created)
        for path, rows in diff._chunks.items()
    ]
    found.append(section("Arrays with chunks written", "changed", chunks))
    return [one for one in found if one.total]
