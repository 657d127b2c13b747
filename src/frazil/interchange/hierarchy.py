"""A plain Zarr hierarchy: its nodes as Zarr v3 documents, and which chunks it has."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata
from zarr.core.sync import sync
from zarr.metadata.migrate_v3 import migrate_to_v3
from zarr.storage import MemoryStore, StorePath

from frazil.errors import ErrorKind, InvalidInputError

Coords = npt.NDArray[np.uint32]
_DEFAULT_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_DIMENSIONS = "_ARRAY_DIMENSIONS"


@dataclass(frozen=True, slots=True)
class PlainGroup:
    """A group: `path` below the root of the hierarchy ("" is the root), and its document."""

    path: str
    document: bytes


@dataclass(frozen=True, slots=True)
class PlainArray:
    """An array.

    document: None where the encoded chunks are nothing that Zarr v3 has words for. grid: number
    of stored chunks (shards) along each dimension.
    """

    path: str
    array: zarr.Array[Any]
    document: bytes | None

    @property
    def grid(self) -> tuple[int, ...]:
        """Stored chunks along each dimension."""
        steps = self.array.shards or self.array.chunks
        return tuple(-(-n // max(step, 1)) for n, step in zip(self.array.shape, steps, strict=True))

    def key(self, coords: tuple[int, ...]) -> str:
        """The key of a chunk in the store."""
        return self.prefix + self.array.metadata.encode_chunk_key(coords)

    @property
    def prefix(self) -> str:
        """What the keys of its objects begin with."""
        path = self.array.store_path.path
        return f"{path}/" if path else ""

    def stored_chunks(self) -> Coords:
        """The chunks that exist, uint32[n, ndim]; all there could be where none can be listed."""
        store = self.array.store
        if store.supports_listing:
            keys = sync(_listed(store, self.prefix))
            found = [coords for key in keys if (coords := self._coords(key)) is not None]
        else:
            found = list(np.ndindex(*self.grid))
        return np.array(found, np.uint32).reshape(len(found), self.array.ndim)

    def _coords(self, key: str) -> tuple[int, ...] | None:
        """The chunk of a key; None for what is no chunk of this array."""
        rest = key.removeprefix(self.prefix)
        digits = tuple(int(part) for part in rest.replace(".", "/").split("/") if part.isdigit())
        coords = digits if self.array.ndim else ()
        if len(coords) != self.array.ndim or self.key(coords) != key:
            return None
        inside = all(i < n for i, n in zip(coords, self.grid, strict=True))
        return coords if inside else None


async def _listed(store: Store, prefix: str) -> list[str]:
    return [key async for key in store.list_prefix(prefix)]


def place_of(store: Store) -> str:
    """A store as messages name it: a local one by its path."""
    return str(store).removeprefix("file://")


def open_hierarchy(store: Store, path: str = "") -> zarr.Group | zarr.Array[Any]:
    """The group or array at `path` of a store; `InvalidInputError` if there is none."""
    try:
        return zarr.open(store, path=path.strip("/"), mode="r")
    except FileNotFoundError as error:  # also GroupNotFoundError and its like
        where = place_of(store) + (f" at {path!r}" if path else "")
        raise InvalidInputError(
            f"there is no Zarr group or array in {where}: check the place; "
            "a group is recognised by zarr.json or .zgroup",
            ErrorKind.BAD_METADATA,
        ) from error


def joined(path: str, below: str) -> str:
    """The path in a session of the node that is `below` another one's `path`."""
    return "/" + "/".join(part for part in (path.strip("/"), below) if part)


def nodes(root: zarr.Group | zarr.Array[Any]) -> Iterator[PlainGroup | PlainArray]:
    """The node and all below it, parents before children."""
    yield _node("", root)
    if isinstance(root, zarr.Group):
        members = dict(root.members(max_depth=None))
        for path in sorted(members):
            yield _node(path, members[path])


def _node(path: str, node: zarr.Group | zarr.Array[Any]) -> PlainGroup | PlainArray:
    if isinstance(node, zarr.Group):
        attributes = dict(node.attrs)
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        return PlainGroup(path, _encoded(document))
    return PlainArray(path, node, array_document(node.metadata))


def array_document(metadata: ArrayV2Metadata | ArrayV3Metadata) -> bytes | None:
    """The Zarr v3 document under which the encoded chunks keep their meaning, if there is one."""
    if isinstance(metadata, ArrayV3Metadata):
        buffers = metadata.to_buffer_dict(default_buffer_prototype())
        document = json.loads(buffers["zarr.json"].to_bytes())
    else:
        converted = _converted(metadata)
        if converted is None:
            return None
        document = converted
    document["chunk_key_encoding"] = _DEFAULT_KEYS
    return _encoded(document)


def _converted(metadata: ArrayV2Metadata) -> dict[str, Any] | None:
    if metadata.fill_value is None:
        # Nothing is said of what was not written; version 3 has to say something.
        plain = json.loads(
            metadata.to_buffer_dict(default_buffer_prototype())[".zarray"].to_bytes()
        )
        zero = metadata.dtype.default_scalar()
        plain["fill_value"] = metadata.dtype.to_json_scalar(zero, zarr_format=2)
        metadata = ArrayV2Metadata.from_dict({**plain, "attributes": metadata.attributes})
    store = MemoryStore()
    buffers = metadata.to_buffer_dict(default_buffer_prototype())
    for key, buffer in buffers.items():
        sync(store.set(key, buffer))
    out = MemoryStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of codecs and types that have no specification
        try:
            array = zarr.open_array(store, mode="r", zarr_format=2)
            migrate_to_v3(array, StorePath(out))
        except (TypeError, ValueError):
            return None
    written = sync(out.get("zarr.json", default_buffer_prototype()))
    assert written is not None
    document: dict[str, Any] = json.loads(written.to_bytes())
    names = document.get("attributes", {}).get(_DIMENSIONS)
    if isinstance(names, list) and len(names) == len(metadata.shape):
        del document["attributes"][_DIMENSIONS]
        document["dimension_names"] = names
    return document


def _encoded(document: dict[str, Any]) -> bytes:
    document.pop("consolidated_metadata", None)
    return json.dumps(document).encode()
