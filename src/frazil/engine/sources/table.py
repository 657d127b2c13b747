"""The files that virtual chunks of one repository may be read from, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from frazil.engine.sources.source import Source
from frazil.errors import ErrorKind, InvalidInputError
from frazil.model.virtual_urls import Containers, Target
from frazil.storage.client_library import abandon, generation
from frazil.storage.fork import ForksafeLock
from frazil.storage.settings import StorageSettings
from frazil.virtual import VirtualChunkContainer, folder_prefix

if TYPE_CHECKING:
    from frazil.credentials import AnyCredential

_REMEMBERED = 4096
"""Locations whose source is kept in mind."""


class SourceTable:
    """Finds the file that a location names; any number of threads may ask."""

    def __init__(
        self,
        containers: Iterable[VirtualChunkContainer] = (),
        access: Mapping[str, AnyCredential | None] | None = None,
        settings: StorageSettings | None = None,
    ) -> None:
        """containers: those of the configuration.

        access: a credential for the prefix of each that may be used.
        """
        self.containers = Containers(containers)
        self.access = {folder_prefix(prefix): c for prefix, c in (access or {}).items()}
        self._settings = settings
        self._lock = ForksafeLock()
        self._open: dict[tuple[str, str], Source] = {}
        self._known: dict[str, tuple[Source, Target]] = {}
        self._generation = generation()

    def find(self, location: str) -> tuple[Source, Target]:
        """What a location names, and how to read it.

        `InvalidInputError`: `unauthorized-virtual-chunk-container` if its container was not
        authorized, and as `Containers.target`.
        """
        if self._generation != generation():
            # Clients do not survive a fork.
            abandon((self._open, self._known))
            self._open, self._known, self._generation = {}, {}, generation()
        known = self._known.get(location)
        if known is None:
            target = self.containers.target(location)
            known = self._source(target), target
            with self._lock:
                if len(self._known) >= _REMEMBERED:
                    self._known = {}
                self._known[location] = known
        return known

    def _source(self, target: Target) -> Source:
        from frazil.engine.sources.kinds import open_source

        prefix = target.container.url_prefix
        if prefix not in self.access:
            raise InvalidInputError(
                f"access to {target.url} is not authorized: name its container when the "
                f"repository is opened, authorize_virtual_chunk_access={{{prefix!r}: ...}}",
                ErrorKind.UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER,
            )
        key = prefix, target.host
        with self._lock:
            source = self._open.get(key)
            if source is None:
                credential = self.access[prefix]
                source = open_source(target, credential, self._settings)
                self._open[key] = source
        return source
