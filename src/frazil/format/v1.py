"""What only spec 1 has: references as JSON, metadata as MessagePack, configuration as YAML.

refs/branch.<name>/ref.json        {"snapshot":"<20 characters>"}
metadata values in snapshot files  MessagePack, keys sorted, floats of 8 bytes
config.yaml                        see `load_config`
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgpack

from frazil.errors import ErrorKind, FormatError, InvalidInputError
from frazil.format.config_yaml import dump_config, load_config
from frazil.format.jsonvalue import normalize
from frazil.ids import SnapshotId

__all__ = [
    "decode_msgpack",
    "decode_ref",
    "dump_config",
    "encode_msgpack",
    "encode_ref",
    "load_config",
]

_MAX_REF_BYTES = 4096


def encode_ref(snapshot: SnapshotId) -> bytes:
    """The content of a `ref.json` that points at `snapshot`."""
    return b'{"snapshot":"%s"}' % str(snapshot).encode()


def decode_ref(data: bytes, *, where: str) -> SnapshotId:
    """The snapshot that a `ref.json` points at."""
    try:
        if len(data) > _MAX_REF_BYTES:
            raise ValueError(f"{len(data)} bytes")
        return SnapshotId.parse(json.loads(data)["snapshot"])
    except (ValueError, KeyError, TypeError, RecursionError, InvalidInputError):
        raise FormatError(
            f'{where}: a reference is {{"snapshot":"<20 characters>"}}, found {data[:80]!r}',
            ErrorKind.DESERIALIZATION,
        ) from None


def encode_msgpack(value: object) -> bytes:
    """The bytes of one JSON value; `InvalidInputError` if it is none."""
    packed: bytes = msgpack.packb(normalize(value))
    return packed


def decode_msgpack(data: bytes | memoryview, *, where: str) -> Any:
    """The JSON value in `data`; `FormatError` for anything else (binary, extensions, NaN keys).

    Floats that are not finite become None.
    """
    try:
        value = msgpack.unpackb(data, object_hook=_text_keys, ext_hook=_refuse, timestamp=0)
        return _finite(value)
    except (ValueError, TypeError, MemoryError, RecursionError, msgpack.UnpackException) as error:
        raise FormatError(
            f"{where}: the MessagePack value cannot be read: {error}", ErrorKind.DESERIALIZATION
        ) from None


def _text_keys(value: dict[Any, Any]) -> dict[Any, Any]:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"it has the key {key!r}")
    return value


def _refuse(code: int, data: bytes) -> None:
    raise ValueError(f"it has an extension of type {code}")


def _finite(value: object) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(f"it has a value of type {type(value).__name__}")
