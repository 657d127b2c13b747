"""The indexes of shards: where the inner chunks are."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import NDBuffer, default_buffer_prototype
from zarr.core.dtype import UInt64

from frazil.engine.bulk_reads import Found, part_of, read_all
from frazil.engine.reader import LATER, Later, ref_length
from frazil.engine.workspace import Workspace
from frazil.format.chunk_refs import NATIVE, ChunkRefs, NativeRef, Ref
from frazil.format.snapshot import Node
from frazil.library.cache import Cache
from frazil.store.pipeline.batch import Batch
from frazil.store.pipeline.chain import Chain, ChunkCoder
from frazil.store.pipeline.reading import decode_one

INDEX_BUDGET = 64 * 1024 * 1024
"""Bytes of shard indexes that are kept."""
NO_CHUNK = 2**64 - 1
"""What an index says of inner chunks that are not initialised."""

Index: TypeAlias = npt.NDArray[np.uint64]
"""uint64[*chunks per shard, 2]: where each inner chunk is in its shard, and its length."""

_indexes: Cache[tuple[bytes, int, int, Layout], Index] = Cache(
    INDEX_BUDGET, lambda index: index.nbytes
)


@dataclass(frozen=True)
class Layout:
    """How shards of one shape are made: inner chunks, and the index at one of the ends."""

    counts: tuple[int, ...]
    index_bytes: int
    at_start: bool
    index_codecs: tuple[Any, ...]

    @classmethod
    def of(cls, codec: Any, shape: tuple[int, ...]) -> Layout:
        """The layout of shards of this shape."""
        counts = tuple(s // c for s, c in zip(shape, codec.chunk_shape, strict=True))
        size = 16 * prod(counts)
        for each in codec.index_codecs:
            size = each.compute_encoded_size(size, _index_spec(counts))
        # An enumeration in older versions of Zarr.
        where = getattr(codec.index_location, "value", codec.index_location)
        return cls(counts, size, where == "start", tuple(codec.index_codecs))

    def index_at(self, length: Any) -> Any:
        """Where the index begins in a shard of `length` bytes."""
        return length * 0 if self.at_start else length - self.index_bytes

    def decode(self, data: bytes) -> Index:
        """The index from its bytes."""
        chain = Chain.of(self.index_codecs)
        assert chain is not None
        decoded = decode_one(ChunkCoder.of(chain, _index_spec(self.counts)), data)
        array = decoded.as_numpy_array() if isinstance(decoded, NDBuffer) else decoded
        index: Index = array.astype(np.uint64, copy=False)
        return index


def index_now(workspace: Workspace, ref: Ref, layout: Layout) -> Index | Later | None:
    """The index of one shard, or LATER if that is worth another thread; None: it is too short."""
    key = None
    if isinstance(ref, NativeRef):
        key = bytes(ref.object), ref.offset, ref.length, layout
        known = _indexes.get(key)
        if known is not None:
            return known
    length = ref_length(ref)
    if length < layout.index_bytes:
        return None
    start = layout.index_at(length)
    data = workspace.read_now(ref, start, start + layout.index_bytes)
    if isinstance(data, Later):
        return LATER
    index = layout.decode(data)
    if key is not None:
        _indexes.put(key, index)
    return index


def indexes_of(
    workspace: Workspace,
    node: Node,
    batch: Batch,
    codec: Any,
    rows: npt.NDArray[np.intp],
    refs: ChunkRefs,
) -> list[Index] | None:
    """The indexes of shards, from memory or read together; None if a shard is too short."""
    layouts: dict[tuple[int, ...], Layout] = {}
    indexes: list[Any] = [None] * len(rows)
    keys: list[Any] = [None] * len(rows)
    native = refs.kind == NATIVE
    of: list[Layout] = []
    for i, row in enumerate(rows.tolist()):
        shape = batch.items[row][1].shape
        layout = layouts.get(shape)
        if layout is None:
            layout = layouts[shape] = Layout.of(codec, shape)
        of.append(layout)
        if native[i]:
            keys[i] = refs.object[i].tobytes(), int(refs.offset[i]), int(refs.length[i]), layout
            indexes[i] = _indexes.get(keys[i])
    unknown = np.array([i for i, index in enumerate(indexes) if index is None], np.intp)
    if not len(unknown):
        return indexes
    size = np.array([of[i].index_bytes for i in unknown.tolist()], np.uint64)
    length = refs.length[unknown]
    if (length < size).any():
        return None
    start = np.array(
        [of[i].index_at(int(n)) for i, n in zip(unknown.tolist(), length, strict=True)], np.uint64
    )
    plan = workspace.plan_found(node, [Found(unknown, part_of(refs, unknown, start, size))])
    for at, data in read_all(plan):
        for row, i in enumerate(at.tolist()):
            indexes[i] = of[i].decode(data[row] or b"")
            if keys[i] is not None:
                _indexes.put(keys[i], indexes[i])
    return indexes


def _index_spec(counts: tuple[int, ...]) -> ArraySpec:
    return ArraySpec(
        (*counts, 2),
        UInt64(endianness="little"),
        NO_CHUNK,
        ArrayConfig(order="C", write_empty_chunks=False),
        default_buffer_prototype(),
    )
