"""Storages that count, wait or fail."""

from __future__ import annotations

import time

import pytest

from frazil.errors import StorageError
from frazil.storage.base import CREATE, PreconditionFailed
from frazil.storage.doubles import Counting, Fault, Faulty, Slow
from frazil.storage.memory import MemoryBackend


def test_counting_tells_requests_and_bytes_by_operation_and_class() -> None:
    backend = Counting(MemoryBackend())
    backend.put("chunks/a", b"12345")
    backend.put("chunks/b", memoryview(bytes(8)).cast("I"))
    backend.put("repo", b"123")
    backend.get("chunks/a", start=1, end=3)
    backend.get_ranges("chunks/a", [(0, 1), (2, 5)])
    version = backend.fetch("repo").version  # type: ignore[union-attr]
    backend.fetch("repo", unless=version)
    assert len(list(backend.list("chunks"))) == 2
    backend.copy("repo", "overwritten/repo.1")
    backend.delete(["chunks/a", "chunks/b"])
    with pytest.raises(StorageError):
        backend.get("chunks/none")
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"1234567", mode=CREATE)
    assert backend.requests == {
        ("put", "chunks"): 2,
        ("put", "repo"): 2,
        ("get", "chunks"): 2,
        ("get_ranges", "chunks"): 1,
        ("fetch", "repo"): 2,
        ("list", "chunks"): 1,
        ("copy", "overwritten"): 1,
        ("delete", "chunks"): 2,
    }
    assert backend.sizes["put", "chunks"] == 13
    assert backend.sizes["put", "repo"] == 3
    assert backend.sizes["get", "chunks"] == 2
    assert backend.sizes["get_ranges", "chunks"] == 4
    assert backend.sizes["fetch", "repo"] == 3
    backend.reset()
    assert not backend.requests
    assert not backend.sizes


def test_slow_waits_by_the_kind_of_request(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    backend = Slow(MemoryBackend(), read=0.25, write=4.0)
    backend.put("chunks/a", b"1")
    backend.get("chunks/a")
    backend.read = 0.5
    backend.exists("chunks/a")
    assert waited == [4.0, 0.25, 0.5]


def test_faulty_refuses_or_loses_the_response() -> None:
    plan: dict[tuple[str, str], Fault] = {
        ("put", "chunks/refused"): Fault.REFUSED,
        ("put", "chunks/lost"): Fault.LOST,
        ("get", "chunks/lost"): Fault.LOST,
    }
    backend = Faulty(MemoryBackend(), lambda operation, key: plan.get((operation, key)))
    with pytest.raises(StorageError, match="put 'chunks/refused' was refused"):
        backend.put("chunks/refused", b"1")
    with pytest.raises(StorageError, match="put 'chunks/lost' got no response"):
        backend.put("chunks/lost", b"2")
    with pytest.raises(StorageError):
        backend.get("chunks/lost")
    assert [info.key for info in backend.list()] == ["chunks/lost"]
    plan.clear()
    assert backend.get("chunks/lost") == b"2"
