"""Storages for scenarios: around any backend, for faults and counts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from frazil import Storage, StorageSettings
from frazil.display import Shown
from frazil.storage.api import Location, storage_at
from frazil.storage.base import Backend
from tests.servers.fixtures import CLOUDS

EVERY_PLACE = ("memory", "disk", *CLOUDS)
everywhere = pytest.mark.parametrize("storage", EVERY_PLACE, indirect=True)
"""For a test that uses `storage` or `repo`: not only in memory and on disk, but on each object
store as well. Meant for what depends on the storage, as it takes time."""


class Around(Location):
    """The place behind a backend that is open already."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def open(self, settings: StorageSettings | None = None) -> Backend:
        return self._backend

    def shown(self) -> Iterable[Shown]:
        return [Shown("type", type(self._backend).__name__)]

    def default_settings(self) -> StorageSettings:
        return StorageSettings()


def storage_around(backend: Backend) -> Storage:
    """A storage that uses this backend."""
    return storage_at(Around(backend))
