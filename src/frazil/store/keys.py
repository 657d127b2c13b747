"""Zarr store keys: what a key addresses, and the keys of what there is.

    zarr.json, <node>/zarr.json              the metadata document of a node
    c, c/<i>/<j>.., <node>/c, <node>/c/..    a chunk of an array (the `default` key encoding)
    .zgroup .zarray .zattrs .zmetadata       Zarr v2 documents, in any directory: never stored

A leading `/` and empty or `.` parts of the node's path are ignored, so that each node has one
spelling in the repository. Coordinates are u32 in decimal, with leading zeros or a `+` if need
be. Icechunk also takes `ac/0` for a chunk of `a`; that is refused, because another array may be
called `ac` and its data would land in `a`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from frazil.errors import ErrorKind, InvalidInputError

METADATA = "zarr.json"
_LEGACY = frozenset({".zgroup", ".zarray", ".zattrs", ".zmetadata"})
_MAX_COORDINATE = 2**32 - 1


class MetadataKey(NamedTuple):
    """The metadata document of the node at `path`."""

    path: str


class ChunkKey(NamedTuple):
    """A chunk of the array at `path`."""

    path: str
    coords: tuple[int, ...]


class LegacyKey(NamedTuple):
    """A metadata document of Zarr v2."""

    key: str


StoreKey = MetadataKey | ChunkKey | LegacyKey


def parse_key(key: str) -> StoreKey:
    """What a store key addresses; `InvalidInputError` (`invalid-key`) if nothing could.

    Whether the node exists, is an array and has such a chunk is not looked at.
    """
    # Coordinates contain no "c", so the marker of a chunk is the last one in the key.
    marker = key.rfind("c")
    if marker == 0 or (marker > 0 and key[marker - 1] == "/"):
        tail = key[marker + 1 :]
        coords = () if not tail else _coordinates(tail[1:]) if tail[0] == "/" else None
        path = node_path(key[:marker]) if coords is not None else None
        if coords is not None and path is not None:
            return ChunkKey(path, coords)
    folder, _, name = key.rpartition("/")
    if name == METADATA:
        path = node_path(folder)
        if path is not None:
            return MetadataKey(path)
    elif name in _LEGACY:
        return LegacyKey(key)
    raise InvalidInputError(
        f"invalid key {key!r}: this store holds Zarr v3 groups and arrays, with keys "
        f"<node>/{METADATA} and <node>/c/<i>/<j>...",
        ErrorKind.INVALID_KEY,
    )


@lru_cache(maxsize=4096)
def node_path(folder: str) -> str | None:
    """The node path of a folder in the store; None if no node can have it.

    That is the case with `..` parts and with text that has no UTF-8 form.
    """
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if ".." in parts:
        return None
    try:
        folder.encode()
    except UnicodeEncodeError:
        return None
    return "/" + "/".join(parts)


def chunk_folder(path: str) -> tuple[str, tuple[int, ...]] | None:
    """The array's path and leading coordinates if `path` is like `/a/c` or `/a/c/0`.

    Other spellings of the coordinates than the one that is listed make no folder.
    """
    head, marker, tail = (path + "/").rpartition("/c/")
    if not marker:
        return None
    coords = _coordinates(tail[:-1]) if tail else ()
    if coords is None or "/".join(map(str, coords)) != tail[:-1]:
        return None
    return head or "/", coords


def metadata_key(path: str) -> str:
    """The key of a node's metadata document."""
    return METADATA if path == "/" else f"{path[1:]}/{METADATA}"


def chunk_keys(path: str, coords: Iterable[Iterable[int]]) -> list[str]:
    """The keys of chunks of the array at `path`."""
    stem = "c" if path == "/" else f"{path[1:]}/c"
    return ["/".join((stem, *map(str, chunk))) for chunk in coords]


def _coordinates(text: str) -> tuple[int, ...] | None:
    if not (text.isascii() and text.replace("/", "").isdigit()):
        parts = text.split("/")
        if not all(part.removeprefix("+").isdigit() and part.isascii() for part in parts):
            return None
    try:
        coords = tuple(map(int, text.split("/")))
    except ValueError:  # an empty part, or thousands of digits
        return None
    return coords if max(coords) <= _MAX_COORDINATE else None
