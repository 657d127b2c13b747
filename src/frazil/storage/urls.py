"""URLs of repositories.

    s3://bucket/prefix            Amazon S3, or with endpoint_url what is compatible
    r2://bucket/prefix            Cloudflare R2; with account_id or endpoint_url
    tigris://bucket/prefix        Tigris
    hf://namespace/bucket/prefix  a bucket of Hugging Face
    gs://bucket/prefix            Google Cloud Storage; also gcs://
    az://account/container/prefix Azure Blob Storage; also azure://, and
                                  abfs[s]://container@account.dfs.core.windows.net/prefix;
                                  with account=… it starts with the container
    https://host/path             a web server, for reading; http:// likewise
    redirect+https://host/path    a web server that says where the repository is
    file:///path, path            a folder
    memory:name                   in this process: the same place for the same name;
                                  memory: a new one

Options follow as a query, `?region=eu-west-1&anonymous=true`; those of http:// are the server's.
Prefixes are percent-encoded. Secrets have no place in a URL: URLs are logged and shared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from urllib.request import url2pathname

from frazil.errors import ErrorKind, StorageError
from frazil.storage.settings import ChecksumAlgorithm


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says: the constructor of the storage, and what it takes."""

    constructor: str
    place: Mapping[str, str | None]
    options: Mapping[str, Any]


def _text(value: str) -> str:
    if not value:
        raise ValueError("it is empty")
    return value


def _flag(value: str) -> bool:
    match value.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ValueError("it takes true or false")


