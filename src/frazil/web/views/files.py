"""The files of the repository, for programs: whole, or a range of bytes.

`http_storage` of Frazil and of Icechunk read a repository through it: the keys of the format
below `/files/`. Nothing else is there, whatever else the storage may hold.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frazil.storage.base import Backend, ObjectInfo, is_immutable
from frazil.storage.keys import decode_key
from frazil.web.safety import FILES
from frazil.web.site import site_of

PIECE = 4 * 1024 * 1024
"""Bytes that are read, and held, at a time."""

LONGEST = 255
"""Characters of a name; of more, none is a file's."""
_FOLDERS = frozenset({"chunks", "manifests", "overwritten", "snapshots", "transactions", "refs"})
_SINGLE = frozenset({"repo", "config.yaml"})
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def file(request: Request) -> Response:
    """One object of the repository."""
    key = _key(request)
    backend = site_of(request).repo._core.library.backend
    if not is_immutable(key):
        return _changing(request, backend, key)
    info = backend.info(key)
    # Not the name alone: an expiration replaces snapshots of format 1.
    version = f"{key} {info.size} {info.last_modified.isoformat()}"
    headers = _headers(info, f'"{hashlib.sha256(version.encode()).hexdigest()[:20]}"')
    if _is_known(request, headers):
        return Response(status_code=304, headers=headers)
    start, stop, status = _asked(request, info.size, headers)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(
        _pieces(backend, key, start, stop), status, headers, "application/octet-stream"
    )


def _changing(request: Request, backend: Backend, key: str) -> Response:
    """One that may be replaced while it is sent: it is read at once."""
    fetched = backend.fetch(key)
    assert fetched is not None  # None is only for who has a version
    etag = f'"{hashlib.sha256(fetched.data).hexdigest()[:20]}"'
    headers = _headers(ObjectInfo(key, len(fetched.data), fetched.last_modified), etag)
    if _is_known(request, headers):
        return Response(status_code=304, headers=headers)
    start, stop, status = _asked(request, len(fetched.data), headers)
    content = b"" if request.method == "HEAD" else fetched.data[start:stop]
    return Response(content, status, headers, "application/octet-stream")


def _key(request: Request) -> str:
    """The key that an address means: only what repositories consist of."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    spelling = raw.partition(b"?")[0].decode("latin-1").removeprefix(FILES)
    key = decode_key(spelling)
    if key is None:  # clients escape more or less than storages do
        try:
            key = unquote_to_bytes(spelling).decode()
        except UnicodeDecodeError:
            key = ""
    folder, slash, name = key.partition("/")
    segments = key.split("/")
    known = key in _SINGLE or (folder in _FOLDERS and slash and name)
    odd = any(part in ("", ".", "..") or len(part) > LONGEST for part in segments)
    if not known or odd or "\\" in key:
        raise HTTPException(404, "There is no such file in a repository.")
    return key


def _headers(info: ObjectInfo, etag: str) -> dict[str, str]:
    return {
        "accept-ranges": "bytes",
        "content-length": str(info.size),
        "content-type": "application/octet-stream",
        "etag": etag,
        "last-modified": format_datetime(info.last_modified.astimezone(UTC), usegmt=True),
    }


def _is_known(request: Request, headers: dict[str, str]) -> bool:
    """Whether whoever asks has it already."""
    known = request.headers.get("if-none-match", "")
    if headers["etag"] in known:
        del headers["content-length"]
        return True
    return False


def _asked(request: Request, size: int, headers: dict[str, str]) -> tuple[int, int, int]:
    """First byte, end, and status; HTTP (RFC 9110, section 14) says what ranges mean.

    What is no range of one part in bytes is not looked at, as it may be.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or match[0] == "bytes=-":
        return 0, size, 200
    condition = request.headers.get("if-range")
    if condition is not None and condition != headers["etag"]:
        return 0, size, 200
    first, last = match[1][:20], match[2][:20]
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return 0, size, 200
    if start >= size:
        raise HTTPException(
            416, "The file ends before that.", headers={"content-range": f"bytes */{size}"}
        )
    headers["content-length"] = str(stop - start)
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return start, stop, 206


def _pieces(backend: Backend, key: str, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        end = min(start + PIECE, stop)
        yield backend.get(key, start=start, end=end)
        start = end
