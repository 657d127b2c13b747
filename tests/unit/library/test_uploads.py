"""Puts in the background: all made when waited for, errors told, the pool never waited on."""

from __future__ import annotations

import threading

import pytest

from frazil.errors import StorageError
from frazil.library.uploads import MAX_IN_FLIGHT, Uploads
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting, Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend
from frazil.storage.pool import WORKERS, io_pool


class Far(Wrapper):
    """As far away as an object store: a put is worth another thread."""

    @property
    def local(self) -> bool:
        return False


def test_everything_is_stored_after_the_wait() -> None:
    backend = Counting(MemoryBackend())
    uploads = Uploads(Far(backend))
    for i in range(3 * MAX_IN_FLIGHT):
        uploads.put(f"manifests/{i}", b"%d" % i)
    uploads.wait()
    assert {info.key for info in backend.inner.list()} == {
        f"manifests/{i}" for i in range(3 * MAX_IN_FLIGHT)
    }
    uploads.wait()
    assert backend.requests["put", "manifests"] == 3 * MAX_IN_FLIGHT


def test_a_local_put_is_made_at_once() -> None:
    seen: list[int] = []

    class Here(Wrapper):
        def request(self, operation, key, call, sent=0):  # type: ignore[no-untyped-def]
            seen.append(threading.get_ident())
            return call()

    Uploads(Here(MemoryBackend())).put("manifests/a", b"a")
    assert seen == [threading.get_ident()]


def test_the_wait_tells_what_went_wrong() -> None:
    backend: Backend = Faulty(
        MemoryBackend(), lambda operation, key: Fault.REFUSED if key.endswith("/1") else None
    )
    uploads = Uploads(Far(backend))
    for i in range(3):
        uploads.put(f"snapshots/{i}", b"x")
    with pytest.raises(StorageError):
        uploads.wait()
    uploads.wait()
    assert backend.exists("snapshots/0")
    assert backend.exists("snapshots/2")


def test_a_pool_full_of_those_who_upload_goes_on() -> None:
    backend = MemoryBackend()

    def work(i: int) -> None:
        uploads = Uploads(Far(backend))
        for j in range(4):
            uploads.put(f"chunks/{i}-{j}", b"x")
        uploads.wait()

    jobs = [io_pool().submit(work, i) for i in range(2 * WORKERS)]
    for job in jobs:
        job.result(timeout=60)
    assert len(list(backend.list("chunks"))) == 8 * WORKERS