def _number(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError("it takes a whole number")
    return int(value)


def _checksum(value: str) -> ChecksumAlgorithm:
    for member in ChecksumAlgorithm:
        if member.name.lower() == value.lower():
            return member
    raise ValueError(f"it takes one of {', '.join(member.name for member in ChecksumAlgorithm)}")


_Options = Mapping[str, Callable[[str], Any]]
_SIGN_IN: Final[_Options] = {"anonymous": _flag, "from_env": _flag}
_S3: Final[_Options] = {
    "region": _text,
    "endpoint_url": _text,
    "allow_http": _flag,
    **_SIGN_IN,
    "force_path_style": _flag,
    "network_stream_timeout_seconds": _number,
    "requester_pays": _flag,
    "checksum_algorithm": _checksum,
}


def _without(options: _Options, *names: str) -> _Options:
    return {name: reader for name, reader in options.items() if name not in names}


OPTIONS: Final[Mapping[str, _Options]] = {
    "s3_storage": _S3,
    "r2_storage": {"account_id": _text, **_without(_S3, "force_path_style", "requester_pays")},
    "tigris_storage": {
        "use_weak_consistency": _flag,
        **_without(_S3, "force_path_style", "requester_pays"),
    },
    "hf_storage": {"from_env": _flag, "network_stream_timeout_seconds": _number},
    "gcs_storage": {
        **_SIGN_IN,
        "service_account_file": _text,
        "application_credentials": _text,
    },
    "azure_storage": {"account": _text, **_SIGN_IN},
    "local_filesystem_storage": {},
    "in_memory_storage": {},
}
"""The options that URLs may have, for each constructor, and how their values are read."""

SECRETS: Final = frozenset(
    (
        "access_key",
        "access_key_id",
        "access_token",
        "account_key",
        "bearer_token",
        "sas_token",
        "secret_access_key",
        "service_account_key",
        "session_token",
    )
)
"""The arguments of constructors that no URL may have."""

_CONSTRUCTORS: Final = {
    "s3": "s3_storage",
    "r2": "r2_storage",
    "tigris": "tigris_storage",
    "hf": "hf_storage",
    "gs": "gcs_storage",
    "gcs": "gcs_storage",
    "az": "azure_storage",
    "azure": "azure_storage",
    "abfs": "azure_storage",
    "abfss": "azure_storage",
    "http": "http_storage",
    "https": "http_storage",
    "redirect+http": "redirect_storage",
    "redirect+https": "redirect_storage",
    "file": "local_filesystem_storage",
    "memory": "in_memory_storage",
}
# One letter and a colon are a drive of Windows.
_SCHEME = re.compile("([A-Za-z][A-Za-z0-9+.-]+):(//)?")


def parse_url(url: str | os.PathLike[str], *, account: str | None = None) -> Address:
    """What a URL, or the path of a folder, says of a storage; nothing is looked up.

    account: the one of Azure, if the URL starts with the container. `StorageError` of kind
    `cannot-parse-url` for what is no such URL, `storage-config` for an option that cannot be.
    """
    text = os.fspath(url)
    if not isinstance(text, str):
        raise TypeError(f"a URL or path is a str, not {type(text).__name__}")
    found = _SCHEME.match(text) if isinstance(url, str) else None
    scheme = found[1].lower() if found else ""
    if not found or (scheme not in _CONSTRUCTORS and not found[2]):  # colons are fine in names
        return Address("local_filesystem_storage", {"path": text}, {})
    if scheme not in _CONSTRUCTORS:
        known = ", ".join(f"{name}://" for name in _CONSTRUCTORS if name != "memory")
        raise _bad(text, f"{scheme}:// is unknown; there are {known}, memory: and paths")
    if not found[2] and scheme not in ("file", "memory"):
        raise _bad(text, f"it must start with {scheme}://")
    constructor = _CONSTRUCTORS[scheme]
    if constructor in ("http_storage", "redirect_storage"):
        return Address(constructor, {"base_url": text.removeprefix("redirect+")}, {})
    parts = _split(text)
    options = _options(text, constructor, parts.query)
    if constructor == "azure_storage":
        account = options.pop("account", account)
    place = _place(text, constructor, parts, account)
    return Address(constructor, place, options)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        problem = str(error)
    else:
        if not parts.fragment and not url.endswith("#"):
            return parts
        problem = "write # in names as %23"
    raise _bad(url, problem)


def _place(
    url: str, constructor: str, parts: SplitResult, account: str | None
) -> dict[str, str | None]:
    host, path = parts.netloc, unquote(parts.path).strip("/")
    if constructor == "in_memory_storage":
        return {"name": "/".join(filter(None, (host, path))) or None}
    if constructor == "local_filesystem_storage":
        if host not in ("", "localhost"):
            raise _bad(url, "a file:// URL has three slashes and then the path of this machine")
        return {"path": url2pathname(parts.path)}
    if constructor == "azure_storage":
        return _azure_place(url, parts, account)
    if "@" in host:
        raise _bad(url, "take what is before the @ out of it, and pass credentials beside it")
    if constructor == "hf_storage":
        bucket, _, prefix = path.partition("/")
        place = {"namespace": host, "bucket": bucket, "prefix": prefix.strip("/") or None}
    else:
        place = {"bucket": host, "prefix": path or None}
    return _complete(url, place)


def _azure_place(url: str, parts: SplitResult, account: str | None) -> dict[str, str | None]:
    host, path = parts.netloc, unquote(parts.path).strip("/")
    if "@" in host:
        container, _, server = host.partition("@")
        named = server.partition(".")[0]
        if parts.scheme.lower() not in ("abfs", "abfss") or ":" in container:
            raise _bad(url, "take what is before the @ out of it, and pass credentials beside it")
        place: dict[str, str | None] = {"account": named, "container": container, "prefix": path}
    elif account is not None:
        place = {"account": account, "container": host, "prefix": path}
    elif parts.scheme.lower() in ("abfs", "abfss"):
        raise _bad(url, "it names no account: add ?account=…")
    else:
        container, _, prefix = path.partition("/")
        place = {"account": host, "container": container, "prefix": prefix.strip("/")}
    return _complete(url, {**place, "prefix": place["prefix"] or None})


def _complete(url: str, place: dict[str, str | None]) -> dict[str, str | None]:
    for name, value in place.items():
        if not value and name != "prefix":
            raise _bad(url, f"it names no {name}")
    return place


def _options(url: str, constructor: str, query: str) -> dict[str, Any]:
    known = OPTIONS[constructor]
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in SECRETS:
            problem = "is a secret, which a URL must not have: pass it beside the URL"
        elif name not in known:
            problem = f"is unknown; there are {', '.join(known)}" if known else "is unknown"
        elif name in options:
            problem = "is there twice"
        else:
            try:
                options[name] = known[name](value)
                continue
            except ValueError as error:
                problem = f"cannot be {value!r}: {error}"
        raise StorageError(
            f"bad URL {masked(url)!r}: its option {name!r} {problem}", ErrorKind.STORAGE_CONFIG
        )
    return options


def masked(url: str) -> str:
    """A URL for displays and errors: without what is before an @, and without its query."""
    plain, question, _ = url.partition("?")
    return re.sub(r"//[^/]*@", "//…@", plain) + ("?…" if question else "")


def _bad(url: str, problem: str) -> StorageError:
    return StorageError(f"bad URL {masked(url)!r}: {problem}", ErrorKind.CANNOT_PARSE_URL)
