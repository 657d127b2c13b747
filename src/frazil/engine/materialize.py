"""Making chunks one's own that were ranges of other files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import tee
from typing import TypeAlias

import numpy as np

from frazil.engine.regions import Region, chunk_box
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.chunk_refs import VIRTUAL, ChunkRefs
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import SnapshotId
from frazil.model.overlay import inside
from frazil.progress import task
from frazil.runner import Place, run
from frazil.types import ChecksumPolicy

BATCH_BYTES = 64 * 1024 * 1024
BATCH_CHUNKS = 16_384
"""What is in memory at a time, here or of each worker."""

_Part: TypeAlias = tuple[Node, ChunkRefs]
"""Virtual chunks of an array, as many as are copied at a time."""


@dataclass(frozen=True)
class Worker:
    """What another process needs to make copies for a session."""

    core: RepositoryCore
    base: SnapshotId
    checksums: ChecksumPolicy

    def copy(self, part: _Part) -> ChunkRefs:
        """As `_copy`, in a workspace of one's own; what it has stored is durable."""
        state = self.core.fork(self.base)
        state.workspace.virtual.checksums = self.checksums
        stored = _copy(state.workspace, part)
        assert state.workspace.writer is not None
        state.workspace.writer.flush()
        state.workspace.library.backend.sync()
        return stored


def materialize(
    workspace: Workspace,
    path: str,
    region: Region | None,
    worker: Worker | None = None,
    on: Place | None = None,
) -> int:
    """Copy the bytes of virtual chunks into the repository; returns how many chunks there were.

    path: of an array, or of a group, for all arrays below it. What was copied before an error
    stays so. worker: what makes the copies `on` a cluster or an executor.
    """
    workspace.check_editable()
    nodes = [node for node in workspace.nodes_under(path) if node.kind is NodeKind.ARRAY]
    if region is not None and [node.path for node in nodes] != [path]:
        raise InvalidInputError(
            f"a region is one of an array, and {path} is none", ErrorKind.NOT_AN_ARRAY
        )
    boxes = {node.path: chunk_box(node, region) for node in nodes}
    total = sum(len(refs) for node in nodes for refs in _virtual(workspace, node, boxes[node.path]))
    parts, copied = tee(
        (node, batch)
        for node in nodes
        for refs in _virtual(workspace, node, boxes[node.path])
        for batch in _batches(refs)
    )
    if worker is None or on is None:
        # One after the other, as each is much to have in memory, and parallel in itself.
        results = run(partial(_copy, workspace), copied, ahead=1)
    else:
        results = run(worker.copy, copied, on=on)
    with task(f"materializing {path}", total) as progress, closing(results):
        for (node, batch), stored in zip(parts, results, strict=True):
            workspace.replace_refs(node, batch, stored)
            progress.step(len(batch))
    return total


def _copy(workspace: Workspace, part: _Part) -> ChunkRefs:
    node, batch = part
    data = workspace.virtual.read_many(batch, node.path)
    return workspace.store_chunks(node, batch.index, data)


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
