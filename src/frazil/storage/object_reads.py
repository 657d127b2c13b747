"""Reading objects of a bucket: ranges together, large ones in pieces at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import PreconditionFailed, resolve_range, too_short
from frazil.storage.client_errors import is_beyond, is_unchanged
from frazil.storage.connections import Connections
from frazil.storage.pool import map_parallel
from frazil.storage.spans import Range, cut, pieces_of, spans_of

if TYPE_CHECKING:
    from obstore import GetOptions

_UNKNOWN = 1 << 63
"""In place of a size that is not known yet; no object is as large."""


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes, and what `obstore` tells of the object that they are of."""

    data: bytes
    meta: Any


def read_ranges(at: Connections, key: str, path: str, ranges: Sequence[Range]) -> list[bytes]:
    """The bytes of each range (start, end); errors as of `Backend.get`."""
    for start, end in ranges:
        if 0 <= start <= end and end >= _UNKNOWN:
            raise too_short(key, start, end, _size(at, key, path))
        resolve_range(key, _UNKNOWN, start, end)
    if not ranges:
        return []
    pieces = pieces_of(spans_of(ranges), at.piece)
    read = _read_pieces(at, key, path, pieces) if pieces else None
    if read is None:
        # Nothing but empty ranges, or some lie beyond the end.
        size = _size(at, key, path)
        for start, end in ranges:
            resolve_range(key, size, start, end)
        if pieces:
            raise StorageError(
                f"object {key!r} in {at.where} has {size} bytes, but not those asked for were sent",
                ErrorKind.OBJECT_STORE,
            )
        return [b""] * len(ranges)
    found, size = read
    for start, end in ranges:
        resolve_range(key, size, start, end)
    return [cut(found, start, end) for start, end in ranges]


def read_from(at: Connections, key: str, path: str, first: int) -> bytes:
    """The bytes from `first` to the end."""
    resolve_range(key, _UNKNOWN, first, None)
    found = _read(at, key, path, first, None)
    if found is None:
        resolve_range(key, _size(at, key, path), first, None)
        return b""
    return found.data


def read_unless(at: Connections, key: str, path: str, e_tag: str | None) -> Found | None:
    """The whole object; None if it has this tag."""
    return _read(at, key, path, 0, e_tag)


def _size(at: Connections, key: str, path: str) -> int:
    size: int = at.run(key, lambda: at.reader().head(path))["size"]
    return size


def _read_pieces(
    at: Connections, key: str, path: str, pieces: Sequence[Range], if_match: str | None = None
) -> tuple[list[tuple[int, bytes]], int] | None:
    """The pieces (offset, bytes) and the object's size; None if some lie beyond its end."""
    client = at.reader()

    def read(piece: Range) -> tuple[bytes, int] | None:
        def request() -> tuple[bytes, int] | None:
            options: GetOptions = {"range": piece}
            if if_match is not None:
                options["if_match"] = if_match
            try:
                found = client.get(path, options=options)
            except Exception as error:
                if is_beyond(error):
                    return None
                raise
            return bytes(found.bytes()), found.meta["size"]

        return at.run(key, request)

    found, size = [], 0
    answers = map_parallel(read, pieces, limit=at.at_once)
    for (start, end), answer in zip(pieces, answers, strict=True):
        if answer is None or len(answer[0]) != end - start:
            return None
        found.append((start, answer[0]))
        size = answer[1]
    return found, size


def _read(at: Connections, key: str, path: str, first: int, unless: str | None) -> Found | None:
    """From `first` to the end; None if nothing is there, or if the object has this tag.

    A large object is read in pieces, all of the same version.
    """
    client = at.reader()
    options: GetOptions = {}
    if first:
        options["range"] = {"offset": first}
    if unless is not None:
        options["if_none_match"] = unless

    def begin(largest: float) -> Found | Any | None:
        try:
            found = client.get(path, options=options)
        except Exception as error:
            if is_unchanged(error) or (first and is_beyond(error)):
                return None
            raise
        meta = found.meta
        if meta["size"] - first > largest and meta["e_tag"]:
            return meta
        return Found(bytes(found.bytes()), meta)

    begun = at.run(key, lambda: begin(2 * at.piece))
    if begun is None or isinstance(begun, Found):
        return begun
    pieces = pieces_of([(first, begun["size"])], at.piece)
    try:
        read = _read_pieces(at, key, path, pieces, begun["e_tag"])
    except PreconditionFailed:
        read = None
    if read is not None:
        return Found(cut(read[0], first, begun["size"]), begun)
    # It was replaced meanwhile. Nothing comes in between the bytes of one request.
    whole: Found | None = at.run(key, lambda: begin(float("inf")))
    return whole
