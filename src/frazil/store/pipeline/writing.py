"""Selections into chunks: merged with what is there, encoded by threads, stored many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.core.buffer import NDBuffer
from zarr.core.indexing import is_scalar

from frazil.engine.workspace import Workspace
from frazil.errors import StorageError
from frazil.format.columns import ByteColumn
from frazil.storage.pool import WORKERS, map_parallel
from frazil.store.pipeline import zstd
from frazil.store.pipeline.batch import Batch
from frazil.store.pipeline.chain import Chain, ChunkCoder, fill_of
from frazil.store.pipeline.reading import fetch_all, threads

BLOCK_BYTES = 4 * 1024 * 1024
"""Chunks of together this size, before they are encoded, are one thread's work at a time."""
_LEAST_BLOCK = 256 * 1024


def write(
    workspace: Workspace,
    batch: Batch,
    chain: Chain,
    value: NDBuffer,
    drop_axes: tuple[int, ...],
) -> None:
    """Write the parts of `value` into the chunks of a batch."""

    def write_block(rows: npt.NDArray[np.intp]) -> None:
        part = batch.part(rows)
        node = workspace.node(part.path)
        try:
            data = _encoded(workspace, part, chain, value, drop_axes)
        except StorageError as error:
            if node is None:
                raise
            workspace.followed(node, error)
            data = _encoded(workspace, part, chain, value, drop_axes)
        workspace.set_chunks(part.path, part.index, data)

    local = workspace.library.backend.local
    limit = threads() if local else WORKERS + 1
    map_parallel(write_block, _blocks(batch, chain), limit=limit)


