"""Following a spec 1 history, whose snapshots say one by one what came before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from frazil.engine import listings
from frazil.engine.listings import read_listing, with_ancestors
from frazil.errors import StorageError
from frazil.format.nodes import NodeTable
from frazil.format.snapshot import ManifestTable, Snapshot, encode_snapshot
from frazil.ids import SnapshotId
from frazil.library.files import Library
from frazil.storage.base import ObjectInfo
from frazil.storage.memory import MemoryBackend


def sid(number: int) -> SnapshotId:
    return SnapshotId(number.to_bytes(12, "big"))


class Stored(MemoryBackend):
    """Snapshots whose files are as old as their numbers are small; counts rounds of reading."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[SnapshotId] = []

    def add(self, number: int, parent: int | None) -> None:
        snapshot = Snapshot(
            id=sid(number),
            flushed_at=number,
            message="",
            metadata={},
            nodes=NodeTable.of([]),
            manifests=ManifestTable.of([]),
            parent_id=None if parent is None else sid(parent),
        )
        self.put(f"snapshots/{snapshot.id}", encode_snapshot(snapshot, spec=1))

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        self.read.append(SnapshotId.parse(key.partition("/")[2]))
        return super().get(key, start=start, end=end)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            name, days = info.key.partition("/")[2], 500
            if name != "unknown":
                days = int.from_bytes(SnapshotId.parse(name), "big")
            yield replace(info, last_modified=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days))


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files were read at once, round by round."""
    sizes: list[int] = []
    real = listings.map_parallel

    def counted(fn: Callable[[SnapshotId], object], items: list[SnapshotId]) -> list[object]:
        sizes.append(len(items))
        return real(fn, items)

    monkeypatch.setattr(listings, "map_parallel", counted)
    return sizes


def found(stored: Stored, *tips: int, known: tuple[int, ...] = (), limit: int = 16) -> list[int]:
    items = with_ancestors(
        Library(stored, spec=1), map(sid, tips), known=set(map(sid, known)), limit=limit
    )
    return [item.flushed_at for item in items]


@pytest.mark.parametrize("limit", [1, 2, 16])
def test_a_line_is_read_in_few_rounds(stored: Stored, rounds: list[int], limit: int) -> None:
    for number in range(100):
        stored.add(number, number - 1 if number else None)
    assert found(stored, 99, limit=limit) == list(range(99, -1, -1))
    assert max(rounds) <= limit
    if limit == 16:
        assert len(rounds) <= 12
    assert len(stored.read) == 100


def test_lines_that_meet_are_read_once(stored: Stored) -> None:
    for number in range(40):
        stored.add(number, None if not number else number - 1 if number < 20 else number - 2)
    assert sorted(found(stored, 38, 39)) == [*range(40)]
    assert sorted(found(stored, 38)) == [*range(18), 18, *range(20, 40, 2)]
    assert sorted(found(stored, 38, known=(20,))) == [*range(22, 40, 2)]


def test_what_nobody_needs_is_hardly_read(stored: Stored) -> None:
    for number in range(300):
        stored.add(number, number - 30 if number % 30 == 7 and number > 30 else None)
    assert found(stored, 277) == list(range(277, -1, -30))
    assert len(stored.read) < 40


def test_a_damaged_file_matters_only_where_it_is_needed(stored: Stored) -> None:
    for number in range(5):
        stored.add(number, number - 1 if number else None)
    stored.put(f"snapshots/{sid(6)}", b"damaged")
    stored.put("snapshots/unknown", b"")
    assert found(stored, 4) == [4, 3, 2, 1, 0]
    stored.delete([f"snapshots/{sid(1)}"])
    with pytest.raises(StorageError, match=str(sid(1))):
        found(stored, 4)


def test_a_circle_ends(stored: Stored) -> None:
    stored.add(1, 2)
    stored.add(2, 1)
    assert sorted(found(stored, 2)) == [1, 2]


def test_a_listing_says_what_the_snapshot_says(stored: Stored) -> None:
    stored.add(7, 5)
    listing = read_listing(Library(stored, spec=1), sid(7))
    assert (listing.id, listing.parent_id, listing.flushed_at) == (sid(7), sid(5), 7)
    assert (len(listing.manifests), listing.parts.shape) == (0, (0, 20))
