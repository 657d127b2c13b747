"""Which files virtual chunks may be in: what a location names, if a container covers it.

A container covers the URLs that begin with its prefix, which ends with "/". What a location
(see `frazil.urls`) names is decided once, by `Containers.target`, and there is no other way to a
file. No part of a key is empty, "." or "..": S3 would have such keys; locations of that kind are
kept, as icechunk keeps them, and not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frazil.errors import ErrorKind, InvalidInputError
from frazil.urls import RELATIVE, canonical, host_of, invalid, key_of, no_container
from frazil.virtual import S3_STORES, VirtualChunkContainer

_NO_PARTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Target:
    """One file: its URL, the container that covers it, its host or bucket, and its key there."""

    url: str
    container: VirtualChunkContainer
    host: str
    key: str


class Containers:
    """The containers of a configuration; of those that cover a URL the longest prefix counts."""

    def __init__(self, containers: Iterable[VirtualChunkContainer]) -> None:
        prefixes = {}
        self._named = {}
        for container in containers:
            prefixes[canonical(container.url_prefix)] = container
            if container.name is not None:
                self._named[container.name] = container
        self._prefixes = sorted(prefixes.items(), key=lambda item: -len(item[0]))

    def prefixes(self) -> list[str]:
        """What locations begin with that are covered, in their stored form."""
        return [*(p for p, _ in self._prefixes), *(f"{RELATIVE}://{n}/" for n in self._named)]

    def covering(self, url: str) -> VirtualChunkContainer | None:
        """The container of an absolute URL."""
        return next((c for prefix, c in self._prefixes if url.startswith(prefix)), None)

    def absolute(self, location: str) -> str:
        """The URL of a stored location; those in a container are its prefix and their path."""
        named = self._relative(location)
        return location if named is None else named[0].url_prefix + named[1]

    def target(self, location: str) -> Target:
        """What a stored location names.

        `InvalidInputError`: `no-container-for-virtual-chunk` if no container covers it, or not
        the one that it is relative to; `invalid-virtual-ref` for keys that are none.
        """
        url = canonical(location)
        named = self._relative(url)
        if named is not None:
            url = canonical(named[0].url_prefix + named[1])
        container = self.covering(url)
        inside = named is None or url.startswith(canonical(named[0].url_prefix))
        if container is None or not inside:
            raise no_container(location)
        host, key = host_of(url), key_of(url)
        parts = key.split("/")
        if _NO_PARTS.intersection(parts) or "\0" in key:
            raise invalid(location, "empty, '.' and '..' parts of paths are not followed")
        return Target(url, container, host, key)

    def check(self, location: str) -> str:
        """The stored form of a location that can be read if access is authorized.

        Raises as `canonical` and `target`, but leaves odd S3 keys to the reader.
        """
        url = canonical(location)
        try:
            self.target(location)
        except InvalidInputError as error:
            container = self.covering(self.absolute(url))
            odd = error.kind == ErrorKind.INVALID_VIRTUAL_REF
            if not odd or container is None or not isinstance(container.store, S3_STORES):
                raise
        return url

    def _relative(self, location: str) -> tuple[VirtualChunkContainer, str] | None:
        if not location.startswith(f"{RELATIVE}://"):
            return None
        name, slash, path = location[len(RELATIVE) + 3 :].partition("/")
        container = self._named.get(name)
        if container is None or not slash:
            raise no_container(location)
        return container, path
