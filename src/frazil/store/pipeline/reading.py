"""Selections out of chunks: found at once, read in few requests, decoded by threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.core.buffer import NDBuffer

from frazil.engine.bulk_reads import Fetch, ReadPlan
from frazil.engine.workspace import Workspace
from frazil.format.columns import ByteColumn
from frazil.storage.pool import WORKERS, cores, map_parallel
from frazil.store.pipeline import zstd
from frazil.store.pipeline.batch import Batch
from frazil.store.pipeline.chain import Chain, ChunkCoder, fill_of

Take = Callable[[int, Any], None]
"""What is done with the decoded chunk of a row; None: the chunk is not initialised."""


def threads() -> int:
    """How many threads may compute at the same time: `threading.max_workers` of Zarr, or all."""
    return zarr.config.get("threading.max_workers", None) or cores()


def read(
    workspace: Workspace,
    plan: ReadPlan,
    batch: Batch,
    chain: Chain,
    out: NDBuffer,
    drop_axes: tuple[int, ...],
) -> npt.NDArray[np.bool_]:
    """Put what is asked for into `out`; returns which of the chunks there are."""
    target = out.as_ndarray_like()
    present = np.zeros(len(batch), np.bool_)
    for fetch in plan.fetches:
        present[fetch.rows] = True
    items = batch.items
    for row in np.flatnonzero(~present).tolist():
        _, spec, _, where, _ = items[row]
        target[where] = fill_of(spec)

    def scatter(rows: npt.NDArray[np.intp], chunks: Sequence[Any]) -> None:
        for row, chunk in zip(rows.tolist(), chunks, strict=True):
            _, _, selection, where, _ = items[row]
            part = chunk[selection]
            if drop_axes:
                part = part.squeeze(axis=drop_axes)
            if isinstance(part, NDBuffer):
                out[where] = part
            else:
                target[where] = part

    decode_all(workspace, plan, batch, chain, scatter)
    return present


def decode_all(
    workspace: Workspace,
    plan: ReadPlan,
    batch: Batch,
    chain: Chain,
    take: Callable[[npt.NDArray[np.intp], Sequence[Any]], None],
) -> None:
    """Read the chunks of a plan, and hand them over decoded: positions, and a chunk for each.

    A chunk is a NumPy array or an `NDBuffer`. Several threads may hand over at the same time.
    """
    coder = ChunkCoder.of(chain, batch.items[0][1]) if batch.uniform else None

    def carry_out(fetch: Fetch) -> None:
        data = fetch.read()
        if coder is not None:
            take(fetch.rows, decode(coder, data))
            return
        for i, row in enumerate(fetch.rows.tolist()):
            one = ChunkCoder.of(chain, batch.items[row][1])
            take(fetch.rows[i : i + 1], decode(one, data.take(slice(i, i + 1))))

    # From afar many reads wait at the same time, and few of them compute.
    limit = threads() if workspace.library.backend.local else WORKERS + 1
    map_parallel(carry_out, plan.fetches, limit=1 if plan.quick else limit)


def decode(coder: ChunkCoder, data: ByteColumn) -> Sequence[Any]:
    """Chunks, as NumPy arrays or `NDBuffer`s, from the bytes that are stored."""
    chain, stored, shape = coder.chain, coder.stored, coder.spec.shape
    rows: Any
    if chain.zstd is None:
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


def _through_codec(coder: ChunkCoder, data: bytes | None) -> Any:
    buffer = coder.spec.prototype.buffer.from_bytes(data or b"")
    assert coder.chain.zstd is not None
    return coder.chain.zstd._decode_sync(buffer, coder.specs[-1]).as_numpy_array()
