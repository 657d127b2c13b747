"""Where virtual chunks may be: URLs in their stored form, and the containers that cover them.

A container covers the URLs that begin with its prefix, which ends with "/". What a URL names is
decided once, by `Containers.target`, and there is no other way to a file:

    location  as it is stored: a URL, or vcc://<name of a container>/<path> relative to one
    url       the absolute one, of `file:` URLs in the normal form of the WHATWG standard
    key       the percent-decoded path below the host; no part of it is empty, "." or ".."

A query or a fragment is no part of a key. S3 would have keys with such parts; locations of that
kind are kept, as icechunk keeps them, and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from frazil.errors import ErrorKind, InvalidInputError
from frazil.storage.object_stores import ObjectStoreConfig
from frazil.virtual import VirtualChunkContainer

RELATIVE: Final = "vcc"
"""The scheme of locations that are relative to a named container."""

_S3: Final = (ObjectStoreConfig.S3, ObjectStoreConfig.S3Compatible, ObjectStoreConfig.Tigris)
_STORES: Final[Mapping[str, tuple[type, ...]]] = {
    "s3": _S3,
    "tigris": _S3,
    "gs": (ObjectStoreConfig.Gcs,),
    "gcs": (ObjectStoreConfig.Gcs,),
    "az": (ObjectStoreConfig.Azure,),
    "azure": (ObjectStoreConfig.Azure,),
    "abfs": (ObjectStoreConfig.Azure,),
    "http": (ObjectStoreConfig.Http,),
    "https": (ObjectStoreConfig.Http,),
    "file": (ObjectStoreConfig.LocalFileSystem,),
}
"""The kinds of storage that a URL scheme goes with."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_PATH_END = re.compile(r"[?#]")
_NO_PARTS = frozenset({"", ".", ".."})
_DOT = frozenset({".", "%2e"})
_DOT_DOT = frozenset({"..", ".%2e", "%2e.", "%2e%2e"})
_SAFE_IN_FILE_URLS: Final = "!$%&'()*+,-./:;=@[]^_|~"


@dataclass(frozen=True, slots=True)
class Target:
    """One file: its URL, the container that covers it, its host or bucket, and its key there."""

    url: str
    container: VirtualChunkContainer
    host: str
    key: str


def canonical(location: str) -> str:
    """A location in the form in which it is stored.

    `InvalidInputError` (`invalid-virtual-ref`) for what is no absolute URL.
    """
    match = _SCHEME.match(location)
    if match is None:
        raise _invalid(location, "it is not an absolute URL such as s3://bucket/key")
    scheme, rest = match[1].lower(), location[match.end() :]
    if scheme == "file":
        return "file://" + _normal_file(rest)
    if not rest.startswith("//"):
        raise _invalid(location, f"'//' and a host or bucket must follow '{scheme}:'")
    url = f"{scheme}:{rest}"
    if not _host_of(url):
        if scheme == RELATIVE:
            raise no_container(location)
        raise _invalid(location, "it names no host, bucket or container")
    return url


def folder_prefix(prefix: str) -> str:
    """A container's prefix with the "/" at its end, without which it would cover its neighbours."""
    return prefix if prefix.endswith("/") else prefix + "/"


def checked_container(container: VirtualChunkContainer) -> VirtualChunkContainer:
    """The container, its prefix ending with "/".

    ValueError unless scheme and store go together and the prefix names a place.
    """
    prefix = folder_prefix(container.url_prefix)
    match = _SCHEME.match(prefix)
    scheme = match[1].lower() if match else ""
    if not isinstance(container.store, _STORES.get(scheme, ())):
        raise ValueError(
            f"url_prefix {container.url_prefix!r} does not go with the store {container.store!r}: "
            f"the schemes of such a store are {', '.join(_schemes_of(container)) or 'none'}"
        )
    try:
        place = canonical(prefix)
    except InvalidInputError as error:
        raise ValueError(f"url_prefix {container.url_prefix!r}: {error.message}") from None
    if place == "file:///":
        raise ValueError(f"url_prefix {container.url_prefix!r} must name a folder")
    if container.name is not None and (not container.name or "/" in container.name):
        raise ValueError(f"the name of a container is not empty and has no '/': {container.name!r}")
    if prefix == container.url_prefix:
        return container
    return VirtualChunkContainer(prefix, container.store, container.name)


def _schemes_of(container: VirtualChunkContainer) -> list[str]:
    return [f"{s}://" for s, stores in _STORES.items() if isinstance(container.store, stores)]


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
        host, key = _host_of(url), _key_of(url)
        parts = key.split("/")
        if _NO_PARTS.intersection(parts) or "\0" in key:
            raise _invalid(location, "empty, '.' and '..' parts of paths are not followed")
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
            if not odd or container is None or not isinstance(container.store, _S3):
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


def no_container(location: str) -> InvalidInputError:
    """The error for a location that no container covers."""
    return InvalidInputError(
        f"no virtual chunk container of this repository covers {location}: add one with "
        "RepositoryConfig.set_virtual_chunk_container, or correct the location",
        ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK,
    )


def _invalid(location: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{location!r} is no location of a virtual chunk: {why}", ErrorKind.INVALID_VIRTUAL_REF
    )


def _host_of(url: str) -> str:
    rest = url[url.index("://") + 3 :]
    return _PATH_END.split(rest.partition("/")[0], maxsplit=1)[0]


def _key_of(url: str) -> str:
    rest = url[url.index("://") + 3 :].partition("/")[2]
    path = _PATH_END.split(rest, maxsplit=1)[0]
    return unquote_to_bytes(path).decode(errors="surrogateescape")


def _normal_file(rest: str) -> str:
    """What follows `file://` in the normal form of a `file:` URL (WHATWG URL, 4.4)."""
    rest = re.sub(r"[\t\n\r]", "", rest).rstrip("".join(map(chr, range(33))))
    end = _PATH_END.search(rest)
    path, query = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    path = path.replace("\\", "/")
    host = ""
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        host, path = "" if host.lower() == "localhost" else host.lower(), slash + path
    parts: list[str] = []
    given = path.removeprefix("/").split("/")
    for i, part in enumerate(given):
        last = i == len(given) - 1
        if part.lower() in _DOT_DOT:
            del parts[-1:]
        elif part.lower() not in _DOT:
            parts.append(quote(part, safe=_SAFE_IN_FILE_URLS))
            continue
        if last:
            parts.append("")
    return f"{host}/{'/'.join(parts)}{query}"
