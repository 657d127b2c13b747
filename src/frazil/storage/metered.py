"""A storage that counts its requests and bounds how many go on at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from typing_extensions import override

from frazil.storage.base import Backend, Numbers
from frazil.storage.fork import ForksafeLock
from frazil.storage.gate import Gate
from frazil.storage.wrapper import Wrapper, bytes_of
from frazil.telemetry import Span, effort, span

T = TypeVar("T")


class Meter:
    """Requests by operation, and the bytes that they brought and took."""

    def __init__(self) -> None:
        self._lock = ForksafeLock()
        self._requests: Counter[str] = Counter()
        self._read = 0
        self._written = 0

    def count(self, operation: str, read: int, written: int) -> None:
        """Add one request."""
        with self._lock:
            self._requests[operation] += 1
            self._read += read
            self._written += written

    def totals(self) -> tuple[dict[str, int], int, int]:
        """Requests by operation, bytes read, bytes written."""
        with self._lock:
            return dict(self._requests), self._read, self._written


class Metered(Wrapper):
    """Counts all requests, `sync` left out, which is none; at most `at_once` go on together."""

    def __init__(self, inner: Backend, meter: Meter, at_once: int | None = None) -> None:
        super().__init__(inner)
        self._meter = meter
        self._gate = Gate(at_once)

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        received = 0
        with span("frazil.request", operation=operation, key=key) as told:
            try:
                with self._gate.passed():
                    response = call()
                received = bytes_of(response)
                return response
            finally:
                self._count(told, operation, received, sent)

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        # As `request`, without a function for each of many small reads.
        data = b""
        with span("frazil.request", operation="get", key=key) as told:
            try:
                with self._gate.passed():
                    data = self.inner.get(key, start=start, end=end)
                return data
            finally:
                self._count(told, "get", len(data), 0)

    def _count(self, told: Span, operation: str, received: int, sent: int) -> None:
        self._meter.count(operation, received, sent)
        if told.recording:
            told.note(bytes_read=received, bytes_written=sent)
            whole = effort()
            if whole is not None:
                whole.add(requests=1, bytes_read=received, bytes_written=sent)

    @override
    def look_at(self, folder: str, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        # On a disk it is one thing to do, elsewhere a request for each object.
        if self.local:
            return super().look_at(folder, names)
        return Backend.look_at(self, folder, names)

    @override
    def delete(self, keys: Iterable[str]) -> None:
        # All at once: an object store takes a thousand in one request.
        some = list(keys)
        self.request("delete", "", lambda: self.inner.delete(some))

    @override
    def sync(self) -> None:
        self.inner.sync()
