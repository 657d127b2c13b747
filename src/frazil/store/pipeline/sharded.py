"""Parts of shards: their indexes first, then only the inner chunks that are asked for.

Inner chunks of all shards are read and decoded together, as if they were chunks of the store.
Indexes stay in memory: shards never change, so that a part of a shard that has been read from
before takes one read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import NDBuffer

from frazil.engine.bulk_reads import Found, part_of
from frazil.engine.reader import LATER, Later, ref_length
from frazil.engine.workspace import Workspace
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import Node
from frazil.store.pipeline.batch import Batch, Item
from frazil.store.pipeline.chain import Chain, ChunkCoder
from frazil.store.pipeline.reading import decode_one, fetch_all, put, put_many
from frazil.store.pipeline.shard_index import NO_CHUNK, Index, Layout, index_now, indexes_of

_SINGLY = 4


class Shard(NamedTuple):
    """What is asked of one shard: its position in the batch, and inner chunks.

    inner: a batch of them, whose selections in memory are those of `memory`, a part of the
    result.
    """

    row: int
    inner: Batch
    memory: NDBuffer


Wanted: TypeAlias = tuple[Shard, int]
"""An inner chunk that is asked for: its shard, and its position among those asked of it."""


def can_read(chain: Chain) -> bool:
    """Whether the codecs of shards are such that they are read here."""
    if chain.array_array or chain.bytes_bytes or chain.zstd is not None:
        return False
    inner = Chain.of(chain.serializer.codecs)
    return (
        inner is not None
        and not inner.sharded
        and Chain.of(chain.serializer.index_codecs) is not None
    )


def shards_of(batch: Batch, chain: Chain, out: NDBuffer) -> list[Shard] | None:
    """What is asked of each shard; None unless all of it is boxes of shards and of the result."""
    codec = chain.serializer
    shards = []
    specs: dict[int, ArraySpec] = {}
    target: Any = out.as_ndarray_like()
    for number, (spec, rows) in enumerate(batch.specs):
        specs[number] = ArraySpec(
            codec.chunk_shape, spec.dtype, spec.fill_value, spec.config, spec.prototype
        )
        for row in rows.tolist():
            _, _, selection, where, _ = batch.items[row]
            if not (_is_box(selection, (slice, int)) and _is_box(where, slice)):
                return None
            if len(selection) != len(codec.chunk_shape):
                return None
            memory = target[(*where, ...)]
            axes = list(map(_axis, selection, codec.chunk_shape))
            items: list[Item] = []
            coords: list[tuple[int, ...]] = []
            for parts in product(*axes):
                coords.append(tuple(part.chunk for part in parts))
                into = tuple(part.where for part in parts if part.where is not None)
                items.append(
                    (
                        None,
                        specs[number],
                        tuple(part.selection for part in parts),
                        into,
                        all(part.complete for part in parts),
                    )
                )
            index = np.array(coords, np.uint32).reshape(len(items), len(axes))
            shards.append(
                Shard(
                    row,
                    Batch(batch.path, index, items),
                    spec.prototype.nd_buffer.from_numpy_array(memory),
                )
            )
    return shards


def read_now(
    workspace: Workspace, node: Node, batch: Batch, chain: Chain, shards: Sequence[Shard]
) -> Sequence[bool] | Later | None:
    """As `read`, or LATER if that is worth another thread: a request, or much to do."""
    if sum(len(shard.inner) for shard in shards) > _SINGLY:
        return LATER
    codec = chain.serializer
    work: list[tuple[Item, NDBuffer, bytes | None]] = []
    present = []
    for shard in shards:
        ref = workspace.locate_now(node, tuple(batch.index[shard.row].tolist()))
        if isinstance(ref, Later):
            return LATER
        layout = Layout.of(codec, batch.items[shard.row][1].shape)
        index = None
        if ref is not None:
            known = index_now(workspace, ref, layout)
            if known is None or isinstance(known, Later):
                return known
            index = known
        present.append(ref is not None)
        for coords, item in zip(shard.inner.index.tolist(), shard.inner.items, strict=True):
            data = None
            if ref is not None and index is not None:
                start, length = map(int, index[tuple(coords)])
                if (start, length) != (NO_CHUNK, NO_CHUNK):
                    if start + length > ref_length(ref) or not length:
                        return None
                    found = workspace.read_now(ref, start, start + length)
                    if isinstance(found, Later):
                        return LATER
                    data = found
            work.append((item, shard.memory, data))
    inner = Chain.of(codec.codecs)
    assert inner is not None
    for item, memory, data in work:
        chunk = None if data is None else decode_one(ChunkCoder.of(inner, item[1]), data)
        put(item, chunk, memory, ())
    return present


def read(
    workspace: Workspace, node: Node | None, batch: Batch, chain: Chain, shards: Sequence[Shard]
) -> Sequence[bool] | None:
    """Read what is asked of shards; returns which of them there are.

    None, if one of them is not as it should be: whoever else reads it can say so.
    """
    inner_chain = Chain.of(chain.serializer.codecs)
    assert inner_chain is not None
    found = [] if node is None else workspace.locate_many(node, batch.index)
    by_row = {shard.row: shard for shard in shards}
    present = np.zeros(len(batch), np.bool_)
    for part in found:
        present[part.rows] = True
    for row in np.flatnonzero(~present).tolist():
        for item in by_row[row].inner.items:
            put(item, None, by_row[row].memory, ())
    there_are: list[bool] = present.tolist()
    if node is None or not found:
        return there_are
    wanted: list[Wanted] = []
    parts = []
    for part in found:
        indexes = indexes_of(workspace, node, batch, chain.serializer, part.rows, part.refs)
        if indexes is None:
            return None
        refs = _inner_refs(part, [by_row[row] for row in part.rows.tolist()], indexes, wanted)
        if refs is None:
            return None
        if len(refs):
            parts.append(Found(len(wanted) - len(refs) + np.arange(len(refs)), refs))
    if wanted:
        items = [shard.inner.items[position] for shard, position in wanted]
        together = Batch(batch.path, np.zeros((len(items), 0), np.uint32), items)
        fetch_all(
            workspace,
            workspace.plan_found(node, parts),
            together,
            inner_chain,
            lambda rows, chunks: _put_inner([wanted[row] for row in rows.tolist()], chunks),
        )
    return there_are


def _inner_refs(
    found: Found, shards: Sequence[Shard], indexes: Sequence[Index], wanted: list[Wanted]
) -> ChunkRefs | None:
    """References to the inner chunks that are asked for, as far as there are any.

    Which ones is added to `wanted`. None if a shard is too short for one of them.
    """
    rows, starts, lengths = [], [], []
    for i, (shard, index) in enumerate(zip(shards, indexes, strict=True)):
        entries = index[tuple(shard.inner.index.T.astype(np.intp))]
        missing = (entries == NO_CHUNK).all(axis=1)
        for position in np.flatnonzero(missing).tolist():
            put(shard.inner.items[position], None, shard.memory, ())
        there = np.flatnonzero(~missing)
        start, length, size = entries[there, 0], entries[there, 1], found.refs.length[i]
        if bool(((start > size) | (length > size - start) | (length == 0)).any()):
            return None
        rows.append(np.full(len(there), i))
        starts.append(start)
        lengths.append(length)
        wanted += [(shard, position) for position in there.tolist()]
    return part_of(
        found.refs, np.concatenate(rows), np.concatenate(starts), np.concatenate(lengths)
    )


def _put_inner(wanted: Sequence[Wanted], chunks: Sequence[Any]) -> None:
    """Put inner chunks where they belong: those of one shard lie next to each other."""
    first = 0
    for _, group in groupby(wanted, key=lambda each: each[0].row):
        positions = np.array([position for _, position in group], np.intp)
        some = chunks[first : first + len(positions)]
        shard = wanted[first][0]
        first += len(positions)
        if isinstance(some, np.ndarray):
            # In the order of the grid neighbours are put together.
            order = np.argsort(positions)
            positions, some = positions[order], some[order]
        put_many(shard.inner, positions, some, shard.memory, ())


class _Part(NamedTuple):
    """A part of a selection along one axis: an inner chunk, what of it, and where to."""

    chunk: int
    selection: slice | int
    where: slice | None
    complete: bool


def _axis(selection: slice | int, size: int) -> list[_Part]:
    if isinstance(selection, int):
        chunk, at = divmod(selection, size)
        return [_Part(chunk, at, None, size == 1)]
    parts = []
    first, stop, step, done = selection.start, selection.stop, selection.step or 1, 0
    while first < stop:
        chunk = first // size
        begin, end = chunk * size, min(stop, (chunk + 1) * size)
        count = -(-(end - first) // step)
        parts.append(
            _Part(
                chunk,
                slice(first - begin, end - begin, step),
                slice(done, done + count),
                count == size,
            )
        )
        done += count
        first += count * step
    return parts


def _is_box(selection: Any, kinds: Any) -> bool:
    return isinstance(selection, tuple) and all(
        isinstance(part, kinds)
        and not (isinstance(part, slice) and (part.start is None or part.stop is None))
        for part in selection
    )
