"""Objects in the memory of this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from typing_extensions import override

from frazil.storage.base import (
    OVERWRITE,
    Backend,
    Create,
    Fetched,
    ObjectInfo,
    PreconditionFailed,
    PutMode,
    Update,
    Version,
    not_found,
    resolve_range,
)
from frazil.storage.fork import ForksafeLock
from frazil.storage.keys import encode_key, folder_prefix


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    version: Version
    last_modified: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryBackend(Backend):
    """A dictionary of objects; a forked child goes on with a copy of its own.

    `clock` tells the time of a write.
    """

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._objects: dict[str, _Object] = {}
        self._tokens = itertools.count(1)
        self._lock = ForksafeLock()

    def _object(self, key: str) -> _Object:
        encode_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise not_found(key, "the in-memory storage") from None

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        data = self._object(key).data
        first, last = resolve_range(key, len(data), start, end)
        return data[first:last]

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        data = self._object(key).data
        pieces = [resolve_range(key, len(data), start, end) for start, end in ranges]
        return [data[first:last] for first, last in pieces]

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        found = self._object(key)
        if found.version == unless:
            return None
        return Fetched(found.data, found.version, found.last_modified)

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        encode_key(key)
        content = bytes(data)
        with self._lock:
            found = self._objects.get(key)
            if isinstance(mode, Create) and found is not None:
                raise PreconditionFailed(f"object {key!r} exists already")
            if isinstance(mode, Update) and (found is None or found.version != mode.version):
                raise PreconditionFailed(f"object {key!r} is not the version that was read")
            version = Version(str(next(self._tokens)))
            self._objects[key] = _Object(content, version, self._clock())
        return version

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        found = self._object(source)
        if version is not None and found.version != version:
            raise PreconditionFailed(f"object {source!r} is not the version that was read")
        self.put(target, found.data)

    @override
    def exists(self, key: str) -> bool:
        encode_key(key)
        return key in self._objects

    @override
    def info(self, key: str) -> ObjectInfo:
        found = self._object(key)
        return ObjectInfo(key, len(found.data), found.last_modified)

    @override
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            encode_key(key)
            with self._lock:
                self._objects.pop(key, None)

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder = folder_prefix(prefix)
        with self._lock:
            found = [(key, value) for key, value in self._objects.items() if key.startswith(folder)]
        for key, value in found:
            yield ObjectInfo(key, len(value.data), value.last_modified)

    @override
    def sync(self) -> None:
        pass

    @override
    def close(self) -> None:
        pass

    @property
    @override
    def read_only(self) -> bool:
        return False

    @property
    @override
    def local(self) -> bool:
        return True

    @property
    @override
    def conditional(self) -> bool:
        return True
