"""Storages that count, wait or fail: wrappers around any backend, for tests and measurements.

Each behaves as what it wraps and passes the same contract suite.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from typing_extensions import override

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import Backend
from frazil.storage.wrapper import Wrapper, bytes_of

T = TypeVar("T")

WRITES = frozenset({"put", "copy", "delete", "sync"})
"""The operations that change something; the others are `get`, `get_ranges`, `fetch`,
`exists`, `info` and `list`."""


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
            self.sizes[what] += sent + bytes_of(response)
        return response

    def reset(self) -> None:
        """Count from zero."""
        with self._lock:
            self.requests.clear()
            self.sizes.clear()


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
