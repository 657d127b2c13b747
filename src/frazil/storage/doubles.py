"""Storages that count, wait or fail: wrappers around any backend, for tests and measurements.

Each behaves as what it wraps and passes the same contract suite.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import TypeVar

from typing_extensions import override

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import OVERWRITE, Backend, Fetched, ObjectInfo, PutMode, Version

T = TypeVar("T")

WRITES = frozenset({"put", "copy", "delete", "sync"})
"""The operations that change something; the others are `get`, `get_ranges`, `fetch`,
`exists`, `info` and `list`."""


class Wrapper(Backend):
    """Passes every request on to `inner`; a subclass says in `request` what happens around it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        """Do one request of `sent` bytes and return its response."""
        return call()

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        return self.request("get", key, lambda: self.inner.get(key, start=start, end=end))

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return self.request("get_ranges", key, lambda: self.inner.get_ranges(key, ranges))

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        return self.request("fetch", key, lambda: self.inner.fetch(key, unless=unless))

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        return self.request(
            "put",
            key,
            lambda: self.inner.put(key, data, mode=mode, content_type=content_type),
            memoryview(data).nbytes,
        )

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        self.request("copy", target, lambda: self.inner.copy(source, target, version=version))

    @override
    def exists(self, key: str) -> bool:
        return self.request("exists", key, lambda: self.inner.exists(key))

    @override
    def info(self, key: str) -> ObjectInfo:
        return self.request("info", key, lambda: self.inner.info(key))

    @override
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._delete(key)

    def _delete(self, key: str) -> None:
        self.request("delete", key, lambda: self.inner.delete([key]))

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from self.request("list", prefix, lambda: self.inner.list(prefix))

    @override
    def sync(self) -> None:
        self.request("sync", "", self.inner.sync)

    @override
    def turn(self) -> AbstractContextManager[object]:
        return self.inner.turn()

    @override
    def close(self) -> None:
        self.inner.close()

    @property
    @override
    def read_only(self) -> bool:
        return self.inner.read_only

    @property
    @override
    def local(self) -> bool:
        return self.inner.local

    @property
    @override
    def conditional(self) -> bool:
        return self.inner.conditional


class Counting(Wrapper):
    """Counts requests and the bytes they moved, by operation and by class of object.

    The class is the first segment of the key: `requests["get", "chunks"]`, `sizes["put",
    "repo"]`. A request that fails counts as one that moved nothing.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.sizes: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        what = operation, key.partition("/")[0]
        with self._lock:
            self.requests[what] += 1
        response = call()
        with self._lock:
            self.sizes[what] += sent + _size(response)
        return response

    def reset(self) -> None:
        """Count from zero."""
        with self._lock:
            self.requests.clear()
            self.sizes.clear()


def _size(response: object) -> int:
    match response:
        case bytes():
            return len(response)
        case Fetched(data=data):
            return len(data)
        case list():
            return sum(len(piece) for piece in response)
        case _:
            return 0


class Slow(Wrapper):
    """Waits before each request, as a network would: `read` and `write` seconds."""

    def __init__(self, inner: Backend, *, read: float = 0.0, write: float = 0.0) -> None:
        super().__init__(inner)
        self.read = read
        self.write = write

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        time.sleep(self.write if operation in WRITES else self.read)
        return call()

    @property
    @override
    def local(self) -> bool:
        return False


class Fault(Enum):
    """How a request fails."""

    REFUSED = "was refused"
    """The storage has not done it."""
    LOST = "got no response"
    """The storage has done it, but its response did not arrive."""


class Faulty(Wrapper):
    """Fails those requests for which `plan(operation, key)` says how, with a `StorageError`."""

    def __init__(self, inner: Backend, plan: Callable[[str, str], Fault | None]) -> None:
        super().__init__(inner)
        self.plan = plan

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        fault = self.plan(operation, key)
        if fault is Fault.REFUSED:
            raise _failure(fault, operation, key)
        response = call()
        if fault is Fault.LOST:
            raise _failure(fault, operation, key)
        return response


def _failure(fault: Fault, operation: str, key: str) -> StorageError:
    return StorageError(
        f"the request to {operation} {key!r} {fault.value}, as planned", ErrorKind.OBJECT_STORE
    )
