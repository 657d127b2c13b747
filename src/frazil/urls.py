"""URLs of virtual chunks, in the form in which they are stored.

location  as it is stored: a URL, or vcc://<name of a container>/<path> relative to one
url       the absolute one; those of `file:` have the normal form of the WHATWG standard
key       the percent-decoded path below the host, without query and fragment
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from frazil.errors import ErrorKind, InvalidInputError

RELATIVE: Final = "vcc"
"""The scheme of locations that are relative to a named container."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_PATH_END = re.compile(r"[?#]")
_DOT = frozenset({".", "%2e"})
_DOT_DOT = frozenset({"..", ".%2e", "%2e.", "%2e%2e"})
_SAFE_IN_FILE_URLS: Final = "!$%&'()*+,-./:;=@[]^_|~"


def scheme_of(location: str) -> str:
    """The scheme, in lower case; "" for what is no absolute URL."""
    match = _SCHEME.match(location)
    return match[1].lower() if match else ""


def canonical(location: str) -> str:
    """A location in the form in which it is stored.

    `InvalidInputError` (`invalid-virtual-ref`) for what is no absolute URL.
    """
    scheme = scheme_of(location)
    if not scheme:
        raise invalid(location, "it is not an absolute URL such as s3://bucket/key")
    rest = location[len(scheme) + 1 :]
    if scheme == "file":
        return "file://" + _normal_file(rest)
    if not rest.startswith("//"):
        raise invalid(location, f"'//' and a host or bucket must follow '{scheme}:'")
    url = f"{scheme}:{rest}"
    if not host_of(url):
        if scheme == RELATIVE:
            raise no_container(location)
        raise invalid(location, "it names no host, bucket or container")
    return url


def host_of(url: str) -> str:
    """The host of an absolute URL, or its bucket or container."""
    rest = url[url.index("://") + 3 :]
    return _PATH_END.split(rest.partition("/")[0], maxsplit=1)[0]


def key_of(url: str) -> str:
    """The key that an absolute URL names; surrogates stand for what is no UTF-8."""
    rest = url[url.index("://") + 3 :].partition("/")[2]
    path = _PATH_END.split(rest, maxsplit=1)[0]
    return unquote_to_bytes(path).decode(errors="surrogateescape")


def no_container(location: str) -> InvalidInputError:
    """The error for a location that no container covers."""
    return InvalidInputError(
        f"no virtual chunk container of this repository covers {location}: add one with "
        "RepositoryConfig.set_virtual_chunk_container, or correct the location",
        ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK,
    )


def invalid(location: str, why: str) -> InvalidInputError:
    """The error for what is no location of a virtual chunk."""
    return InvalidInputError(
        f"{location!r} is no location of a virtual chunk: {why}", ErrorKind.INVALID_VIRTUAL_REF
    )


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
