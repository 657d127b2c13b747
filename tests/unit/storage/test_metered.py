"""Counting requests, and bounding how many go on at once."""

from __future__ import annotations

import os
import threading
import time

import pytest

from frazil.errors import StorageError
from frazil.library.cache import Cache
from frazil.library.chunk_cache import ChunkCached
from frazil.storage.doubles import Counting, Fault, Faulty
from frazil.storage.memory import MemoryBackend
from frazil.storage.metered import Meter, Metered


def test_requests_and_bytes() -> None:
    meter = Meter()
    backend = Metered(MemoryBackend(), meter)
    backend.put("chunks/a", b"0123456789")
    assert backend.get("chunks/a", start=2, end=5) == b"234"
    assert backend.get_ranges("chunks/a", [(0, 1), (5, 9)]) == [b"0", b"5678"]
    assert [info.key for info in backend.list()] == ["chunks/a"]
    backend.sync()
    requests, read, written = meter.totals()
    assert requests == {"put": 1, "get": 1, "get_ranges": 1, "list": 1}
    assert (read, written) == (8, 10)


def test_a_request_that_fails_is_one() -> None:
    meter = Meter()
    backend = Metered(Faulty(MemoryBackend(), lambda operation, key: Fault.REFUSED), meter)
    for request in (lambda: backend.get("chunks/a"), lambda: backend.exists("chunks/a")):
        with pytest.raises(StorageError):
            request()
    assert meter.totals() == ({"get": 1, "exists": 1}, 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_not_kept_out() -> None:
    inner = MemoryBackend()
    inner.put("chunks/a", b"a")
    inside, leave = threading.Event(), threading.Event()

    class Waits(Counting):
        def request(self, operation, key, call, sent=0):  # type: ignore[no-untyped-def]
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                leave.wait()
            return super().request(operation, key, call, sent)

    backend = Metered(Waits(inner), Meter(), at_once=1)
    thread = threading.Thread(target=backend.get, args=["chunks/a"])
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        os._exit(0 if backend.get("chunks/a") == b"a" else 1)
    status = 0
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        status = 1
    leave.set()
    thread.join()
    assert status == 0


def test_chunks_in_memory() -> None:
    inner = Counting(MemoryBackend())
    backend = ChunkCached(inner, Cache(100, len))
    backend.put("chunks/a", b"0123456789")
    backend.put("manifests/m", b"0123456789")
    for _ in range(2):
        assert backend.get("chunks/a", start=0, end=4) == b"0123"
        assert backend.get_ranges("chunks/a", [(0, 4), (4, 6)]) == [b"0123", b"45"]
        assert backend.get("manifests/m", start=0, end=2) == b"01"
        assert backend.get_ranges("manifests/m", [(0, 2)]) == [b"01"]
    assert inner.requests["get", "chunks"] == 1
    assert inner.requests["get_ranges", "chunks"] == 1
    assert inner.sizes["get_ranges", "chunks"] == 2
    assert inner.requests["get", "manifests"] == inner.requests["get_ranges", "manifests"] == 2
