"""What is written down about a repository, in the metadata of its first snapshot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from frazil.format.history import SnapshotRecord
from frazil.ids import INITIAL_SNAPSHOT
from frazil.model.notes import NAME, identity, new_notes, notes_of, with_notes

ID = UUID("4b2f0f9e-98a2-4c8e-9d3a-0b8f2bb2c9f4")
THEIRS = {"__icechunk": {"is_root": True}}


def first(metadata: dict[str, Any], made_at: int = 7) -> SnapshotRecord:
    return SnapshotRecord(INITIAL_SNAPSHOT, None, made_at, "made", metadata)


def test_notes_stand_beside_what_others_wrote() -> None:
    metadata = with_notes(THEIRS, new_notes(ID))
    assert metadata == THEIRS | {NAME: {"repository_id": str(ID)}}
    assert notes_of(metadata) == new_notes(ID)
    assert with_notes(metadata, {}) == THEIRS
    assert identity(first(metadata)) == ID


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"repository_id": 3}, {"repository_id": "x"}])
def test_without_an_id_it_follows_from_the_time(entry: Any) -> None:
    found = identity(first(THEIRS | {NAME: entry}))
    assert found == identity(first(THEIRS)) != identity(first(THEIRS, 8))
    assert found.version == 5
