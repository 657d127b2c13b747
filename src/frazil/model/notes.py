"""What Frazil writes down about a repository as a whole: its id, and more.

It is in the metadata of the first snapshot, under a name of its own. Every program that changes
a repository carries that along: through commits, expirations, collections and migration. No
program has to know it.

A repository that Frazil did not make has no such entry. Its id follows from the time at which it
was made, in microseconds, so that all who ask get the same answer without writing anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Snapshot

NAME: Final = "__frazil"
"""Of the entry in the metadata of the first snapshot."""
_ID: Final = "repository_id"
_COLLECTED: Final = "collected_before"
_MADE_AT: Final = UUID("6cbe4a5d-7d5c-4f0e-b4b4-5e0f3e3f6a55")
"""The name space of ids that follow from a time."""

Notes = Mapping[str, Any]
Change = Callable[[Notes], Notes]


def notes_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What is written down there; empty where it is nothing of ours."""
    found = metadata.get(NAME)
    return dict(found) if isinstance(found, dict) else {}


def with_notes(metadata: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """The metadata of the first snapshot with these notes instead."""
    others = {name: value for name, value in metadata.items() if name != NAME}
    return others | {NAME: dict(notes)} if notes else others


def new_notes(id_: UUID) -> dict[str, Any]:
    """The notes of a new repository."""
    return {_ID: str(id_)}


def collected_before(metadata: Mapping[str, Any]) -> int:
    """The latest cutoff of a collection (us since the epoch), 0 if none is told of."""
    found = notes_of(metadata).get(_COLLECTED)
    return found if isinstance(found, int) else 0


def with_collected(metadata: Mapping[str, Any], cutoff: int) -> dict[str, Any]:
    """The metadata of the first snapshot, telling of a collection with this cutoff."""
    return with_notes(metadata, notes_of(metadata) | {_COLLECTED: cutoff})


def identity(first: SnapshotRecord | Snapshot) -> UUID:
    """The id of the repository that began with this snapshot."""
    try:
        return UUID(notes_of(first.metadata)[_ID])
    except (KeyError, ValueError, TypeError, AttributeError):
        return uuid5(_MADE_AT, str(first.flushed_at))
