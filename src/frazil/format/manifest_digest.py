"""A digest of the references in a manifest, whatever the bytes of its file.

It proves that references which were gathered from elsewhere are those that a lost manifest
had. Checksums of chunks are left out: they are hints, and other programs drop them.

    digest  = XXH3 with 64 bits of the arrays, sorted by node id; a result of 0 counts as 1
    array   = node id, n u64, rank u32, columns, one after another, numbers little-endian
    columns = index u32[n, rank], kind u8[n], object u8[n, 12] (zeros unless native),
              offset u64[n], length u64[n], then if any is virtual or inline
              sizes i64[n] and bytes of locations and inline chunks (-1: none),
              if any is guarded, sizes i64[n] and bytes of etags, then times u32[n]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xxhash

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.columns import ByteColumn, gather_bytes
from frazil.ids import NodeId


def digest_of(arrays: Mapping[NodeId, ChunkRefs]) -> int:
    """The digest, never 0; arrays without references do not count."""
    state = xxhash.xxh3_64()
    for node, refs in sorted(arrays.items()):
        if len(refs):
            _add(state, node, refs)
    return state.intdigest() or 1


def _add(state: xxhash.xxh3_64, node: NodeId, refs: ChunkRefs) -> None:
    state.update(node + len(refs).to_bytes(8, "little") + refs.ndim.to_bytes(4, "little"))
    for column, dtype in (
        (refs.index, "<u4"),
        (refs.kind, "u1"),
        (refs.object, "u1"),
        (refs.offset, "<u8"),
        (refs.length, "<u8"),
    ):
        state.update(np.ascontiguousarray(column, dtype).data)
    _add_column(state, refs.payload)
    _add_column(state, refs.etag)
    if refs.modified is not None and refs.modified.any():
        state.update(np.ascontiguousarray(refs.modified, "<u4").data)


def _add_column(state: xxhash.xxh3_64, column: ByteColumn | None) -> None:
    if column is None or not bool((column.size >= 0).any()):
        return
    size = np.maximum(column.size, 0)
    state.update(np.ascontiguousarray(column.size, "<i8").data)
    state.update(np.ascontiguousarray(gather_bytes(column.heap, column.start, size)).data)
