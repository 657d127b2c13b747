"""Repositories of which a web server says where they are.

The server answers with redirects, the last of them to a URL that says what kind of storage it
is: one of `urls`, or a web server by one of the schemes of `_WEB`. It is asked when the storage
is first used, once in each process. The target is read, without signing in.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, Final
from urllib.parse import urljoin, urlsplit

from typing_extensions import override

from frazil.credentials import GcsCredentials, S3Credentials
from frazil.credentials.secret import Confidential
from frazil.debug import user_agent
from frazil.display import Shown
from frazil.errors import ErrorKind, IcechunkError, ReadOnlyError, StorageError
from frazil.storage.base import OVERWRITE, Backend, PutMode, Version
from frazil.storage.cloud import Headers, gcs_place, r2_place, s3_place, tigris_place
from frazil.storage.fork import ForksafeLock
from frazil.storage.http import parsed, web
from frazil.storage.location import Location
from frazil.storage.retry import Attempts, Patience
from frazil.storage.settings import S3Options, StorageSettings
from frazil.storage.urls import Address, masked, parse_url
from frazil.storage.wrapper import Wrapper

HOPS: Final = 10
SECONDS: Final = 30
"""How long the server may be silent."""

_WEB: Final = {
    "http+icechunk": "http",
    "http+ic": "http",
    "https+icechunk": "https",
    "https+ic": "https",
}
_CLOUDS: Final = {"s3": "region", "r2": "account_id", "tigris": None, "gs": None, "gcs": None}
"""The other schemes of targets, and the option that each must have."""
_OPTIONS: Final = frozenset(
    (
        "account_id",
        "allow_http",
        "anonymous",
        "endpoint_url",
        "force_path_style",
        "region",
        "use_weak_consistency",
    )
)
"""What a server may say of a target: nothing that makes the reader sign in, or open files."""


class Unwritable(Wrapper):
    """A storage that is read, whatever it would allow."""

    def __init__(self, inner: Backend, where: str) -> None:
        super().__init__(inner)
        self._where = where

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        raise self._refused()

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        raise self._refused()

    @override
    def delete(self, keys: Iterable[str]) -> None:
        raise self._refused()

    @property
    @override
    def read_only(self) -> bool:
        return True

    def _refused(self) -> ReadOnlyError:
        return ReadOnlyError(
            f"the redirect at {self._where} cannot be written", ErrorKind.READ_ONLY_STORAGE
        )


@dataclass(frozen=True, slots=True)
class Redirect(Location):
    """Where the server at a URL says."""

    url: str
    query: Confidential | None

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        key = self, json.dumps((settings or StorageSettings()).to_document(), sort_keys=True)
        opened = _opened.get(key)
        if opened is None:
            backend = self.target().open(settings)
            opened = _opened.setdefault(key, Unwritable(backend, self.url))
        return opened

    def target(self) -> Location:
        """Where the repository is, as the server said when it was first asked."""
        with _lock:
            found = _targets.get(self)
            if found is None:
                query = f"?{self.query.text}" if self.query else ""
                found = _targets[self] = resolved(self.url + query)
        return found

    @override
    def shown(self) -> Iterable[Shown]:
        return Shown("type", "redirect"), Shown("url", self.url + ("?…" if self.query else ""))

    @override
    def default_settings(self) -> StorageSettings:
        return StorageSettings()


_opened: dict[tuple[Redirect, str], Backend] = {}
_targets: dict[Redirect, Location] = {}
_lock = ForksafeLock()


def redirect(base_url: str) -> Redirect:
    """The location with this URL; `StorageError` `cannot-parse-url` if it is none."""
    parts = parsed(base_url, ("http", "https"))
    query = Confidential(parts.query) if parts.query else None
    return Redirect(parts._replace(query="", fragment="").geturl(), query)


def resolved(url: str) -> Location:
    """The place that the server at a URL says; `StorageError` `bad-redirect` if it does not."""
    begun = masked(url)
    for _ in range(HOPS + 1):
        location = _answer(url)
        if location is None:
            raise _bad(begun, f"{masked(url)} does not answer with a redirect")
        url = urljoin(url, location)
        scheme = urlsplit(url).scheme.lower()
        if scheme in _WEB or scheme in _CLOUDS:
            return _target(begun, url, scheme)
        if scheme not in ("http", "https"):
            known = ", ".join(f"{name}://" for name in (*_CLOUDS, *_WEB))
            raise _bad(begun, f"it leads to {masked(url)}; targets begin with one of {known}")
    raise _bad(begun, f"there are more than {HOPS} redirects")


def _target(begun: str, url: str, scheme: str) -> Location:
    try:
        if scheme in _WEB:
            return web(f"{_WEB[scheme]}://{url.partition('://')[2]}")
        address = parse_url(url)
        problem = ""
        needed = _CLOUDS[scheme]
        if needed and needed not in address.options:
            problem = f"it lacks ?{needed}=…"
        elif not address.options.keys() <= _OPTIONS:
            problem = f"a redirect cannot say {min(address.options.keys() - _OPTIONS)}"
        else:
            return _bucket(address)
    except IcechunkError as error:
        problem = error.message
    raise _bad(begun, f"it leads to {masked(url)}: {problem}")


def _bucket(address: Address) -> Location:
    """The place that an address says, read without signing in."""
    given = {**address.place, **address.options, "anonymous": True}
    bucket, prefix = given.pop("bucket"), given.pop("prefix")
    if address.constructor == "gcs_storage":
        return gcs_place(bucket, prefix, GcsCredentials.Anonymous(), None, Headers())
    account, weak = given.pop("account_id", None), given.pop("use_weak_consistency", False)
    options = S3Options(network_stream_timeout_seconds=60, **given)
    nobody, sent = S3Credentials.Anonymous(), Headers()
    match address.constructor:
        case "r2_storage":
            return r2_place(options, bucket, prefix, account, nobody, sent)
        case "tigris_storage":
            return tigris_place(options, bucket, prefix, weak, nobody, sent)
    return s3_place(options, bucket, prefix, nobody, sent)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the answer."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> Any:
        return fp

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _answer(url: str) -> str | None:
    """The URL to which the server redirects; None if it does not."""
    attempts = Attempts(Patience(tries=3))
    request = urllib.request.Request(url, headers={"User-Agent": user_agent()})
    while True:
        passing = True
        try:
            opener = urllib.request.build_opener(_Stay)
            with opener.open(request, timeout=SECONDS) as response:
                location: str | None = response.headers.get("Location")
                return location if 300 <= response.status < 400 else None
        except urllib.error.HTTPError as error:
            problem = f"status {error.code}"
            passing = error.code == 429 or error.code >= 500
            error.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Other texts may repeat the URL.
            problem = f"{type(error).__name__} {getattr(error, 'reason', '')}".strip()
        if not passing or not attempts.another():
            raise _bad(masked(url), problem)


def _bad(url: str, problem: str) -> StorageError:
    return StorageError(f"the redirect at {url} does not work: {problem}", ErrorKind.BAD_REDIRECT)
