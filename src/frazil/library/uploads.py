"""Puts that go on while their caller computes what to put next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from frazil.storage.base import FRESH, Backend
from frazil.storage.pool import submit

MAX_IN_FLIGHT = 64
"""Further puts wait while this many are under way: their bytes are in memory."""


class Uploads:
    """Stores new objects in the background; after `wait` all of them are in the storage.

    For any number of threads that put, and one that waits at the end.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._running: deque[tuple[Future[object], Callable[[], object]]] = deque()

    def put(self, key: str, data: bytes) -> None:
        """Store an object under a new name, at the latest when `wait` returns."""
        self._start(partial(self._backend.put, key, data, mode=FRESH))

    def copy(self, source: str, target: str) -> None:
        """Store the bytes of `source` as `target`, at the latest when `wait` returns."""
        self._start(partial(self._backend.copy, source, target))

    def _start(self, call: Callable[[], object]) -> None:
        if self._backend.local:  # another thread would cost more than it saves
            call()
            return
        self._running.append((submit(call), call))
        if len(self._running) > MAX_IN_FLIGHT:
            self._finish_one()

    def wait(self) -> None:
        """Return when everything is stored; raises what a put has raised."""
        while self._running:
            self._finish_one()

    def _finish_one(self) -> None:
        try:
            future, call = self._running.popleft()
        except IndexError:
            return  # another thread took the last one
        if future.cancel():
            # The pool has not begun, and may be full of those who wait: store it here.
            call()
        else:
            future.result()
