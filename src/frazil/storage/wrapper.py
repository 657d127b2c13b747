"""A storage around another one, for what is to happen with each request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from typing_extensions import override

from frazil.storage.base import (
    OVERWRITE,
    Backend,
    Fetched,
    Numbers,
    ObjectInfo,
    Page,
    PutMode,
    Version,
)

T = TypeVar("T")


class Wrapper(Backend):
    """Passes every request on to `inner`; a subclass says in `request` what happens around it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        """Do one request of `sent` bytes and return its response."""
        return call()

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        return self.request("get", key, lambda: self.inner.get(key, start=start, end=end))

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return self.request("get_ranges", key, lambda: self.inner.get_ranges(key, ranges))

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        return self.request("fetch", key, lambda: self.inner.fetch(key, unless=unless))

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        return self.request(
            "put",
            key,
            lambda: self.inner.put(key, data, mode=mode, content_type=content_type),
            memoryview(data).nbytes,
        )

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        self.request("copy", target, lambda: self.inner.copy(source, target, version=version))

    @override
    def exists(self, key: str) -> bool:
        return self.request("exists", key, lambda: self.inner.exists(key))

    @override
    def info(self, key: str) -> ObjectInfo:
        return self.request("info", key, lambda: self.inner.info(key))

    @override
    def remove_unfinished(self, before: datetime) -> int:
        return self.inner.remove_unfinished(before)

    @override
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._delete(key)

    def _delete(self, key: str) -> None:
        self.request("delete", key, lambda: self.inner.delete([key]))

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from self.request("list", prefix, lambda: self.inner.list(prefix))

    @override
    def pages(self, folder: str, *, details: bool = False) -> Iterator[Page]:
        yield from self.request("list", folder, lambda: self.inner.pages(folder, details=details))

    @override
    def look_at(self, folder: str, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        return self.request("info", folder, lambda: self.inner.look_at(folder, names))

    @override
    def sync(self) -> None:
        self.request("sync", "", self.inner.sync)

    @override
    def check_conditions(self, key: str) -> None:
        self.inner.check_conditions(key)

    @override
    def turn(self) -> AbstractContextManager[object]:
        return self.inner.turn()

    @override
    def close(self) -> None:
        self.inner.close()

    @property
    @override
    def read_only(self) -> bool:
        return self.inner.read_only

    @property
    @override
    def local(self) -> bool:
        return self.inner.local

    @property
    @override
    def conditional(self) -> bool:
        return self.inner.conditional


def bytes_of(response: object) -> int:
    """How many bytes of objects a response brings."""
    match response:
        case bytes():
            return len(response)
        case Fetched(data=data):
            return len(data)
        case list():
            return sum(map(len, response))
        case _:
            return 0
