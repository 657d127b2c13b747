"""Where objects are: what a `Storage` stands for; here the places of this machine."""

from __future__ import annotations

import os
import secrets
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from frazil.display import Shown
from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import Backend
from frazil.storage.local import LocalBackend
from frazil.storage.memory import MemoryBackend
from frazil.storage.settings import (
    StorageConcurrencySettings,
    StorageRetriesSettings,
    StorageSettings,
)


class Location(ABC):
    """Where objects are, as a value that pickles."""

    @property
    def in_this_process(self) -> bool:
        """Whether other processes cannot get there."""
        return False

    @abstractmethod
    def open(self, settings: StorageSettings | None = None) -> Backend:
        """The backend: one for each location, settings and process; a forked child goes on with it.

        settings: how a repository wants the storage to be used; None for the defaults.
        """

    def check_creation(self) -> None:
        """Raise `InvalidInputError` if no repository is to be made here."""
        return

    @abstractmethod
    def shown(self) -> Iterable[Shown]:
        """What to display; no secrets."""

    def place(self) -> str:
        """What tells the place from all others, for records of this machine; no secrets."""
        return ", ".join(f"{shown.name}: {shown.value}" for shown in self.shown())

    @abstractmethod
    def default_settings(self) -> StorageSettings:
        """What a repository at this location has instead of the general defaults."""


# A backend remembers what this process has yet to bring to the disk, so there is never a
# second one for a location, and it is kept as long as the process lives.
_opened: dict[Location, Backend] = {}


@dataclass(frozen=True, slots=True)
class Folder(Location):
    """A folder of this machine: `path` as an absolute one, and as it was given."""

    path: str
    given: str = field(compare=False)

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        return _opened.get(self) or _opened.setdefault(self, LocalBackend(self.path))

    @override
    def shown(self) -> Iterable[Shown]:
        return Shown("type", "local filesystem"), Shown("path", self.given)

    @override
    def place(self) -> str:
        return self.path

    @override
    def default_settings(self) -> StorageSettings:
        # These reach the configurations that repositories keep, and Icechunk fails to write
        # to a local folder with conditional updates. Here they are always in force.
        return StorageSettings(
            concurrency=StorageConcurrencySettings(5, 4096),
            retries=StorageRetriesSettings(1, 0, 0),
            unsafe_use_conditional_update=False,
            unsafe_use_metadata=False,
        )


@dataclass(frozen=True, slots=True)
class Memory(Location):
    """The memory of this process."""

    token: str
    backend: MemoryBackend = field(compare=False)

    @property
    @override
    def in_this_process(self) -> bool:
        return True

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return _memory_of, (os.getpid(), self.token)

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        return self.backend

    @override
    def shown(self) -> Iterable[Shown]:
        return (Shown("type", "in-memory"),)

    @override
    def default_settings(self) -> StorageSettings:
        return StorageSettings(
            concurrency=StorageConcurrencySettings(5, 1), retries=StorageRetriesSettings(1, 0, 0)
        )


_memories: weakref.WeakValueDictionary[str, MemoryBackend] = weakref.WeakValueDictionary()


def new_memory() -> Memory:
    """A place in memory with nothing in it."""
    memory = Memory(secrets.token_hex(16), MemoryBackend())
    _memories[memory.token] = memory.backend
    return memory


def _memory_of(process: int, token: str) -> Memory:
    # A forked child has a copy of the registry, but what it wrote there would be lost.
    backend = _memories.get(token) if process == os.getpid() else None
    if backend is None:
        raise StorageError(
            "an in-memory storage lives in the process that made it, as long as that uses it: "
            "for other processes take local_filesystem_storage or a bucket",
            ErrorKind.PICKLE,
        )
    return Memory(token, backend)
