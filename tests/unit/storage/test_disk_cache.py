"""Objects that are kept on local disk once they were read."""

from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

import pytest

from frazil.errors import ErrorKind, StorageError
from frazil.storage.disk_cache import DiskCached
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from frazil.storage.pieces import MAX_PIECE, Piece, PieceFolder, cover

DATA = random.Random(1).randbytes(3 * MAX_PIECE + 1000)


class Place:
    """A cached storage, its requests, and a second process's view of the same cache."""

    def __init__(self, path: Path, budget: int = 100_000_000) -> None:
        self.path = path
        self.inner = Counting(MemoryBackend())
        self.kept = PieceFolder(str(path), budget)
        self.storage = DiskCached(self.inner, self.kept, "here")

    def another(self) -> DiskCached:
        return DiskCached(self.inner, PieceFolder(str(self.path), self.kept.budget), "here")

    def files(self) -> list[Path]:
        return [path for path in self.path.rglob("*") if path.is_file() and path.name != "lock"]

    def requests(self) -> int:
        requests = self.inner.requests
        return (
            requests["get", "chunks"]
            + requests["get_ranges", "chunks"]
            + requests["get", "snapshots"]
        )

    def received(self) -> int:
        return self.inner.sizes["get", "chunks"] + self.inner.sizes["get_ranges", "chunks"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "cache")
    place.inner.put("chunks/a", DATA)
    return place


def test_an_object_is_asked_for_once(place: Place) -> None:
    assert place.storage.get("chunks/a") == DATA
    assert place.requests() == 1
    assert place.storage.get("chunks/a") == DATA
    assert place.another().get("chunks/a", start=5) == DATA[5:]
    assert place.another().get("chunks/a", start=5, end=MAX_PIECE + 9) == DATA[5 : MAX_PIECE + 9]
    assert place.another().get_ranges("chunks/a", [(0, 3), (9, 12)]) == [DATA[:3], DATA[9:12]]
    assert place.requests() == 1


def test_only_the_missing_parts_are_asked_for(place: Place) -> None:
    storage = place.storage
    assert storage.get("chunks/a", start=100, end=200) == DATA[100:200]
    before = place.received()
    assert storage.get_ranges("chunks/a", [(50, 150), (120, 300)]) == [DATA[50:150], DATA[120:300]]
    assert place.received() - before == 50 + 100
    assert place.requests() == 2
    assert storage.get("chunks/a", start=50, end=300) == DATA[50:300]
    assert place.requests() == 2


def test_any_ranges_in_any_order(place: Place) -> None:
    chance = random.Random(2)
    for _ in range(150):
        ranges = []
        for _ in range(chance.randrange(1, 4)):
            first = chance.randrange(len(DATA))
            ranges.append((first, chance.randrange(first, len(DATA) + 1)))
        got = place.storage.get_ranges("chunks/a", ranges)
        assert got == [DATA[first:last] for first, last in ranges]


def test_a_range_beyond_the_end_is_an_error_with_and_without_the_cache(place: Place) -> None:
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            place.storage.get("chunks/a", start=0, end=len(DATA) + 1)
        assert caught.value.kind == ErrorKind.INVALID_OBJECT_SIZE
        place.storage.get("chunks/a")


@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "swap", "empty"])
def test_damage_is_noticed_and_repaired(place: Place, damage: str) -> None:
    place.storage.get("chunks/a")
    file, other = sorted(place.files(), key=lambda path: path.stat().st_size)[-2:]
    content = bytearray(file.read_bytes())
    match damage:
        case "flip":
            content[-7] ^= 1
        case "truncate":
            del content[-1:]
        case "extend":
            content += b"x"
        case "swap":
            content = bytearray(other.read_bytes())
        case "empty":
            content.clear()
    file.write_bytes(content)
    assert place.another().get("chunks/a") == DATA
    requests = place.requests()
    assert requests == 2
    assert place.another().get("chunks/a") == DATA
    assert place.requests() == requests


