"""Which objects are stored, and how large they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from frazil.engine import inventory
from frazil.engine.inventory import list_folders, look_at, look_at_ids, sizes_of, stored
from frazil.ids import ChunkId
from frazil.model.listed import SortedIds
from frazil.model.sweep import Objects
from frazil.storage.base import Backend
from frazil.storage.local import LocalBackend
from frazil.storage.memory import MemoryBackend

WRITTEN = datetime(2024, 5, 1, tzinfo=UTC)
"""A whole second: of such times collections do not know what was cut off."""
WRITTEN_US = (WRITTEN - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "local":
        return LocalBackend(tmp_path)
    return MemoryBackend(lambda: WRITTEN)


def id_of(number: int) -> ChunkId:
    return ChunkId(number.to_bytes(12, "big"))


def put(backend: Backend, count: int) -> None:
    """Objects 0, 2, 4 … of so many bytes, and what is none of them."""
    for number in range(0, 2 * count, 2):
        backend.put(f"chunks/{id_of(number)}", bytes(number))
    backend.put("chunks/notes.txt", b"mine")


def told(objects: Objects) -> dict[bytes, int]:
    return {
        row.tobytes(): size for row, size in zip(objects.raw(), objects.size.tolist(), strict=True)
    }


@pytest.mark.parametrize("few", [200, 3])
def test_sizes_of_what_is_there(
    backend: Backend, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_FEW", few)
    put(backend, 6)
    ids = SortedIds.of(np.array([bytes(id_of(number)) for number in range(1, 9)], "S12"))
    assert sizes_of(backend, "chunks", ids).tolist() == [-1, 2, -1, 4, -1, 6, -1, 8]
    assert sizes_of(backend, "nothing", ids).tolist() == [-1] * 8
    assert sizes_of(backend, "chunks", SortedIds(ids.head[:0], ids.tail[:0])).tolist() == []


def test_all_that_is_stored(backend: Backend) -> None:
    put(backend, 3)
    (objects,) = stored(backend, "chunks")
    assert told(objects) == {bytes(id_of(number)): number for number in (0, 2, 4)}
    if isinstance(backend, MemoryBackend):
        assert objects.created.tolist() == [WRITTEN_US] * 3
    assert list(stored(backend, "nothing")) == []


def test_what_a_collection_looks_at(backend: Backend) -> None:
    put(backend, 3)
    listed = list_folders(backend, ["chunks"])["chunks"]
    assert len(listed) == 3
    backend.delete([f"chunks/{id_of(2)}"])
    wanted = listed.ids(np.arange(3)).view(np.uint8).reshape(-1, 12)
    looked = look_at_ids(backend, "chunks", wanted)
    assert told(looked) == {bytes(id_of(number)): number for number in (0, 4)}
    if isinstance(backend, MemoryBackend):
        assert looked.created.tolist() == [WRITTEN_US + 999_999] * 2
        assert look_at(backend, "chunks", listed, np.arange(1)).created == [WRITTEN_US + 999_999]
