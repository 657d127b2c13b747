"""The file `frazil/collection`: what a collection leaves for the next one.

    file     = "FrazilGC" u8 version=2, 7 zeros, u64 count[7], columns, checksum
    columns  = snapshots stored digests logs parts users objects uses doomed
    snapshots = count[0] times 12 bytes: ids of the snapshots that were needed; sorted
    stored   = count[0] times i64: when the file of each was stored, us since the epoch
    digests  = count[0] times u64: XXH3 with 64 bits of the sorted parts of each
    logs     = count[1] times 12 bytes: transaction logs that are kept without their snapshots
    parts    = count[2] times 12 bytes of a manifest's id, 8 of an array's; sorted. Zeros instead of
               an array: the manifest is listed by a snapshot, none of whose arrays refers to it
    users    = count[2] times u32: by how many of the snapshots the part is used
    objects  = count[3] times 12 bytes of a chunk object's id; sorted
    uses     = count[3] times u32: by how many of the parts the object is used
    doomed   = count[4], [5], [6] times 12 bytes: transaction logs, manifests and chunk objects that
               nothing uses, perhaps not deleted yet
    checksum = XXH3 with 64 bits of all before

All numbers are little-endian. Whoever does not know the version, or finds the checksum wrong, does
as if there were no such file: it can be made again from the repository.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

_HEAD = struct.Struct("<8sB7x7Q")
_MAGIC, _VERSION = b"FrazilGC", 2
_CHECKSUM = struct.Struct("<Q")


class LedgerColumns(NamedTuple):
    """S12[s], int64[s], uint64[s]; S12[l]; S20[p], int64[p]; uint8[n, 12], int64[n]; the rest as
    uint8[d, 12].
    """

    snapshots: npt.NDArray[np.bytes_]
    stored: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]
    logs: npt.NDArray[np.bytes_]
    parts: npt.NDArray[np.bytes_]
    users: npt.NDArray[np.int64]
    objects: npt.NDArray[np.uint8]
    uses: npt.NDArray[np.int64]
    doomed_transactions: npt.NDArray[np.uint8]
    doomed_manifests: npt.NDArray[np.uint8]
    doomed_chunks: npt.NDArray[np.uint8]


_STORED: Final = ("S12", "<i8", "<u8", "S12", "S20", "<u4", "V12", "<u4", "V12", "V12", "V12")
"""How each column is stored."""
_COUNTED: Final = (0, 0, 0, 1, 2, 2, 3, 3, 4, 5, 6)
"""Which of the counts is the length of each column."""


def encode_ledger(columns: LedgerColumns) -> bytes:
    """Write the file."""
    every: list[npt.NDArray[Any]] = list(columns)
    counts = [len(every[_COUNTED.index(number)]) for number in range(7)]
    stored = (
        column if column.ndim == 2 else column.astype(dtype, copy=False)
        for column, dtype in zip(every, _STORED, strict=True)
    )
    data = b"".join([_HEAD.pack(_MAGIC, _VERSION, *counts), *(one.tobytes() for one in stored)])
    return data + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(data))


def decode_ledger(data: bytes) -> LedgerColumns | None:
    """Read the file; None for one that is damaged or of another version."""
    if len(data) < _HEAD.size + _CHECKSUM.size:
        return None
    magic, version, *counts = _HEAD.unpack_from(data)
    dtypes = [np.dtype(one) for one in _STORED]
    lengths = [counts[number] for number in _COUNTED]
    size = _HEAD.size + sum(
        dtype.itemsize * length for dtype, length in zip(dtypes, lengths, strict=True)
    )
    if (magic, version) != (_MAGIC, _VERSION) or len(data) != size + _CHECKSUM.size:
        return None
    if xxhash.xxh3_64_intdigest(memoryview(data)[:size]) != _CHECKSUM.unpack_from(data, size)[0]:
        return None
    columns, at = [], _HEAD.size
    for dtype, length in zip(dtypes, lengths, strict=True):
        column = np.frombuffer(data, dtype, length, at)
        at += column.nbytes
        if dtype.kind == "V":
            column = column.view(np.uint8).reshape(-1, 12)
        elif dtype.itemsize == 4:
            column = column.astype(np.int64)
        columns.append(column)
    return LedgerColumns(*columns)
