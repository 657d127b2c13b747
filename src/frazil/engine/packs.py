"""Writing chunk objects: small chunks are gathered into packs, large ones stored alone.

A reference is (object, offset, length), so many chunks can share one object. The id of a pack
is drawn when its first chunk arrives, so a reference is final before the bytes are stored;
until then they are readable from here. `flush` returns when everything is in the storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache

from frazil.format.chunk_refs import NativeRef
from frazil.ids import ChunkId
from frazil.storage.base import Backend
from frazil.storage.fork import ForksafeLock
from frazil.storage.pool import io_pool

PACK_BYTES = 4 * 1024 * 1024
"""A pack is stored when it has grown to this."""
PACKED_CHUNK_BYTES = 1024 * 1024
"""Larger chunks get an object of their own."""
MAX_PACKS_IN_FLIGHT = 4
"""Further writers wait while this many packs are being stored."""


@lru_cache(maxsize=4096)  # neighbours are read from one object, one by one
def chunk_key(id_: bytes) -> str:
    """The storage key of a chunk object."""
    return f"chunks/{ChunkId(id_)}"


class ChunkWriter:
    """Stores the chunks of one session; all methods may be called from any thread."""

    def __init__(self, backend: Backend, new_id: Callable[[], ChunkId]) -> None:
        self._backend = backend
        self._new_id = new_id
        self._lock = ForksafeLock()
        self._open_id: ChunkId | None = None
        self._open = bytearray()
        # With the process whose pool stores it: a forked child has to do it itself.
        self._stored: dict[ChunkId, tuple[bytearray, Future[object], int]] = {}

    def write(self, data: bytes | memoryview) -> NativeRef:
        """Take one chunk; returns its final reference."""
        if len(data) > PACKED_CHUNK_BYTES:
            id_ = self._new_id()
            self._backend.put(chunk_key(id_), data)
            return NativeRef(id_, 0, len(data))
        with self._lock:
            if self._open_id is None:
                self._open_id = self._new_id()
            id_, offset = self._open_id, len(self._open)
            self._open += data
            full = len(self._open) >= PACK_BYTES
            if full:
                self._hand_over()
        if full:
            self._wait(MAX_PACKS_IN_FLIGHT)
        return NativeRef(id_, offset, len(data))

    def pending(self, ref: NativeRef) -> bytes | None:
        """The bytes of a chunk whose object is not stored yet; None once it is."""
        with self._lock:
            if ref.object == self._open_id:
                data = self._open
            elif ref.object in self._stored:
                data = self._stored[ref.object][0]
            else:
                return None
            return bytes(memoryview(data)[ref.offset : ref.offset + ref.length])

    def flush(self) -> None:
        """Store what is held back and wait until all of it is in the storage."""
        with self._lock:
            if self._open_id is not None:
                self._hand_over()
        self._wait(0)

    def _hand_over(self) -> None:
        """Have the open pack stored; the caller holds the lock, so it is never out of sight."""
        id_, data = self._open_id, self._open
        assert id_ is not None
        try:
            done: Future[object] = io_pool().submit(
                self._backend.put, chunk_key(id_), memoryview(data)
            )
        except RuntimeError:  # the interpreter is on its way out and starts no threads any more
            done = Future()
        self._stored[id_] = (data, done, os.getpid())
        self._open_id, self._open = None, bytearray()

    def _wait(self, allowed: int) -> None:
        """Wait until at most `allowed` packs are on their way.

        What the pool has not begun is stored here, so that no thread of the pool waits for
        the pool. A pack that could not be stored is tried once more, so that its error
        reaches the caller; it stays readable, and the next flush tries again.
        """
        while True:
            with self._lock:
                if len(self._stored) <= allowed:
                    return
                id_, (data, done, process) = next(iter(self._stored.items()))
            if process != os.getpid() or done.cancel() or done.exception() is not None:
                self._backend.put(chunk_key(id_), memoryview(data))
            with self._lock:
                self._stored.pop(id_, None)
