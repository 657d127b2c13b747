"""What the `zarr.json` of a node says, for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from frazil.files.info import FileInfo, file_at
from frazil.format.snapshot import Node, NodeKind

_STRUCTURES = frozenset({"struct", "structured"})
_NOT_A_TIME = -(2**63)


_NUMBER = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)")


def is_number(data_type: str) -> bool:
    """Whether this names a type of numbers: NumPy takes many other texts for descriptions, too."""
    return _NUMBER.fullmatch(data_type) is not None


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
    def is_drawn(self) -> bool:
        """Whether a picture can be made: of numbers and times, unless there is but one of them."""
        times = self.data_type.startswith(("datetime64", "timedelta64"))
        return bool(self.shape) and (times or is_number(self.data_type))

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
    except (ValueError, RecursionError):
        document = {}
    if not isinstance(document, dict):
        document = {}
    attributes = document.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    written = json.dumps(document, indent=2, ensure_ascii=False)
    if node.kind is NodeKind.GROUP:
        return Described(node.path, False, attributes, written)
    shape = tuple(length for length, _ in node.shape)
    kind, itemsize = _data_type(document.get("data_type"))
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
        itemsize,
        inner or outer,
        outer if inner else None,
        tuple(count for _, count in node.shape),
        _fill_value(document.get("fill_value"), kind),
        codecs,
        file_at(node),
    )


def _name(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)


def _data_type(value: Any) -> tuple[str, int]:
    """The name of a data type for people, and bytes of an item, 0 if that is not known."""
    name = _name(value)
    about = value.get("configuration") if isinstance(value, dict) else None
    about = about if isinstance(about, dict) else {}
    length = about.get("length_bytes")
    length = length if isinstance(length, int) and length >= 0 else 0
    match name:
        case "numpy.datetime64" | "numpy.timedelta64":
            return f"{name.removeprefix('numpy.')}[{about.get('unit', '?')}]", 8
        case "fixed_length_utf32":
            return f"text, {length // 4} characters", length
        case "null_terminated_bytes" | "raw_bytes":
            return f"bytes, {length} each", length
        case _ if name in _STRUCTURES:
            return _structure(about.get("fields"))
    return name, np.dtype(name).itemsize if is_number(name) else 0


def _structure(listed: Any) -> tuple[str, int]:
    """What is in a structure: its fields, as pairs or as objects with a name and a type."""
    texts, sizes = [], []
    for one in listed if isinstance(listed, list) else ():
        pair = (one.get("name"), one.get("data_type")) if isinstance(one, dict) else one
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            return "structure", 0
        inner = _name(pair[1]) in _STRUCTURES  # whatever is in it
        kind, size = ("structure", 0) if inner else _data_type(pair[1])
        texts.append(f"{pair[0]} {kind}")
        sizes.append(size)
    return f"structure of {', '.join(texts)}", sum(sizes) if all(sizes) else 0


def _fill_value(value: Any, kind: str) -> str:
    if value == "":
        return "empty text"
    if value == _NOT_A_TIME and kind.startswith(("datetime64", "timedelta64")):
        return "NaT"
    return json.dumps(value, ensure_ascii=False).strip('"')


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
