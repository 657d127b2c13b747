"""What a read or a commit will ask the storage for, found out without doing it.

Both are rehearsed: on a library that reads manifests without keeping them, and a storage that makes
up chunks and stores nothing.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from frazil.engine.commit import Committer
from frazil.engine.manifests import LayoutOf, ManifestWriter
from frazil.engine.reader import ChunkReader
from frazil.engine.sources.reading import VirtualSources
from frazil.engine.sources.table import SourceTable
from frazil.engine.workspace import Workspace
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node
from frazil.library.catalog import Catalog
from frazil.library.uploads import Uploads
from frazil.model.moments import NEVER
from frazil.stats import CommitEstimate, ReadEstimate
from frazil.storage.base import Backend
from frazil.storage.wrapper import Wrapper

_TO_MOVE_A_BRANCH = 3
"""Requests: look where it is; copy the repo object, or look again; replace the one object."""


class _MadeUp(Wrapper):
    """Reads of chunk objects are counted and answered with zeros; all others are passed on."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.requests: Counter[str] = Counter()
        self.nbytes: Counter[str] = Counter()

    def _count(self, key: str, nbytes: int) -> None:
        folder = key.partition("/")[0]
        self.requests[folder] += 1
        self.nbytes[folder] += nbytes

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if key.startswith("chunks/") and end is not None:
            data = bytes(end - (start or 0))
        else:
            data = self.inner.get(key, start=start, end=end)
        self._count(key, len(data))
        return data

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self._count(key, sum(end - start for start, end in ranges))
        return [bytes(end - start) for start, end in ranges]


class _NoFiles(VirtualSources):
    """Chunks of other files are counted and made up."""

    def __init__(self) -> None:
        super().__init__(SourceTable())
        self.chunks = 0

    @override
    def read_many(self, refs: ChunkRefs, path: str) -> ByteColumn:
        self.chunks += len(refs)
        size = refs.length.astype(np.int64)
        return ByteColumn(np.zeros(size.max(initial=0), np.uint8), np.zeros_like(size), size)


def explain_read(workspace: Workspace, node: Node, index: npt.NDArray[np.uint32]) -> ReadEstimate:
    """What reading these chunks of an array completely takes: uint32[n, ndim], none twice."""
    library = workspace.library.aside()
    backend, files = _MadeUp(library.place), _NoFiles()
    library.backend, library.verify_reads = backend, False
    rehearsal = copy.copy(workspace)
    rehearsal.library = library
    rehearsal._reader = ChunkReader(library, workspace.writer, files)
    plan = rehearsal.plan_reads(node, index)
    found = 0
    for fetch in plan.fetches:
        found += len(fetch.rows)
        fetch.read()
    return ReadEstimate(
        chunks=len(index),
        initialized=found,
        virtual=files.chunks,
        manifests=backend.requests["manifests"],
        requests=sum(backend.requests.values()),
        bytes_read=sum(backend.nbytes.values()),
    )


class _Counted(Uploads):
    """Stores nothing, and counts what it is given."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.puts: Counter[str] = Counter()
        self.nbytes = 0

    @override
    def put(self, key: str, data: bytes) -> None:
        self.puts[key.partition("/")[0]] += 1
        self.nbytes += len(data)


def explain_commit(workspace: Workspace, catalog: Catalog, layout: LayoutOf) -> CommitEstimate:
    """What committing the changes takes, if nobody else commits meanwhile."""
    with workspace.lock:
        library = workspace.library.aside()
        backend = _MadeUp(library.place)
        library.backend = backend
        rehearsal = copy.copy(workspace)
        rehearsal.library = library
        rehearsal.writer = None
        uploads = _Counted(backend)
        writer = ManifestWriter(library, layout)
        Committer(rehearsal, catalog, writer, NEVER).rehearse(uploads)
        packs, pending = (0, 0) if workspace.writer is None else workspace.writer.held_back()
    return CommitEstimate(
        arrays=sum(1 for edits in workspace.changes.chunks.values() if edits or edits.shrunk),
        manifests_read=backend.requests["manifests"],
        manifests_written=uploads.puts["manifests"],
        requests=sum(backend.requests.values())
        + sum(uploads.puts.values())
        + packs
        + _TO_MOVE_A_BRANCH,
        bytes_read=sum(backend.nbytes.values()),
        bytes_written=uploads.nbytes + pending,
    )
