"""Writing chunk objects: small chunks are gathered into packs, large ones stored alone.

A reference is (object, offset, length), so many chunks can share one object. The id of a pack
is drawn when its first chunk arrives, so a reference is final before the bytes are stored;
until then they are readable from here. `flush` returns when everything is in the storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NativeRef
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.ids import ChunkId
from frazil.storage.base import Backend
from frazil.storage.fork import ForksafeLock
from frazil.storage.pool import io_pool

PACK_BYTES = 4 * 1024 * 1024
"""A pack is stored when it has grown to this."""
PACKED_CHUNK_BYTES = 1024 * 1024
"""Larger chunks get an object of their own."""
MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Further writers wait while this much is being stored: it is in memory."""

_Data = bytes | bytearray | memoryview


@lru_cache(maxsize=4096)  # neighbours are read from one object, one by one
def chunk_key(id_: bytes) -> str:
    """The storage key of a chunk object."""
    return f"chunks/{ChunkId(id_)}"


class PackSizes(NamedTuple):
    """A pack is stored when it has grown to `target` bytes; chunks beyond `largest` are alone."""

    target: int
    largest: int


class Places(NamedTuple):
    """Where chunks have been put: object uint8[n, 12], offset and length uint64[n]."""

    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]


class _Held(NamedTuple):
    """An object on its way; with the process whose pool stores it: a fork has to do it itself."""

    data: _Data
    done: Future[object]
    process: int


class ChunkWriter:
    """Stores the chunks of one session; all methods may be called from any thread."""

    def __init__(
        self, backend: Backend, new_id: Callable[[], ChunkId], sizes: PackSizes | None = None
    ) -> None:
        self._backend = backend
        self._new_id = new_id
        self._sizes = sizes or PackSizes(PACK_BYTES, PACKED_CHUNK_BYTES)
        self._lock = ForksafeLock()
        self._open_id: ChunkId | None = None
        self._open = bytearray()
        self._stored: dict[ChunkId, _Held] = {}
        self._in_flight = 0

    def write(self, data: bytes | memoryview) -> NativeRef:
        """Take one chunk; returns its final reference."""
        if len(data) > self._sizes.largest:
            return NativeRef(self._store_alone(data), 0, len(data))
        with self._lock:
            id_, offset = self._append(data)
            full = self._open_id is None
        if full:
            self._wait(MAX_BYTES_IN_FLIGHT)
        return NativeRef(id_, offset, len(data))

    def write_many(self, data: ByteColumn) -> Places:
        """Take many chunks, which are copied; returns where they are, in their order."""
        n = len(data)
        object_ = np.zeros((n, ChunkId.SIZE), np.uint8)
        offset = np.zeros(n, np.uint64)
        large = data.size > self._sizes.largest
        for i in np.flatnonzero(large).tolist():
            start = int(data.start[i])
            chunk = data.heap[start : start + int(data.size[i])]
            object_[i] = np.frombuffer(self._store_alone(chunk.data), np.uint8)
        rows = np.flatnonzero(~large)
        size = data.size[rows]
        end = np.cumsum(size)
        first = 0
        while first < len(rows):
            done = int(end[first] - size[first])
            upto = done + self._sizes.target
            stop = max(first + 1, int(np.searchsorted(end, upto, side="right")))
            part = rows[first:stop]
            heap = gather_bytes(data.heap, data.start[part], data.size[part]).data
            with self._lock:
                if len(heap) >= self._sizes.target // 2:
                    # A pack already, and nobody else's: it need not be copied.
                    id_, at = self._new_id(), 0
                    self._hand_over(id_, heap)
                else:
                    id_, at = self._append(heap)
                full = id_ != self._open_id
            object_[part] = np.frombuffer(id_, np.uint8)
            offset[part] = (row_starts(data.size[part]) + at).astype(np.uint64)
            first = stop
            if full:
                self._wait(MAX_BYTES_IN_FLIGHT)
        return Places(object_, offset, data.size.astype(np.uint64))

    def pending(self, ref: NativeRef) -> bytes | None:
        """The bytes of a chunk whose object is not stored yet; None once it is."""
        with self._lock:
            data = self._pending(ref.object)
            if data is None:
                return None
            return bytes(memoryview(data)[ref.offset : ref.offset + ref.length])

    def pending_ranges(self, id_: bytes, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Ranges (start, end) of an object that is not stored yet; None once it is."""
        with self._lock:
            data = self._pending(id_)
            if data is None:
                return None
            return [bytes(memoryview(data)[start:end]) for start, end in ranges]

    def held_back(self) -> tuple[int, int]:
        """Objects that are not on their way to the storage yet, and their bytes."""
        with self._lock:
            return int(self._open_id is not None), len(self._open)

    def flush(self) -> None:
        """Store what is held back and wait until all of it is in the storage."""
        with self._lock:
            if self._open_id is not None:
                self._hand_over_open()
        self._wait(0)

    def _pending(self, id_: bytes) -> _Data | None:
        """The bytes of an object that may not be stored yet; the caller holds the lock."""
        if id_ == self._open_id:
            return self._open
        held = self._stored.get(id_)  # type: ignore[call-overload]
        return None if held is None else held.data

    def _append(self, data: bytes | memoryview) -> tuple[ChunkId, int]:
        """Put bytes into a pack; the caller holds the lock."""
        if self._open_id is None:
            self._open_id = self._new_id()
        id_, offset = self._open_id, len(self._open)
        self._open += data
        if len(self._open) >= self._sizes.target:
            self._hand_over_open()
        return id_, offset

    def _store_alone(self, data: bytes | memoryview) -> ChunkId:
        id_ = self._new_id()
        self._backend.put(chunk_key(id_), data)
        return id_

    def _hand_over_open(self) -> None:
        """Have the open pack stored; the caller holds the lock, so it is never out of sight."""
        id_, data = self._open_id, self._open
        assert id_ is not None
        self._hand_over(id_, data)
        self._open_id, self._open = None, bytearray()

    def _hand_over(self, id_: ChunkId, data: _Data) -> None:
        try:
            done: Future[object] = io_pool().submit(
                self._backend.put, chunk_key(id_), memoryview(data)
            )
        except RuntimeError:  # the interpreter is on its way out and starts no threads any more
            done = Future()
        self._stored[id_] = _Held(data, done, os.getpid())
        self._in_flight += len(data)

    def _wait(self, allowed: int) -> None:
        """Wait until at most `allowed` bytes are on their way.

        What the pool has not begun is stored here, so that no thread of the pool waits for
        the pool. A pack that could not be stored is tried once more, so that its error
        reaches the caller; it stays readable, and the next flush tries again.
        """
        while True:
            with self._lock:
                if self._in_flight <= allowed:
                    return
                id_, held = next(iter(self._stored.items()))
            if (
                held.process != os.getpid()
                or held.done.cancel()
                or held.done.exception() is not None
            ):
                self._backend.put(chunk_key(id_), memoryview(held.data))
            with self._lock:
                if self._stored.pop(id_, None) is not None:
                    self._in_flight -= len(held.data)
