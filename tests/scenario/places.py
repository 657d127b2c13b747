"""Storages for scenarios: around any backend, for faults and counts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from frazil import Storage, StorageSettings
from frazil.display import Shown
from frazil.storage.api import storage_at
from frazil.storage.base import Backend
from frazil.storage.location import Location
from tests.servers.fixtures import CLOUDS

_HERE = ("memory", "disk")
_SPECS = {"ministack": 2, "moto": 1, "azurite": 2, "gcs-standin": 1}
everywhere = pytest.mark.parametrize(
    ("storage", "spec"),
    [*((here, spec) for here in _HERE for spec in (1, 2)), *_SPECS.items()],
    indirect=True,
)
"""For a test that uses `repo`, or `storage` and `spec`: not only in memory and on disk, but on each
object store as well, with one version of the format there, as it takes time. Meant for what depends
on the storage."""
everywhere_alike = pytest.mark.parametrize("storage", [*_HERE, *CLOUDS], indirect=True)
"""The same for a test that uses `storage` alone."""


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