def test_what_can_change_is_never_kept(place: Place) -> None:
    place.storage.put("repo", b"1")
    place.storage.put("snapshots/s", b"1")
    place.storage.get("snapshots/s")
    place.inner.put("repo", b"2")
    place.inner.put("snapshots/s", b"2")  # as an expiration does in format 1
    fetched = place.storage.fetch("repo")
    assert fetched is not None
    assert fetched.data == b"2"
    assert place.storage.get("repo") == b"2"
    # now it is known that this is format 2
    assert place.storage.get("snapshots/s") == b"2"
    before = place.requests()
    assert place.storage.get("snapshots/s") == b"2"
    assert place.requests() == before


def test_what_is_replaced_or_removed_is_forgotten(place: Place) -> None:
    place.storage.get("chunks/a")
    place.storage.put("chunks/a", b"new")
    assert place.storage.get("chunks/a") == b"new"
    place.storage.delete(["chunks/a"])
    with pytest.raises(StorageError):
        place.storage.get("chunks/a")
    assert not place.files()


def test_the_budget_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    place = Place(tmp_path / "cache", budget=1_000_000)
    keys = [f"chunks/{number}" for number in range(40)]
    for key in keys:
        place.inner.put(key, DATA[:50_000])
    for age, key in enumerate(keys):
        place.storage.get(key)
        for file in place.files():
            if file.stat().st_mtime > 1e9:
                os.utime(file, (age, age))
    place.kept.trim()
    assert 500_000 < sum(file.stat().st_size for file in place.files()) <= 1_000_000
    before = place.requests()
    place.storage.get(keys[-1])
    assert place.requests() == before
    place.storage.get(keys[0])
    assert place.requests() == before + 1


def test_what_is_larger_than_half_the_budget_is_not_kept(tmp_path: Path) -> None:
    place = Place(tmp_path / "cache", budget=1000)
    place.inner.put("chunks/a", DATA[:501])
    assert place.storage.get("chunks/a") == DATA[:501]
    assert not place.files()


def test_unfinished_files_of_dead_processes_go(place: Place) -> None:
    place.storage.get("chunks/a")
    old = place.files()[0].parent / ".frazil#123"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    new = old.with_name(".frazil#456")
    new.write_bytes(b"half")
    place.kept.trim()
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_costs_only_speed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file in the place of the folder")
    place = Place(tmp_path / "cache")
    place.inner.put("chunks/a", DATA)
    assert place.storage.get("chunks/a") == DATA
    assert place.storage.get("chunks/a") == DATA
    assert place.requests() == 2
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1


def _read_all(folder: str, seed: int) -> bool:
    inner = MemoryBackend()
    for number in range(20):
        inner.put(f"chunks/{number}", DATA[number : number + 30_000])
    storage = DiskCached(inner, PieceFolder(folder, 200_000), "here")
    chance = random.Random(seed)
    for _ in range(150):
        number, first = chance.randrange(20), chance.randrange(29_000)
        expected = DATA[number : number + 30_000][first : first + 1000]
        if storage.get(f"chunks/{number}", start=first, end=first + 1000) != expected:
            return False
    return True


def test_processes_share_a_cache_that_is_too_small_for_them(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folder = str(tmp_path / "cache")
        assert all(pool.starmap(_read_all, [(folder, seed) for seed in range(4)]))


def test_cover() -> None:
    pieces = [Piece(10, 20), Piece(15, 40), Piece(50, 60, last=True)]
    assert cover(pieces, 5, 55) == [
        (5, 10, None),
        (10, 20, Piece(10, 20)),
        (20, 40, Piece(15, 40)),
        (40, 50, None),
        (50, 55, Piece(50, 60, last=True)),
    ]
    assert cover([], 3, 7) == [(3, 7, None)]


@pytest.mark.parametrize("name", ["1-2", "0-0e", "5-17e"])
def test_names_of_pieces(name: str) -> None:
    piece = Piece.named(name)
    assert piece is not None
    assert piece.name == name


@pytest.mark.parametrize("name", ["lock", "1", "1-", "-1", "2-1", "01-2", "1-2x", "1-2ee", "١-٢"])
def test_other_files_are_no_pieces(name: str) -> None:
    assert Piece.named(name) is None
