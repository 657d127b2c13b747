"""Puts that go on while their caller computes what to put next."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future

from frazil.storage.base import Backend, Version
from frazil.storage.pool import io_pool

MAX_IN_FLIGHT = 64
"""Further puts wait while this many are under way: their bytes are in memory."""


class Uploads:
    """Stores objects in the background; after `wait` all of them are in the storage.

    For any number of threads that put, and one that waits at the end.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._running: deque[tuple[Future[Version], str, bytes]] = deque()

    def put(self, key: str, data: bytes) -> None:
        """Store an object, at the latest when `wait` returns."""
        if self._backend.local:  # another thread would cost more than it saves
            self._backend.put(key, data)
            return
        self._running.append((io_pool().submit(self._backend.put, key, data), key, data))
        if len(self._running) > MAX_IN_FLIGHT:
            self._finish_one()

    def wait(self) -> None:
        """Return when everything is stored; raises what a put has raised."""
        while self._running:
            self._finish_one()

    def _finish_one(self) -> None:
        try:
            future, key, data = self._running.popleft()
        except IndexError:
            return  # another thread took the last one
        if future.cancel():
            # The pool has not begun, and may be full of those who wait: store it here.
            self._backend.put(key, data)
        else:
            future.result()
