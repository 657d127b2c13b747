"""The file `frazil/collection`: what a collection leaves for the next one.

    file     = "FrazilGC" u8 version=1, 7 zeros, u64 count[3], parts objects uses doomed checksum
    parts    = count[0] times 12 bytes of a manifest's id, 8 of an array's; sorted
    objects  = count[1] times 12 bytes of a chunk object's id; sorted
    uses     = count[1] times u32: by how many of the parts the object is used
    doomed   = count[2] times 12 bytes: objects that nothing uses, perhaps not deleted yet
    checksum = XXH3 with 64 bits of all before

All numbers are little-endian. Whoever does not know the version, or finds the checksum wrong, does
as if there were no such file: it can be made again from the repository.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

_HEAD = struct.Struct("<8sB7x3Q")
_MAGIC, _VERSION = b"FrazilGC", 1
_CHECKSUM = struct.Struct("<Q")


class LedgerColumns(NamedTuple):
    """S20[p]; uint8[n, 12]; int64[n]; uint8[d, 12]."""

    parts: npt.NDArray[np.bytes_]
    objects: npt.NDArray[np.uint8]
    uses: npt.NDArray[np.int64]
    doomed: npt.NDArray[np.uint8]


def encode_ledger(columns: LedgerColumns) -> bytes:
    """Write the file."""
    parts, objects, uses, doomed = columns
    head = _HEAD.pack(_MAGIC, _VERSION, len(parts), len(objects), len(doomed))
    rest = (parts, objects, uses.astype("<u4"), doomed)
    data = b"".join([head, *(column.tobytes() for column in rest)])
    return data + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(data))


def decode_ledger(data: bytes) -> LedgerColumns | None:
    """Read the file; None for one that is damaged or of another version."""
    if len(data) < _HEAD.size + _CHECKSUM.size:
        return None
    magic, version, parts, objects, doomed = _HEAD.unpack_from(data)
    size = _HEAD.size + 20 * parts + 16 * objects + 12 * doomed
    if (magic, version) != (_MAGIC, _VERSION) or len(data) != size + _CHECKSUM.size:
        return None
    if xxhash.xxh3_64_intdigest(memoryview(data)[:size]) != _CHECKSUM.unpack_from(data, size)[0]:
        return None
    at = _HEAD.size
    ids_at = at + 20 * parts
    uses_at = ids_at + 12 * objects
    return LedgerColumns(
        np.frombuffer(data, "S20", parts, at),
        np.frombuffer(data, np.uint8, 12 * objects, ids_at).reshape(-1, 12),
        np.frombuffer(data, "<u4", objects, uses_at).astype(np.int64),
        np.frombuffer(data, np.uint8, 12 * doomed, uses_at + 4 * objects).reshape(-1, 12),
    )
