"""Making chunks one's own that were ranges of other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.chunk_refs import VIRTUAL, ChunkRefs
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node, NodeKind
from frazil.model.overlay import inside
from frazil.model.zarr_metadata import chunk_shape, has_regular_grid
from frazil.progress import task

Region: TypeAlias = Sequence[slice]
"""Of the elements of an array: a slice, of step 1, for each of its first dimensions."""

BATCH_BYTES = 64 * 1024 * 1024
BATCH_CHUNKS = 16_384
"""What is in memory at a time."""


def materialize(workspace: Workspace, path: str, region: Region | None) -> int:
    """Copy the bytes of virtual chunks into the repository; returns how many chunks there were.

    path: of an array, or of a group, for all arrays below it. What was copied before an error
    stays so.
    """
    workspace.check_editable()
    nodes = [node for node in workspace.nodes_under(path) if node.kind is NodeKind.ARRAY]
    if region is not None and [node.path for node in nodes] != [path]:
        raise InvalidInputError(
            f"a region is one of an array, and {path} is none", ErrorKind.NOT_AN_ARRAY
        )
    boxes = {node.path: _box(node, region) for node in nodes}
    total = sum(len(refs) for node in nodes for refs in _virtual(workspace, node, boxes[node.path]))
    with task(f"materializing {path}", total) as progress:
        for node in nodes:
            for refs in _virtual(workspace, node, boxes[node.path]):
                for batch in _batches(refs):
                    data = workspace.virtual.read_many(batch, node.path)
                    stored = workspace.store_chunks(batch.index, ByteColumn.of(data))
                    workspace.replace_refs(node, batch, stored)
                    progress.step(len(batch))
    return total


def _virtual(
    workspace: Workspace, node: Node, box: tuple[tuple[int, int], ...]
) -> Iterator[ChunkRefs]:
    for refs in workspace.ref_batches(node):
        wanted = (refs.kind == VIRTUAL) & inside(refs.index, box)
        if wanted.any():
            yield refs.take(wanted)


def _batches(refs: ChunkRefs) -> Iterator[ChunkRefs]:
    end = np.cumsum(refs.length)
    first = 0
    while first < len(refs):
        done = int(end[first]) - int(refs.length[first])
        stop = int(np.searchsorted(end, np.uint64(done + BATCH_BYTES), side="right"))
        stop = min(max(stop, first + 1), first + BATCH_CHUNKS)
        yield refs.take(slice(first, stop))
        first = stop


def _box(node: Node, region: Region | None) -> tuple[tuple[int, int], ...]:
    """The chunks that a region touches: (from, to exclusive) for each of its dimensions."""
    if region is None:
        return ()
    if not has_regular_grid(node.user_data):
        raise InvalidInputError(
            f"{node.path} has chunks of different sizes: materialize all of it",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    if len(region) > len(node.shape):
        raise InvalidInputError(
            f"a region of {len(region)} slices for {node.path}, of {len(node.shape)} dimensions",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    sizes = chunk_shape(node.user_data)
    box = []
    for part, (length, _), size in zip(region, node.shape, sizes, strict=False):
        if part.step not in (None, 1):
            raise ValueError(f"a region takes slices of step 1, not {part}")
        start, stop, _ = part.indices(length)
        box.append((start // max(size, 1), -(-max(start, stop) // max(size, 1))))
    return tuple(box)
