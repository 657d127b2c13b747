"""Writing chunk objects: small chunks are gathered into packs, large ones stored alone.

A reference is (object, offset, length), so many chunks can share one object. The id of a pack
is drawn when its first chunk arrives, so a reference is final before the bytes are stored;
until then they are readable from here. `flush` returns when everything is in the storage.

Each object ends with a footer that says what is in it, see `frazil.format.pack`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NativeRef
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.format.pack import NO_REPOSITORY, Contents, checksum, checksums
from frazil.ids import ChunkId, NodeId
from frazil.storage.base import Backend
from frazil.storage.fork import ForksafeLock
from frazil.storage.pool import submit

PACK_BYTES = 4 * 1024 * 1024
"""A pack is stored when it has grown to this."""
PACKED_CHUNK_BYTES = 1024 * 1024
"""Larger chunks get an object of their own."""
PACK_CHUNKS = 65_536
"""A pack is stored when it has so many chunks."""
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
    """Where chunks have been put: object uint8[n, 12]; offset, length, checksum uint64[n]."""

    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    checksum: npt.NDArray[np.uint64]


class _Held(NamedTuple):
    """An object on its way; with the process whose pool stores it: a fork has to do it itself."""

    data: _Data
    done: Future[object]
    process: int


class ChunkWriter:
    """Stores the chunks of one session; all methods may be called from any thread."""

    def __init__(
        self,
        backend: Backend,
        new_id: Callable[[], ChunkId],
        sizes: PackSizes | None = None,
        repository: Callable[[], UUID | None] = lambda: None,
    ) -> None:
        """repository: its id, for the footers; asked when an object is complete."""
        self._backend = backend
        self._new_id = new_id
        self._sizes = sizes or PackSizes(PACK_BYTES, PACKED_CHUNK_BYTES)
        self._repository = repository
        self._lock = ForksafeLock()
        self._open_id: ChunkId | None = None
        self._open = bytearray()
        self._contents = Contents()
        self._stored: dict[ChunkId, _Held] = {}
        self._in_flight = 0

    def write(self, node: NodeId, coords: Sequence[int], data: bytes | memoryview) -> NativeRef:
        """Take one chunk of an array; returns its final reference."""
        size, sum_ = len(data), checksum(data)
        if size > self._sizes.largest:
            alone = Contents()
            alone.add(node, coords, size, sum_)
            return NativeRef(self._store_alone(data, alone), 0, size, sum_)
        with self._lock:
            id_, offset = self._append(data)
            self._contents.add(node, coords, size, sum_)
            full = self._store_if_full()
        if full:
            self._wait(MAX_BYTES_IN_FLIGHT)
        return NativeRef(id_, offset, size, sum_)

    def write_many(self, node: NodeId, index: npt.NDArray[np.uint32], data: ByteColumn) -> Places:
        """Take many chunks, `index[n, ndim]` of an array, which are copied.

        Returns where they are, in their order.
        """
        n = len(data)
        sums = checksums(data)
        lengths = data.size.astype(np.uint64)
        object_ = np.zeros((n, ChunkId.SIZE), np.uint8)
        offset = np.zeros(n, np.uint64)
        large = data.size > self._sizes.largest
        for i in np.flatnonzero(large).tolist():
            start = int(data.start[i])
            chunk = data.heap[start : start + int(data.size[i])]
            alone = Contents()
            alone.add(node, index[i].tolist(), len(chunk), int(sums[i]))
            object_[i] = np.frombuffer(self._store_alone(chunk.data, alone), np.uint8)
        rows = np.flatnonzero(~large)
        size = data.size[rows]
        end = np.cumsum(size)
        first = 0
        while first < len(rows):
            done = int(end[first] - size[first])
            stop = max(
                first + 1, int(np.searchsorted(end, done + self._sizes.target, side="right"))
            )
            part = rows[first : min(stop, first + PACK_CHUNKS)]
            stop = first + len(part)
            filled = int(end[stop - 1]) - done
            if filled >= self._sizes.target // 2:
                # A pack already, and nobody else's: it need not be copied twice.
                own = Contents()
                own.add_many(node, index[part], lengths[part], sums[part])
                pack = _joined(data, part, self._footer(own))
                with self._lock:
                    id_, at, full = self._new_id(), 0, True
                    self._hand_over(id_, pack)
            else:
                heap = gather_bytes(data.heap, data.start[part], data.size[part]).data
                with self._lock:
                    id_, at = self._append(heap)
                    self._contents.add_many(node, index[part], lengths[part], sums[part])
                    full = self._store_if_full()
            object_[part] = np.frombuffer(id_, np.uint8)
            offset[part] = (row_starts(data.size[part]) + at).astype(np.uint64)
            first = stop
            if full:
                self._wait(MAX_BYTES_IN_FLIGHT)
        return Places(object_, offset, lengths, sums)

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
        return id_, offset

    def _store_if_full(self) -> bool:
        """Have the open pack stored if it is large enough; the caller holds the lock."""
        full = len(self._open) >= self._sizes.target or len(self._contents) >= PACK_CHUNKS
        if full:
            self._hand_over_open()
        return full

    def _store_alone(self, data: bytes | memoryview, contents: Contents) -> ChunkId:
        id_ = self._new_id()
        self._backend.put(chunk_key(id_), b"".join((data, self._footer(contents))))
        return id_

    def _footer(self, contents: Contents) -> bytes:
        id_ = self._repository()
        return contents.footer(NO_REPOSITORY if id_ is None else id_.bytes)

    def _hand_over_open(self) -> None:
        """Have the open pack stored; the caller holds the lock, so it is never out of sight."""
        id_, data = self._open_id, self._open
        assert id_ is not None
        data += self._footer(self._contents)
        self._hand_over(id_, data)
        self._open_id, self._open, self._contents = None, bytearray(), Contents()

    def _hand_over(self, id_: ChunkId, data: _Data) -> None:
        try:
            done: Future[object] = submit(self._backend.put, chunk_key(id_), memoryview(data))
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


def _joined(data: ByteColumn, rows: npt.NDArray[np.intp], footer: bytes) -> bytes:
    """The bytes of some rows end to end, and a footer."""
    start, size = data.start[rows], data.size[rows]
    if bool((start[1:] == (start + size)[:-1]).all()):
        first = int(start[0])
        return b"".join((data.heap[first : first + int(size.sum())].data, footer))
    return b"".join((gather_bytes(data.heap, start, size).data, footer))
