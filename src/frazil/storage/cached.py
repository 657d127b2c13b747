"""A place whose objects are kept on local disk once they were read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import xxhash
from typing_extensions import override

from frazil.display import Shown
from frazil.storage.base import Backend
from frazil.storage.disk_cache import DiskCached
from frazil.storage.location import Location
from frazil.storage.pieces import PieceFolder
from frazil.storage.settings import StorageSettings

# One for each place and backend behind it, as for the places themselves.
_opened: dict[tuple[Cached, int], DiskCached] = {}


@dataclass(frozen=True, slots=True)
class Cached(Location):
    """`inner`, with at most `max_bytes` of what is read from it kept under `folder`."""

    inner: Location
    folder: str
    max_bytes: int

    @property
    @override
    def in_this_process(self) -> bool:
        return self.inner.in_this_process

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        inner = self.inner.open(settings)
        key = self, id(inner)
        return _opened.get(key) or _opened.setdefault(
            key, DiskCached(inner, PieceFolder(self.folder, self.max_bytes), self._place)
        )

    @property
    def _place(self) -> str:
        # Ids are random, so that two places of the same name would do no harm, nor two
        # repositories one after the other in the same place. What is not random is not kept.
        named = "\n".join(f"{shown.name}={shown.value}" for shown in self.inner.shown())
        return xxhash.xxh3_64_hexdigest(named.encode("utf-8", "surrogatepass"))

    @override
    def check_creation(self) -> None:
        self.inner.check_creation()

    @override
    def shown(self) -> Iterable[Shown]:
        cache = Shown("cache", f"{self.folder}, at most {self.max_bytes} bytes")
        return [*self.inner.shown(), cache]

    @override
    def place(self) -> str:
        return self.inner.place()

    @override
    def default_settings(self) -> StorageSettings:
        return self.inner.default_settings()
