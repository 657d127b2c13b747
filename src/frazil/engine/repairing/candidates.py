"""Chunks that a lost manifest may have had, as footers tell: see `rebuild`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from frazil.engine.repairing.history import History, Part
from frazil.errors import FormatError, InvalidInputError, StorageError
from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.pack import TAIL_BYTES, Packed, decode_footer, footer_bytes
from frazil.format.snapshot import ManifestInfo
from frazil.ids import ChunkId, ManifestId, NodeId
from frazil.library.files import Library
from frazil.model.rebuilding import (
    Draft,
    open_in,
)
from frazil.progress import task
from frazil.runner import run
from frazil.storage.base import ObjectInfo

_END_BYTES = 16 * 1024
"""Read at first of an object, to have its footer in one request."""


class Candidates:
    """Chunks in objects that nobody is known to refer to, of arrays that miss some."""

    def __init__(
        self,
        library: Library,
        history: History,
        lost: dict[ManifestId, tuple[ManifestInfo, list[Part]]],
    ) -> None:
        self._library = library
        parts = [
            part
            for info, parts in lost.values()
            if info.digest
            for part in parts
            if any(one.open is None or len(one.open) for one in part.drafts)
        ]
        self._ndim = {part.node.id: len(part.node.shape) for part in parts}
        self._found: dict[NodeId, ChunkRefs] = {}
        self._rank: dict[NodeId, npt.NDArray[np.int64]] = {}
        if parts:
            self._gather(parts)
        self.leave_out_used(history)

    def of(self, part: Part, open_: Draft) -> tuple[ChunkRefs, npt.NDArray[np.int64]]:
        """Candidates for what is open, and which object each is in, the newest first."""
        refs = self._found.get(part.node.id)
        if refs is None:
            return ChunkRefs.empty(len(part.node.shape)), np.empty(0, np.int64)
        rows = np.flatnonzero(open_in(refs.index, open_, part.boxes, part.grid))
        return refs.take(rows), self._rank[part.node.id][rows]

    def leave_out_used(self, history: History) -> None:
        """Drop those that manifests refer to which are there or proven by now."""
        for node, refs in self._found.items():
            rows = np.flatnonzero(~self._used(node, refs, history))
            self._found[node], self._rank[node] = refs.take(rows), self._rank[node][rows]

    def _gather(self, parts: list[Part]) -> None:
        objects = sorted(
            self._library.backend.list("chunks"), key=lambda one: one.last_modified, reverse=True
        )
        by_node: dict[NodeId, list[tuple[int, ChunkRefs]]] = defaultdict(list)
        with task("Reading footers", len(objects)) as progress:
            for rank, packed in enumerate(run(self._footer, objects)):
                progress.step()
                if packed is None:
                    continue
                id_ = ChunkId.parse(objects[rank].key.rpartition("/")[2])
                for node, refs in self._wanted(id_, packed, parts):
                    by_node[node].append((rank, refs))
        for node, found in by_node.items():
            self._found[node] = ChunkRefs.concat([one for _, one in found])
            counts = [len(one) for _, one in found]
            self._rank[node] = np.repeat([rank for rank, _ in found], counts)

    def _footer(self, info: ObjectInfo) -> Packed | None:
        """What an object says is in it; None if it does not, or is damaged."""
        try:
            ChunkId.parse(info.key.rpartition("/")[2])
            start = max(0, info.size - _END_BYTES)
            end = self._library.backend.get(info.key, start=start, end=info.size)
            size = footer_bytes(end)
            if not TAIL_BYTES <= size <= info.size:
                return None
            if size > len(end):
                end = self._library.backend.get(info.key, start=info.size - size, end=info.size)
            return decode_footer(end[-size:], size=info.size, where=info.key)
        except (FormatError, InvalidInputError, StorageError):
            return None

    def _wanted(
        self, id_: ChunkId, packed: Packed, parts: list[Part]
    ) -> Iterator[tuple[NodeId, ChunkRefs]]:
        """Of the chunks in an object those that a draft leaves open."""
        node = np.ascontiguousarray(packed.node).view("S8").reshape(-1)
        first = np.cumsum(packed.rank) - packed.rank
        for id8, ndim in self._ndim.items():
            rows = np.flatnonzero((node == np.frombuffer(id8, "S8")) & (packed.rank == ndim))
            if not len(rows):
                continue
            index = packed.coords[first[rows, None] + np.arange(ndim)].astype(np.uint32)
            mask = np.zeros(len(rows), np.bool_)
            for part in parts:
                if part.node.id == id8:
                    for one in part.drafts:
                        mask |= open_in(index, one, part.boxes, part.grid)
            if mask.any():
                rows, n = rows[mask], int(mask.sum())
                yield (
                    id8,
                    ChunkRefs(
                        index[mask],
                        np.full(n, NATIVE, np.uint8),
                        np.tile(np.frombuffer(id_, np.uint8), (n, 1)),
                        packed.offset[rows],
                        packed.length[rows],
                        checksum=packed.checksum[rows],
                    ),
                )

    def _used(self, node: NodeId, refs: ChunkRefs, history: History) -> npt.NDArray[np.bool_]:
        """Which of these references another manifest has, for the same chunks."""
        keys, used = _keys(refs), np.zeros(len(refs), np.bool_)
        for id_ in sorted(history.healthy[node]):
            try:
                arrays = history.manifest(id_).arrays
            except (FormatError, StorageError):
                continue
            own = arrays.get(node)
            if own is not None and own.ndim == refs.ndim:
                used |= np.isin(keys, _keys(own.take(own.kind == NATIVE)))
        return used


def _keys(refs: ChunkRefs) -> npt.NDArray[np.bytes_]:
    """One value for each reference: its index and where it is."""
    width = 4 * refs.ndim + ChunkId.SIZE + 8 + 8
    raw = np.empty((len(refs), width), np.uint8)
    at = 0
    for column in (refs.index, refs.object, refs.offset[:, None], refs.length[:, None]):
        size = column.dtype.itemsize * column.shape[1]
        raw[:, at : at + size] = np.ascontiguousarray(column).view(np.uint8)
        at += size
    return raw.view(f"S{width}").reshape(-1)
