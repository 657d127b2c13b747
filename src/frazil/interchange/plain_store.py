"""A Zarr store over any storage of this package, for plain hierarchies in it."""

from __future__ import annotations

import builtins
import os
from collections.abc import AsyncIterator, Iterable

from typing_extensions import override
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, ZipStore

from frazil.errors import ErrorKind, StorageError
from frazil.storage import Storage
from frazil.storage.base import Backend
from frazil.storage.from_url import storage_at_address
from frazil.storage.urls import parse_url
from frazil.twins import in_pool


class PlainStore(Store):
    """The objects of a storage, each under its key."""

    def __init__(self, storage: Storage, *, read_only: bool) -> None:
        super().__init__(read_only=read_only)
        self.storage = storage

    @property
    def _backend(self) -> Backend:
        return self.storage.backend()

    @override
    def __eq__(self, value: object) -> bool:
        return isinstance(value, PlainStore) and value.storage == self.storage

    @override
    def __str__(self) -> str:
        return str(self.storage)

    @override
    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        data = await in_pool(self._get, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _get(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        try:
            match byte_range:
                case None:
                    return self._backend.get(key)
                case RangeByteRequest(start, end):
                    return self._backend.get(key, start=start, end=end)
                case OffsetByteRequest(offset):
                    return self._backend.get(key, start=offset)
                case SuffixByteRequest(suffix):
                    size = self._backend.info(key).size
                    return self._backend.get(key, start=max(size - suffix, 0))
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            return None

    @override
    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> builtins.list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    @override
    async def exists(self, key: str) -> bool:
        return await in_pool(self._backend.exists, key)

    @property
    @override
    def supports_writes(self) -> bool:
        return not self._backend.read_only

    @override
    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await in_pool(self._backend.put, key, value.to_bytes())

    @property
    @override
    def supports_deletes(self) -> bool:
        return not self._backend.read_only

    @override
    async def delete(self, key: str) -> None:
        self._check_writable()
        await in_pool(self._backend.delete, [key])

    @property
    @override
    def supports_listing(self) -> bool:
        return not self._backend.read_only

    @override
    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    @override
    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        folder = prefix.rpartition("/")[0]
        for key in await in_pool(self._keys, folder):
            if key.startswith(prefix):
                yield key

    @override
    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = prefix.strip("/")
        start = len(folder) + 1 if folder else 0
        seen = set()
        for key in await in_pool(self._keys, folder):
            name = key[start:].partition("/")[0]
            if name not in seen:
                seen.add(name)
                yield name

    def _keys(self, folder: str) -> builtins.list[str]:
        return [info.key for info in self._backend.list(folder)]


def plain_store(place: object, *, read_only: bool) -> Store:
    """The Zarr store for a store, a path or URL, or a `Storage`.

    URLs are those of `frazil.open`; others are left to fsspec, where that is installed.
    """
    if isinstance(place, Store):
        return place
    if isinstance(place, Storage):
        return PlainStore(place, read_only=read_only)
    if not isinstance(place, str | os.PathLike):
        raise TypeError(
            f"a plain Zarr hierarchy is named by a path, a URL, a Storage or a Zarr store, not "
            f"by {type(place).__name__}"
        )
    try:
        address = parse_url(place)
    except StorageError as error:
        if error.kind != ErrorKind.CANNOT_PARSE_URL:
            raise
        return _fsspec_store(os.fspath(place), error, read_only=read_only)
    if address.constructor == "local_filesystem_storage":
        return _local_store(str(address.place["path"]), read_only=read_only)
    return PlainStore(storage_at_address(address, {}), read_only=read_only)


def _local_store(path: str, *, read_only: bool) -> Store:
    if path.lower().endswith(".zip"):
        return ZipStore(path, mode="r" if read_only else "w", read_only=read_only)
    return LocalStore(path, read_only=read_only)


def _fsspec_store(url: str, error: StorageError, *, read_only: bool) -> Store:
    try:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(url, read_only=read_only)
    except (ImportError, ValueError):  # no fsspec, or a scheme that it does not know either
        raise error from None
