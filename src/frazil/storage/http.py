"""Repositories behind a web server: for reading, without signing in.

Versions are ETags. Many servers make them of a file's size and of the second in which it was
written, so that of a file written twice in a second both versions may have the same one. So
an ETag only counts when it is older than that; else, and where there is none, the version is a
checksum of the content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from typing_extensions import override

from frazil.credentials.secret import Confidential, Guarded, guarded, revealed
from frazil.display import Shown
from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import Backend, Fetched, ObjectInfo, Version
from frazil.storage.client_errors import status_of
from frazil.storage.clients import Manner, http_client
from frazil.storage.keys import decode_key, encode_key, folder_prefix
from frazil.storage.location import Location
from frazil.storage.object_reads import read_unless
from frazil.storage.objects import ObjectBackend
from frazil.storage.settings import StorageSettings
from frazil.storage.urls import masked

SETTLED = timedelta(seconds=2)
"""So long after an object was written, its ETag is that of no other version."""

_ETAG = "etag "


class HttpBackend(ObjectBackend):
    """The objects below the URL of a folder."""

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        etag = None
        if unless is not None and unless.token.startswith(_ETAG):
            etag = unless.token.removeprefix(_ETAG)
        found = read_unless(self._at, key, self._path(key), etag)
        if found is None:
            return None
        version = _version(found.meta, found.data)
        if version == unless:
            return None
        return Fetched(found.data, version, found.meta["last_modified"])

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder = folder_prefix(prefix)
        try:
            metas = self._at.reader().list(encode_key(folder[:-1]) if folder else None).collect()
        except Exception as error:
            if isinstance(error, FileNotFoundError):
                return
            status = status_of(error)
        else:
            for meta in metas:
                key = decode_key(meta["path"])
                if key is not None and key.startswith(folder):
                    yield ObjectInfo(key, meta["size"], meta["last_modified"])
            return
        if status in (400, 403, 404, 405, 501):
            raise StorageError(
                f"the {self._at.where} does not list what it has (it answers PROPFIND by "
                f"{status}): only what has a known name can be read, such as branches and tags",
                ErrorKind.OBJECT_STORE,
            )
        yield from super().list(prefix)


def _version(meta: Mapping[str, Any], data: bytes) -> Version:
    etag, written = meta["e_tag"], meta["last_modified"]
    if etag and written.timestamp() > 0 and datetime.now(UTC) - written >= SETTLED:
        return Version(_ETAG + etag)
    return Version(f"sha256 {hashlib.sha256(data).hexdigest()}")


@dataclass(frozen=True, slots=True)
class Web(Location):
    """The folder at a URL of a web server."""

    url: str
    """Without query, and without a slash at the end."""
    query: Confidential | None
    """Sent with each request: there may be a signature in it."""
    options: Guarded
    headers: Guarded

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        document = None if settings is None else json.dumps(settings.to_document(), sort_keys=True)
        opened = _opened.get((self, document))
        return opened or _opened.setdefault((self, document), self._backend(settings))

    def _backend(self, settings: StorageSettings | None) -> HttpBackend:
        def connect(manner: Manner) -> Any:
            url = self.url if self.query is None else f"{self.url}?{self.query.text}"
            allow = {"allow_http": "true"} if url.startswith("http:") else {}
            return http_client(
                url,
                options={**allow, **revealed(self.options)},
                settings=settings,
                manner=manner,
            )

        return HttpBackend(
            connect,
            where=f"web server at {self.url}",
            settings=settings,
            read_headers=revealed(self.headers),
            read_only=True,
        )

    @override
    def shown(self) -> Iterable[Shown]:
        return Shown("type", "HTTP"), Shown("url", self.url + ("?…" if self.query else ""))

    @override
    def default_settings(self) -> StorageSettings:
        return StorageSettings()


_opened: dict[tuple[Web, str | None], HttpBackend] = {}


def web(
    base_url: str,
    options: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Web:
    """The location with this URL; `StorageError` `cannot-parse-url` if it is none."""
    parts = parsed(base_url, ("http", "https"))
    plain = parts._replace(path=parts.path.rstrip("/"), query="", fragment="").geturl()
    query = Confidential(parts.query) if parts.query else None
    return Web(plain, query, guarded(options), guarded(headers))


def parsed(url: str, schemes: Sequence[str]) -> SplitResult:
    """The parts of a URL of one of the schemes; `StorageError` `cannot-parse-url` otherwise."""
    problem = ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        problem = str(error)
    else:
        if parts.scheme not in schemes:
            problem = f"it must start with {' or '.join(f'{scheme}://' for scheme in schemes)}"
        elif not host:
            problem = "it names no host"
        elif "@" in parts.netloc:
            problem = "take user and password out of it; a header can carry them"
        else:
            return parts
    raise StorageError(f"bad URL {masked(url)!r}: {problem}", ErrorKind.CANNOT_PARSE_URL)
