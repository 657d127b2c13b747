"""Ordinary files as arrays: one dimension of bytes, and an attribute that says that it is a file.

docs/format/files.md describes the arrays, which any reader of Zarr can get the bytes from.
"""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node, NodeKind

MARK: Final = "frazil_file"
"""The attribute that makes an array a file."""
VERSION: Final = 1
CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a chunk of a file that is larger than one."""
OCTETS: Final = "application/octet-stream"

_RESERVED: Final = frozenset(
    {"", ".", "..", "c", "zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"}
)
_ENCODED: Final = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
}
# Not the module's own functions: what these say depends on the machine.
_TYPES: Final = mimetypes.MimeTypes()
for _kind, _endings in {
    "text/plain": (".cfg", ".ini", ".log", ".rst"),
    "text/markdown": (".md",),
    "application/yaml": (".yaml", ".yml"),
    "application/toml": (".toml",),
    "application/x-ipynb+json": (".ipynb",),
    "application/x-hdf5": (".h5", ".hdf5"),
    "application/x-netcdf": (".nc", ".nc4"),
}.items():
    for _ending in _endings:
        _TYPES.add_type(_kind, _ending)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the array of a file says of it.

    sha256: of all bytes, in hexadecimal digits, None if that was not written; attributes: the
    others of the array.
    """

    size: int
    media_type: str
    sha256: str | None
    modified: datetime | None
    attributes: dict[str, Any]


def check_name(name: str) -> str:
    """The name if a file can have it; `InvalidInputError` (`invalid-path`) otherwise.

    A name is one part of a path of a node. Names that mean something in Zarr are reserved (its
    core specification, "Node names"), and so are those that mean something as file names.
    """
    problem = None
    if "/" in name or "\\" in name:
        problem = "it is one name, without / and \\: for a file in a group, ask that group"
    elif name in _RESERVED or not name.strip(".") or name.startswith("__"):
        problem = "that name is reserved"
    elif any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in name):
        problem = "it has characters that are no text"
    if problem is not None:
        raise InvalidInputError(
            f"a file cannot be called {name!r}: {problem}", ErrorKind.INVALID_PATH
        )
    return name


def media_type_of(name: str) -> str:
    """The media type that the ending of a name stands for."""
    kind, encoding = _TYPES.guess_type(name.replace(":", "_"), strict=False)
    if encoding is not None:
        return _ENCODED.get(encoding, OCTETS)
    return kind or OCTETS


def write_document(name: str, record: FileRecord) -> bytes:
    """The `zarr.json` of a file.

    `InvalidInputError` (`bad-metadata`) for attributes that are not JSON, or that are the mark.
    """
    if MARK in record.attributes:
        raise _bad(name, f"the attribute {MARK} is what makes it a file")
    mark: dict[str, Any] = {"version": VERSION, "media_type": record.media_type}
    if record.sha256 is not None:
        mark["sha256"] = record.sha256
    if record.modified is not None:
        mark["modified"] = record.modified.astimezone(UTC).isoformat()
    chunk = max(1, min(record.size, CHUNK_BYTES))
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [record.size],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [
            {"name": "bytes"},
            {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
        ],
        "attributes": {MARK: mark, **record.attributes},
        # Of its own, so that xarray does not take two files for variables of one length.
        "dimension_names": [f"bytes of {name}"],
        "storage_transformers": [],
    }
    try:
        return json.dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise _bad(name, f"its attributes are not JSON ({error})") from None


def read_record(node: Node) -> FileRecord | None:
    """What a node says of the file that it is; None if it is something else."""
    if (
        node.kind is not NodeKind.ARRAY
        or len(node.shape) != 1
        or MARK.encode() not in node.user_data
    ):
        return None
    try:
        document = json.loads(node.user_data)
    except ValueError:
        return None
    attributes = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(attributes, dict):
        return None
    mark = attributes.get(MARK)
    if not isinstance(mark, dict) or mark.get("version") != VERSION:
        return None
    if document.get("data_type") != "uint8":
        return None
    media_type, sha256 = mark.get("media_type"), mark.get("sha256")
    return FileRecord(
        node.shape[0][0],
        media_type if isinstance(media_type, str) else OCTETS,
        sha256 if isinstance(sha256, str) else None,
        _time(mark.get("modified")),
        {key: value for key, value in attributes.items() if key != MARK},
    )


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)


def _bad(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"cannot store the file {name!r}: {why}", ErrorKind.BAD_METADATA)
