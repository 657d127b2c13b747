"""Selections out of chunks: found at once, read in few requests, decoded by threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.core.buffer import NDBuffer

from frazil.engine.bulk_reads import Fetch, ReadPlan
from frazil.engine.reader import LATER, Later
from frazil.engine.workspace import Workspace
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node
from frazil.storage.pool import WORKERS, cores, map_parallel
from frazil.store.pipeline import zstd
from frazil.store.pipeline.batch import Batch, Item
from frazil.store.pipeline.chain import Chain, ChunkCoder, fill_of

Rows = npt.NDArray[np.intp]

_LARGE = 64 * 1024
"""Bytes of a chunk that is worth the look whether it lies in one piece where it belongs."""
_SINGLY = 4
"""Up to this many chunks are looked up one by one: columns would cost more than they save."""


def threads() -> int:
    """How many threads may compute at the same time: `threading.max_workers` of Zarr, or all."""
    return zarr.config.get("threading.max_workers", None) or cores()


def read_now(
    workspace: Workspace,
    node: Node,
    batch: Batch,
    chain: Chain,
    out: NDBuffer,
    drop_axes: tuple[int, ...],
) -> Sequence[bool] | Later:
    """As `read`, or LATER if that is worth another thread: a request, or many bytes."""
    if len(batch) > _SINGLY:
        plan = workspace.plan_reads_now(node, batch.index)
        if isinstance(plan, Later) or not plan.quick:
            return LATER
        return read(workspace, plan, batch, chain, out, drop_axes)
    chunks = []
    for coords in batch.index.tolist():
        data = workspace.get_chunk_now(node, tuple(coords))
        if isinstance(data, Later):
            return LATER
        chunks.append(data)
    for row, data in enumerate(chunks):
        spec = batch.items[row][1]
        chunk = None if data is None else decode_one(ChunkCoder.of(chain, spec), data)
        put(batch.items[row], chunk, out, drop_axes)
    return [data is not None for data in chunks]


def read(
    workspace: Workspace,
    plan: ReadPlan,
    batch: Batch,
    chain: Chain,
    out: NDBuffer,
    drop_axes: tuple[int, ...],
) -> Sequence[bool]:
    """Put what is asked for into `out`; returns which of the chunks there are."""
    items = batch.items
    present = np.zeros(len(batch), np.bool_)
    for fetch in plan.fetches:
        present[fetch.rows] = True
    for row in np.flatnonzero(~present).tolist():
        put(items[row], None, out, drop_axes)

    def take(rows: Rows, coder: ChunkCoder, data: ByteColumn) -> None:
        left = every = np.arange(len(rows))
        if not drop_axes:
            left = _decode_in_place(batch, rows, coder, data, out)
        if len(left) < len(every):
            rows, data = rows[left], data.take(left)
        if len(left):
            put_many(batch, rows, decode(coder, data), out, drop_axes)

    _fetch_all(workspace, plan, batch, chain, take)
    found: list[bool] = present.tolist()
    return found


def _decode_in_place(
    batch: Batch, rows: Rows, coder: ChunkCoder, data: ByteColumn, out: NDBuffer
) -> Rows:
    """Decompress chunks where they belong if they lie there one behind the other.

    Returns which of the positions `rows` are left.
    """
    target: Any = out.as_ndarray_like()
    stored, nbytes = coder.stored, coder.nbytes
    if coder.chain.zstd is None or stored is None or stored != target.dtype or not nbytes:
        return np.arange(len(rows))
    left: list[int] = []
    for start, stop, strip in batch.strips(rows, target, alone=nbytes >= _LARGE):
        done = strip is not None and strip.flags.c_contiguous
        if done and strip is not None:
            memory = strip.reshape(-1).view(np.uint8)
            done = zstd.decompress_into(data.take(slice(start, stop)), memory, nbytes)
        if not done:
            left += range(start, stop)
    return np.array(left, np.intp)


def put_many(
    batch: Batch,
    rows: npt.NDArray[np.intp],
    chunks: Sequence[Any],
    out: NDBuffer,
    drop_axes: tuple[int, ...],
) -> None:
    """Put what is asked for of the decoded chunks at the positions `rows` into `out`."""
    target: Any = out.as_ndarray_like()
    if drop_axes or not isinstance(chunks, np.ndarray):
        runs: Any = [(0, len(rows), None)]
    else:
        runs = batch.strips(rows, target)
    for start, stop, strip in runs:
        if strip is not None:
            strip[...] = chunks[start:stop]
            continue
        for i in range(start, stop):
            put(batch.items[int(rows[i])], chunks[i], out, drop_axes)


def put(item: Item, chunk: Any, out: NDBuffer, drop_axes: tuple[int, ...]) -> None:
    """Put what is asked for of a chunk into `out`; None: the chunk is not initialised."""
    _, spec, selection, where, _ = item
    if chunk is None:
        out[where] = fill_of(spec)
        return
    part = chunk[selection]
    out[where] = part.squeeze(axis=drop_axes) if drop_axes else part


def fetch_all(
    workspace: Workspace,
    plan: ReadPlan,
    batch: Batch,
    chain: Chain,
    take: Callable[[npt.NDArray[np.intp], Sequence[Any]], None],
) -> None:
    """Read the chunks of a plan, and hand them over decoded: positions, and a chunk for each.

    A chunk is a NumPy array or an `NDBuffer`. Several threads may hand over at the same time.
    """

    def decoded(rows: Rows, coder: ChunkCoder, data: ByteColumn) -> None:
        take(rows, decode(coder, data))

    _fetch_all(workspace, plan, batch, chain, decoded)


def _fetch_all(
    workspace: Workspace,
    plan: ReadPlan,
    batch: Batch,
    chain: Chain,
    take: Callable[[Rows, ChunkCoder, ByteColumn], None],
) -> None:
    """As `fetch_all`, with the coder and the bytes of chunks of one specification."""
    coders = [ChunkCoder.of(chain, spec) for spec, _ in batch.specs]
    number = np.zeros(len(batch), np.intp)
    for i, (_, rows) in enumerate(batch.specs):
        number[rows] = i

    def carry_out(fetch: Fetch) -> None:
        data = fetch.read()
        if len(coders) == 1:
            take(fetch.rows, coders[0], data)
            return
        for i in np.unique(number[fetch.rows]).tolist():
            some = np.flatnonzero(number[fetch.rows] == i)
            take(fetch.rows[some], coders[i], data.take(some))

    # From afar many reads wait at the same time, and few of them compute.
    limit = threads() if workspace.library.backend.local else WORKERS + 1
    map_parallel(carry_out, plan.fetches, limit=1 if plan.quick else limit)


def decode(coder: ChunkCoder, data: ByteColumn) -> Sequence[Any]:
    """Chunks, as NumPy arrays or `NDBuffer`s, from the bytes that are stored."""
    chain, stored, shape = coder.chain, coder.stored, coder.spec.shape
    rows: Any
    if chain.zstd is None:
        nbytes = coder.nbytes
        if stored is not None and shape and nbytes and _lie_together(data, nbytes):
            begin = int(data.start[0])
            whole: Any = data.heap[begin : begin + len(data) * nbytes].view(stored)
            return whole.reshape(len(data), *shape)  # type: ignore[no-any-return]
        starts, ends = data.start.tolist(), (data.start + data.size).tolist()
        rows = [data.heap[a:b] for a, b in zip(starts, ends, strict=True)]
    else:
        found = zstd.decompress(data, None if stored is None else coder.nbytes)
        if found is None:
            # Zarr's own codec has the last word on bytes that look wrong.
            return [coder.decode(_through_codec(coder, data[i])) for i in range(len(data))]
        if stored is not None and isinstance(found, np.ndarray):
            cells: Any = found.view(stored).reshape(len(data), *shape)
            # Iterating over cells makes scalars, which are other things than arrays of rank 0.
            return cells if shape else [cells[i, ...] for i in range(len(data))]
        rows = found
    if stored is None:
        return [coder.decode(row) for row in rows]
    return [row.view(stored).reshape(shape) for row in rows]


def _lie_together(data: ByteColumn, size: int) -> bool:
    """Whether the rows are of this size, one behind the other."""
    end = data.start + data.size
    return bool((data.size == size).all() and (end[:-1] == data.start[1:]).all())


def decode_one(coder: ChunkCoder, data: bytes) -> Any:
    """One chunk, as `decode`."""
    column = ByteColumn(
        np.frombuffer(data, np.uint8), np.zeros(1, np.int64), np.array([len(data)], np.int64)
    )
    return decode(coder, column)[0]


def _through_codec(coder: ChunkCoder, data: bytes | None) -> Any:
    buffer = coder.spec.prototype.buffer.from_bytes(data or b"")
    assert coder.chain.zstd is not None
    return coder.chain.zstd._decode_sync(buffer, coder.specs[-1]).as_numpy_array()
