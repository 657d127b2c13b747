"""What the nodes of a version are, read from their metadata alone."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from frazil.display import Displayed, Shown, record

Sizes = tuple[int, ...] | None


@dataclass(frozen=True, repr=False, slots=True)
class NodeInfo(Displayed):
    """A group or array: its path, and what its `zarr.json` says of it.

    shape, chunks, shards: elements along each dimension; chunks are what is encoded on its own,
    shards what is stored together, None unless the array has them. All but attributes are empty
    for groups, and where the metadata is of a kind that Zarr does not know.
    """

    path: str
    kind: Literal["array", "group"]
    shape: Sizes = None
    chunks: Sizes = None
    shards: Sizes = None
    dtype: str | None = None
    dimension_names: tuple[str | None, ...] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    _public_name: ClassVar[str] = "frazil.nodes.NodeInfo"

    def __hash__(self) -> int:
        return hash((self.path, self.kind))

    @classmethod
    def of(cls, path: str, *, is_array: bool, metadata: bytes) -> NodeInfo:
        """A node by its path and its `zarr.json`."""
        try:
            document = json.loads(metadata)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {}
        attributes = _mapping(document.get("attributes"))
        if not is_array:
            return cls(path, "group", attributes=attributes)
        grid = _sizes(_configuration(document.get("chunk_grid")).get("chunk_shape"))
        inner = _inner_chunks(document.get("codecs"))
        named = document.get("dimension_names")
        names = named if isinstance(named, list) else None
        return cls(
            path,
            "array",
            _sizes(document.get("shape")),
            grid if inner is None else inner,
            None if inner is None else grid,
            _name(document.get("data_type")),
            None if names is None else tuple(None if n is None else str(n) for n in names),
            attributes,
        )

    def _shown(self) -> Iterable[Shown]:
        return record([f.name for f in fields(self)], self)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _configuration(value: object) -> dict[str, Any]:
    return _mapping(_mapping(value).get("configuration"))


def _sizes(value: object) -> Sizes:
    if isinstance(value, list) and all(isinstance(size, int) for size in value):
        return tuple(value)
    return None


def _inner_chunks(codecs: object) -> Sizes:
    for codec in codecs if isinstance(codecs, list) else []:
        if _mapping(codec).get("name") == "sharding_indexed":
            return _sizes(_configuration(codec).get("chunk_shape"))
    return None


def _name(data_type: object) -> str | None:
    name = data_type.get("name") if isinstance(data_type, dict) else data_type
    return name if isinstance(name, str) else None


def attribute_number(value: object) -> float | None:
    """A number among attributes, None for anything else; xarray writes fill values in base 64."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(struct.unpack("<d", base64.b64decode(value, validate=True))[0])
        except (ValueError, struct.error):
            return None
    return None
