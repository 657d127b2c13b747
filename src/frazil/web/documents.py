"""What the `zarr.json` of a node says, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from frazil.files.info import FileInfo, file_at
from frazil.format.snapshot import Node, NodeKind


@dataclass(frozen=True, slots=True)
class Described:
    """A node in words and numbers.

    chunks: the shape of what is read at once; shards: of what is stored as one object, None
    where that is the same; stored: how many chunks of the grid there can be; itemsize: bytes, 0
    where that is not known; codecs: their names; file: what is known of a file.
    """

    path: str
    is_array: bool
    attributes: Mapping[str, Any]
    document: str
    shape: tuple[int, ...] = ()
    dimensions: tuple[str | None, ...] = ()
    data_type: str = ""
    itemsize: int = 0
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] | None = None
    grid: tuple[int, ...] = ()
    fill_value: str = ""
    codecs: tuple[str, ...] = field(default=())
    file: FileInfo | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2] or "/"

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, uncompressed."""
        return prod(self.shape) * self.itemsize

    @property
    def summary(self) -> str:
        """The dimensions with their lengths."""
        parts = [
            str(n) if name is None else f"{name} {n}"
            for name, n in zip(self.dimensions, self.shape, strict=True)
        ]
        return " × ".join(parts) if parts else "scalar"


def describe(node: Node) -> Described:
    """A node in words; its document can be any bytes."""
    try:
        document = json.loads(node.user_data)
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    attributes = document.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    written = json.dumps(document, indent=2, ensure_ascii=False)
    if node.kind is NodeKind.GROUP:
        return Described(node.path, False, attributes, written)
    shape = tuple(length for length, _ in node.shape)
    kind = _name(document.get("data_type"))
    outer = _shape(document.get("chunk_grid"), len(shape)) or shape
    codecs, inner = _codecs(document.get("codecs"), len(shape))
    return Described(
        node.path,
        True,
        attributes,
        written,
        shape,
        node.dimension_names or (None,) * len(shape),
        kind,
        _itemsize(kind),
        inner or outer,
        outer if inner else None,
        tuple(count for _, count in node.shape),
        json.dumps(document.get("fill_value"), ensure_ascii=False).strip('"'),
        codecs,
        file_at(node),
    )


def _name(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)


def _itemsize(kind: str) -> int:
    try:
        return np.dtype(kind).itemsize
    except TypeError:
        return 0


def _shape(grid: Any, ndim: int) -> tuple[int, ...] | None:
    return _lengths(grid, "chunk_shape", ndim)


def _lengths(document: Any, name: str, ndim: int) -> tuple[int, ...] | None:
    """Lengths in the configuration of something, if they are some."""
    configuration = document.get("configuration") if isinstance(document, dict) else None
    lengths = configuration.get(name) if isinstance(configuration, dict) else None
    if not isinstance(lengths, list) or len(lengths) != ndim:
        return None
    return tuple(lengths) if all(isinstance(n, int) and n > 0 for n in lengths) else None


def _codecs(codecs: Any, ndim: int) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """The names of the codecs, and the shape of the inner chunks if there are shards."""
    names: list[str] = []
    inner = None
    for codec in codecs if isinstance(codecs, Sequence) else ():
        names.append(_name(codec))
        if names[-1] == "sharding_indexed":
            inner = _lengths(codec, "chunk_shape", ndim)
    return tuple(names), inner