def _blocks(batch: Batch, chain: Chain) -> list[npt.NDArray[np.intp]]:
    """Chunks of one specification in blocks."""
    blocks = []
    for spec, rows in batch.specs:
        n, total = len(rows), len(rows) * ChunkCoder.of(chain, spec).nbytes
        wanted = max(-(-total // BLOCK_BYTES), min(threads(), total // _LEAST_BLOCK), 1)
        blocks += np.array_split(rows, min(n, wanted))
    return blocks


def _encoded(
    workspace: Workspace, batch: Batch, chain: Chain, value: NDBuffer, drop_axes: tuple[int, ...]
) -> ByteColumn:
    """The encoded chunks, those without data as absent rows."""
    spec = batch.items[0][1]
    coder = ChunkCoder.of(chain, spec)
    if coder.stored is not None:
        return _encoded_cells(coder, _merged_cells(workspace, batch, coder, value, drop_axes))
    rows: list[Any] = []
    for array in _merged(workspace, batch, chain, value, drop_axes):
        empty = not spec.config.write_empty_chunks and array.all_equal(fill_of(spec))
        rows.append(None if empty else coder.encode(array))
    present = [i for i, row in enumerate(rows) if row is not None]
    data = ByteColumn.of([None if row is None else row.tobytes() for row in rows])
    return _compressed(chain, data, np.array(present, np.intp))


def _merged_cells(
    workspace: Workspace,
    batch: Batch,
    coder: ChunkCoder,
    value: NDBuffer,
    drop_axes: tuple[int, ...],
) -> npt.NDArray[Any]:
    """The chunks after the write: [n, *shape], in memory order."""
    spec, shape = coder.spec, coder.spec.shape
    source: Any = value.as_ndarray_like()
    scalar = source.shape == ()
    if len(batch) == 1 and batch.complete[0] and not scalar:
        # A large chunk is not copied unless it has to be.
        part = source[batch.items[0][3]]
        if part.shape == shape:
            return np.ascontiguousarray(part, coder.stored).reshape(1, *shape)
    cells = np.empty((len(batch), *shape), spec.dtype.to_native_dtype())
    if not batch.complete.all():
        _fill_with_old(workspace, batch, coder.chain, cells)
    lift = _lift(drop_axes, len(shape))
    fill = fill_of(spec)
    every = np.arange(len(batch))
    for start, stop, strip in [(0, len(batch), None)] if scalar else batch.strips(every, source):
        if strip is not None:
            cells[start:stop] = strip
            continue
        for i in range(start, stop):
            _, _, selection, where, whole = batch.items[i]
            chunk = cells[i, ...]
            part = source if scalar else source[where]
            if whole:
                if part.shape == shape:
                    chunk[...] = part
                    continue
                chunk[...] = fill
            chunk[selection] = part if scalar or lift is None else part[lift]
    return cells


def _fill_with_old(
    workspace: Workspace, batch: Batch, chain: Chain, cells: npt.NDArray[Any]
) -> None:
    """Chunks that are not written completely, as they are now."""
    rows = np.flatnonzero(~batch.complete)
    old = batch.part(rows)
    cells[rows] = fill_of(batch.items[0][1])

    def take(positions: npt.NDArray[np.intp], chunks: Sequence[Any]) -> None:
        for row, chunk in zip(rows[positions].tolist(), chunks, strict=True):
            cells[row] = chunk

    fetch_all(workspace, _plan(workspace, old), old, chain, take)


def _merged(
    workspace: Workspace, batch: Batch, chain: Chain, value: NDBuffer, drop_axes: tuple[int, ...]
) -> list[NDBuffer]:
    """The chunks after the write, as Zarr merges them."""
    old: dict[int, NDBuffer] = {}
    rows = np.flatnonzero(~batch.complete)
    if len(rows):
        parts = batch.part(rows)

        def take(positions: npt.NDArray[np.intp], chunks: Sequence[Any]) -> None:
            for row, chunk in zip(rows[positions].tolist(), chunks, strict=True):
                old[row] = chunk if isinstance(chunk, NDBuffer) else _buffer(batch, row, chunk)

        fetch_all(workspace, _plan(workspace, parts), parts, chain, take)
    merged = []
    for i, (_, spec, selection, where, whole) in enumerate(batch.items):
        if whole and value.shape != ():
            part = value[where]
            if part.shape == spec.shape:
                merged.append(part)
                continue
        before = old.get(i)
        if before is None:
            array = spec.prototype.nd_buffer.create(
                shape=spec.shape,
                dtype=spec.dtype.to_native_dtype(),
                order=spec.order,
                fill_value=fill_of(spec),
            )
        else:
            array = before.copy()
        part = value
        whole_chunk = isinstance(selection, tuple) and not selection
        if not whole_chunk and not is_scalar(value.as_ndarray_like(), spec.dtype.to_native_dtype()):
            part = value[where]
            lift = _lift(drop_axes, len(spec.shape))
            if lift is not None:
                part = part[lift]
        array[selection] = part
        merged.append(array)
    return merged


def _encoded_cells(coder: ChunkCoder, cells: npt.NDArray[Any]) -> ByteColumn:
    n = len(cells)
    present = np.arange(n)
    if not coder.spec.config.write_empty_chunks:
        present = np.flatnonzero(~_empty(coder, cells))
    assert coder.stored is not None
    cells = cells.astype(coder.stored, copy=False)
    heap = cells.reshape(-1).view(np.uint8)
    size = np.full(n, -1, np.int64)
    size[present] = coder.nbytes
    data = ByteColumn(heap, np.arange(n) * coder.nbytes, size)
    return _compressed(coder.chain, data, present)


def _empty(coder: ChunkCoder, cells: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which chunks hold nothing but the fill value, as Zarr compares them."""
    spec = coder.spec
    fill = fill_of(spec)
    flat = cells.reshape(len(cells), -1)
    # Some cells tell for most chunks that they are not empty; Zarr decides on the others.
    some = flat[:, [0, flat.shape[1] // 2, flat.shape[1] - 1]]
    maybe = ((some == fill) | (some != some)).all(axis=1)
    empty = np.zeros(len(cells), np.bool_)
    for i in np.flatnonzero(maybe).tolist():
        chunk = spec.prototype.nd_buffer.from_numpy_array(cells[i, ...])
        empty[i] = chunk.all_equal(fill)
    return empty


def _compressed(chain: Chain, data: ByteColumn, present: npt.NDArray[np.intp]) -> ByteColumn:
    if chain.zstd is None or not len(present):
        return data
    rows = data if len(present) == len(data) else data.take(present)
    packed = zstd.compress(rows, level=chain.zstd.level, checksum=chain.zstd.checksum)
    if len(present) == len(data):
        return packed
    start, size = np.zeros(len(data), np.int64), np.full(len(data), -1, np.int64)
    start[present], size[present] = packed.start, packed.size
    return ByteColumn(packed.heap, start, size)


def _plan(workspace: Workspace, batch: Batch) -> Any:
    node = workspace.node(batch.path)
    assert node is not None
    return workspace.plan_reads(node, batch.index)


def _buffer(batch: Batch, row: int, chunk: Any) -> NDBuffer:
    nd_buffer: NDBuffer = batch.items[row][1].prototype.nd_buffer.from_numpy_array(chunk)
    return nd_buffer


def _lift(drop_axes: tuple[int, ...], ndim: int) -> tuple[Any, ...] | None:
    """What puts axes of length 1 back in where a selection has dropped them."""
    if not drop_axes:
        return None
    return tuple(None if axis in drop_axes else slice(None) for axis in range(ndim))
