"""Chunks in memory, where Zarr's own pipelines expect the paths of a store.

Codecs that only run in an event loop, and shards that are written in parts, go through the
pipeline that Zarr would have used. It finds the chunks that it reads here, and leaves here those
that it writes.
"""

from __future__ import annotations

from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from frazil.engine.reader import resolve_range
from frazil.store.ranges import bounds_of


class HeldChunk:
    """A byte getter and setter for one chunk; `data` None: it is not initialised."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.changed = False

    def get_sync(
        self,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The bytes, or a range of them."""
        if self.data is None:
            return None
        data: Any = self.data
        if byte_range is not None:
            first, last = resolve_range(len(data), *bounds_of(byte_range))
            data = memoryview(data)[first:last]
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    def set_sync(self, value: Buffer) -> None:
        """Write the chunk."""
        self.data, self.changed = value.to_bytes(), True

    def delete_sync(self) -> None:
        """Erase the chunk."""
        self.data, self.changed = None, True

    async def get(
        self, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """As `get_sync`."""
        return self.get_sync(prototype, byte_range)

    async def set(self, value: Buffer) -> None:
        """As `set_sync`."""
        self.set_sync(value)

    async def delete(self) -> None:
        """As `delete_sync`."""
        self.delete_sync()

    async def set_if_not_exists(self, default: Buffer) -> None:
        """Write the chunk unless it is initialised."""
        if self.data is None:
            self.set_sync(default)
