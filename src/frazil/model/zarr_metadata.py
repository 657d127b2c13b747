"""What a `zarr.json` document says about chunks: the part that the storage engine needs.

The document itself is kept byte for byte as it was set. Only the node type, the shape, the
chunk grid and the dimension names are looked at (Zarr v3 core specification, "Metadata").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import NodeKind

MAX_CHUNKS_PER_DIMENSION = 2**32 - 1
"""The format stores chunk coordinates and their number as u32."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How an array is cut into chunks; for a group everything is empty.

    `shape` holds (length in elements, number of chunks) for each dimension.
    """

    kind: NodeKind
    shape: tuple[tuple[int, int], ...] = ()
    dimension_names: tuple[str | None, ...] | None = None


def read_layout(document: bytes, *, path: str, spec: int) -> Layout:
    """Read the layout out of a `zarr.json` document for the node at `path`.

    Raises `InvalidInputError` (`bad-metadata`) when the document cannot describe a node of a
    repository of this spec version.
    """
    try:
        meta = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"it is not JSON ({error})") from None
    if not isinstance(meta, dict):
        raise _bad(path, "it is not a JSON object")
    node_type = meta.get("node_type")
    if node_type == "group":
        return Layout(NodeKind.GROUP)
    if node_type != "array":
        raise _bad(path, f"node_type is {node_type!r}, expected 'array' or 'group'")
    lengths = meta.get("shape")
    if not isinstance(lengths, list) or not all(_is_size(n) for n in lengths):
        raise _bad(path, f"shape {lengths!r} is not a list of integers of 0 or more")
    counts = _chunk_counts(meta.get("chunk_grid"), lengths, path, spec)
    for axis, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        if count > MAX_CHUNKS_PER_DIMENSION or length >= 2**64:
            raise _bad(
                path,
                f"dimension {axis} of length {length} has {count} chunks, more than the "
                f"{MAX_CHUNKS_PER_DIMENSION} that the format can number: use larger chunks",
            )
    return Layout(
        NodeKind.ARRAY,
        tuple(zip(lengths, counts, strict=True)),
        _dimension_names(meta.get("dimension_names"), path),
    )


def has_regular_grid(document: bytes) -> bool:
    """Whether the array of a `zarr.json` that was stored has chunks of one size."""
    return bool(json.loads(document)["chunk_grid"]["name"] == "regular")


def chunk_shape(document: bytes) -> tuple[int, ...]:
    """The shape of the chunks, in elements, of an array that has a regular grid."""
    return tuple(json.loads(document)["chunk_grid"]["configuration"]["chunk_shape"])


def document_of_chunk(document: bytes) -> bytes | None:
    """The `zarr.json` of an array of one chunk that is as those of this array.

    None where chunks differ in size, or the document is none. Equal for arrays that differ in
    shape, names and attributes alone.
    """
    try:
        meta = json.loads(document)
        if meta["chunk_grid"]["name"] != "regular":
            return None
        alone = {
            name: meta[name]
            for name in ("zarr_format", "node_type", "data_type", "chunk_grid", "fill_value")
        }
        alone |= {
            "shape": meta["chunk_grid"]["configuration"]["chunk_shape"],
            "codecs": meta["codecs"],
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "attributes": {},
        }
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return json.dumps(alone, sort_keys=True).encode()


def _chunk_counts(grid: object, lengths: list[int], path: str, spec: int) -> list[int]:
    name = grid.get("name") if isinstance(grid, dict) else None
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    if not isinstance(configuration, dict):
        configuration = {}
    if name == "regular":
        sizes = configuration.get("chunk_shape")
        if not isinstance(sizes, list) or not all(_is_size(n) for n in sizes):
            raise _bad(path, f"chunk_shape {sizes!r} is not a list of integers of 0 or more")
        if len(sizes) < len(lengths):
            raise _bad(path, f"chunk_shape {sizes!r} has fewer dimensions than shape {lengths!r}")
        counts = [-(-n // size) if size else 0 for n, size in zip(lengths, sizes, strict=False)]
        if spec == 1 and any(n and not count for n, count in zip(lengths, counts, strict=True)):
            raise _bad(path, "a chunk size of 0 cannot be stored in a spec 1 repository")
        return counts
    if name == "rectilinear" and spec >= 2:
        axes = configuration.get("chunk_shapes")
        if not isinstance(axes, list) or len(axes) != len(lengths):
            raise _bad(path, f"chunk_shapes {axes!r} does not fit shape {lengths!r}")
        return [_rectilinear_count(n, axis, path) for n, axis in zip(lengths, axes, strict=True)]
    raise _bad(path, f"chunk grid {name!r} is not supported in a spec {spec} repository")


def _rectilinear_count(length: int, axis: Any, path: str) -> int:
    """The number of chunks of one axis: a step, or edge lengths with runs as [size, count]."""
    if _is_size(axis) and axis > 0:
        return int(-(-length // axis))
    count = 0
    for edge in axis if isinstance(axis, list) else [None]:
        if _is_size(edge):
            count += 1
        elif isinstance(edge, list) and len(edge) == 2 and all(_is_size(n) for n in edge):
            count += edge[1]
        else:
            raise _bad(path, f"chunk_shapes has an axis {axis!r} that is no list of edge lengths")
    return count


def _dimension_names(names: object, path: str) -> tuple[str | None, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(n is None or isinstance(n, str) for n in names):
        raise _bad(path, f"dimension_names {names!r} is not a list of strings or nulls")
    return tuple(names)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _bad(path: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"cannot store the metadata of {path}: {why}", ErrorKind.BAD_METADATA)
