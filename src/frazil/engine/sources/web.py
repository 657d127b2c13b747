"""Web servers as sources of virtual chunks.

The client library of the other sources goes wherever a server redirects it. This one only goes
on to what is in the same container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from typing_extensions import override

from frazil.debug import user_agent
from frazil.engine.sources.source import Found, Source, Stamp, bare_etag
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.model.virtual_urls import Containers
from frazil.storage.object_stores import ObjectStoreConfig
from frazil.storage.settings import StorageSettings
from frazil.virtual import VirtualChunkContainer

_HOPS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_SECONDS: Final = 60.0
"""Without a byte for so long a response is given up."""
_SAFE_IN_PATHS: Final = "/~!$&'()*+,;=:@"
_TOTAL = re.compile(r"bytes .*/(\d+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli\w*|s|secs?|seconds?|m|mins?|minutes?|)")


@dataclass(frozen=True, slots=True)
class Web(Source):
    """What a server has in a container; `base` is `scheme://host:port`."""

    base: str
    container: VirtualChunkContainer
    pool: urllib3.PoolManager
    headers: Mapping[str, str]

    @override
    def read(self, key: str, start: int, end: int) -> Found:
        return self._get(key, start, end)

    @override
    def stat(self, key: str) -> Found:
        found = self._get(key, 0, 1)
        return Found(b"", found.size, found.stamp)

    def _get(self, key: str, start: int, end: int) -> Found:
        url = f"{self.base}/{_quoted(key)}"
        for _ in range(_HOPS):
            response = self._ask(url, start, end)
            try:
                if response.status not in _REDIRECTS:
                    return _found(url, response, start, end)
                url = self._next(url, response.headers.get("Location", ""))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _failed(url, str(error)) from None
            finally:
                response.close()
        raise _failed(url, f"it was the {_HOPS}th redirect")

    def _ask(self, url: str, start: int, end: int) -> urllib3.BaseHTTPResponse:
        headers = {
            "Accept-Encoding": "identity",
            **self.headers,
            "Range": f"bytes={start}-{end - 1}",
        }
        try:
            return self.pool.request(
                "GET", url, headers=headers, redirect=False, preload_content=False
            )
        except urllib3.exceptions.MaxRetryError as error:
            raise _failed(url, str(error.reason or error)) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _failed(url, str(error)) from None

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        try:
            found = Containers([self.container]).target(target)
        except InvalidInputError:
            raise InvalidInputError(
                f"{url} is redirected to {target.partition('?')[0]}, outside of its virtual chunk "
                f"container {self.container.url_prefix}: such redirects are not followed; refer "
                "to the file where it is",
                ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK,
            ) from None
        query = urlsplit(target).query
        return f"{self.base}/{_quoted(found.key)}" + (f"?{query}" if query else "")


def open_web(base: str, container: VirtualChunkContainer, settings: StorageSettings | None) -> Web:
    """The server `scheme://host:port` of a container.

    `StorageError` (`storage-config`) for options that are not known.
    """
    assert isinstance(container.store, ObjectStoreConfig.Http)
    options = {name.lower(): value for name, value in (container.store.opts or {}).items()}
    options.pop("allow_http", None)  # the URL prefix says which it is
    retries = (settings or StorageSettings()).effective("retries")
    pool: dict[str, Any] = {
        "maxsize": 32,
        "cert_reqs": "CERT_REQUIRED",
        "retries": urllib3.Retry(
            total=retries.effective("max_tries") - 1,
            redirect=False,
            status_forcelist=_PASSING,
            allowed_methods={"GET"},
            backoff_factor=retries.effective("initial_backoff_ms") / 1000,
            backoff_max=retries.effective("max_backoff_ms") / 1000,
            backoff_jitter=0.1,
            raise_on_status=False,
        ),
        "timeout": urllib3.Timeout(
            connect=_seconds(options.pop("connect_timeout", "5")),
            read=_seconds(options.pop("timeout", str(_SECONDS))),
        ),
    }
    if options.pop("allow_invalid_certificates", "false") == "true":
        pool["cert_reqs"] = "CERT_NONE"
    headers = {"User-Agent": options.pop("user_agent", user_agent())}
    proxy = options.pop("proxy_url", None) or _proxy_of(base)
    if options:
        raise StorageError(
            f"unknown option {next(iter(options))!r} of the web server at {base}: known are "
            "allow_http, allow_invalid_certificates, connect_timeout, proxy_url, timeout and "
            "user_agent",
            ErrorKind.STORAGE_CONFIG,
        )
    made = urllib3.ProxyManager(proxy, **pool) if proxy else urllib3.PoolManager(**pool)
    return Web(base, container, made, {**headers, **(container.store.headers or {})})


def _quoted(key: str) -> str:
    return quote(key, safe=_SAFE_IN_PATHS, errors="surrogateescape")


def _proxy_of(base: str) -> str | None:
    parts = urlsplit(base)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise StorageError(
            f"{text!r} is no duration such as '30s' or '500ms'", ErrorKind.STORAGE_CONFIG
        )
    unit = match[2]
    scale = 0.001 if unit.startswith(("ms", "milli")) else 60 if unit.startswith("m") else 1
    return float(match[1]) * scale


def _found(url: str, response: urllib3.BaseHTTPResponse, start: int, end: int) -> Found:
    status, headers = response.status, response.headers
    total = _TOTAL.fullmatch(headers.get("Content-Range", ""))
    if status == 206 and total and headers["Content-Range"].startswith(f"bytes {start}-"):
        return Found(response.read(), int(total[1]), _stamp(headers))
    if status == 200:  # a server without ranges: the file from its beginning
        skipped = 0
        while skipped < start and (block := response.read(min(start - skipped, 1 << 20))):
            skipped += len(block)
        data = response.read(end - start) if skipped == start else b""
        size = headers.get("Content-Length", "")
        return Found(data, int(size) if size.isdigit() else skipped + len(data), _stamp(headers))
    if status == 416:
        return Found(b"", int(total[1]) if total else start, _stamp(headers))
    if status in (404, 410):
        raise StorageError(f"there is nothing at {url}", ErrorKind.OBJECT_NOT_FOUND)
    raise _failed(url, f"the server answered {status} {response.reason or ''}".strip())


def _stamp(headers: Mapping[str, str]) -> Stamp:
    modified = None
    with suppress(ValueError):  # none, or none that makes sense
        modified = parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()
    return Stamp(bare_etag(headers.get("ETag")), modified)


def _failed(url: str, why: str) -> StorageError:
    return StorageError(f"the request for {url} failed: {why}", ErrorKind.OBJECT_STORE)
