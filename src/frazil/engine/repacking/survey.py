"""Looking at all chunks of some versions, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.engine.inventory import stored
from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.ragged import run_items
from frazil.format.snapshot import Node, NodeKind, Snapshot
from frazil.ids import ManifestId, NodeId
from frazil.library.files import Library
from frazil.model.overlay import inside
from frazil.model.relocation import place_keys
from frazil.model.repacking import Seen, interleaved, twins
from frazil.model.sweep import Objects
from frazil.progress import task
from frazil.storage.pool import map_parallel

_AT_ONCE = 64
"""Parts of manifests that are read together."""

Numbers = npt.NDArray[np.int64]
Parts = dict[ManifestId, frozenset[NodeId]]
"""The arrays that versions need of manifests."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Native chunks `index[n, rank]` of one array, in order.

    group: runs whose chunks are read together have the same.
    """

    node: Node
    group: int
    index: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """All native chunks of some versions, each place once: chunk i is `row[i]` of run `run[i]`.

    object: uint8[n, 12]; offset, length, checksum (0 = not known): uint64[n].
    """

    runs: list[Run]
    run: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    checksum: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.run)

    def twins(self) -> Numbers:
        """The first chunk of the same array and coordinates with the same length and checksum."""
        keys = np.zeros(len(self), [("node", "S8"), ("numbers", "<u8", 3)])
        nodes = np.array([bytes(one.node.id) for one in self.runs], "S8")
        marks = np.concatenate([np.empty(0, np.uint64), *map(_marks, self.runs)])
        ends = np.cumsum([0, *(len(one.index) for one in self.runs)])
        if len(self):
            keys["node"] = nodes[self.run]
            keys["numbers"][:, 0] = marks[ends[self.run] + self.row]
        keys["numbers"][:, 1], keys["numbers"][:, 2] = self.length, self.checksum
        return twins(keys.view("S32").reshape(-1), self.checksum != 0)

    def refs(self, rows: Numbers) -> ChunkRefs:
        """Where these chunks are, without their coordinates."""
        return ChunkRefs(
            np.empty((len(rows), 0), np.uint32),
            np.full(len(rows), NATIVE, np.uint8),
            self.object[rows],
            self.offset[rows],
            self.length[rows],
            checksum=self.checksum[rows],
        )


class _Part(NamedTuple):
    node: Node
    at: int
    group: int


def _marks(one: Run) -> npt.NDArray[np.uint64]:
    """uint64[n] that differ, in all likelihood, where coordinates do."""
    mark = np.zeros(len(one.index), np.uint64)
    for axis in range(one.index.shape[1]):
        mark = (mark ^ one.index[:, axis]) * np.uint64(0x9E3779B97F4A7C15)
    return mark


def parts_of(snapshot: Snapshot) -> Parts:
    """What a snapshot needs of each manifest."""
    nodes = snapshot.nodes
    rows = np.flatnonzero(nodes.rows["ref_count"] > 0)
    counts = nodes.rows["ref_count"][rows]
    ids = nodes.refs["id"][run_items(nodes.rows["ref_start"][rows], counts)].tolist()
    owners = np.repeat(nodes.rows["id"][rows], counts).tolist()
    found: dict[ManifestId, set[NodeId]] = {}
    for id_, owner in zip(ids, owners, strict=True):
        found.setdefault(ManifestId(id_), set()).add(NodeId(owner))
    return {id_: frozenset(nodes_) for id_, nodes_ in found.items()}


def survey(library: Library, snapshots: Iterable[Snapshot], together: Sequence[str]) -> Survey:
    """Read the manifests of snapshots, the newest first: a chunk counts for the first one.

    together: paths of arrays whose chunks are put side by side.
    """
    seen, known = Seen(), set[tuple[bytes, bytes]]()
    gathered = _Gathered()
    group = 0
    with task("Reading manifests") as progress:
        for snapshot in snapshots:
            parts = []
            joint, group = group, group + 1
            for node in _arrays(snapshot):
                for at, manifest in enumerate(node.manifests):
                    key = bytes(manifest.id), bytes(node.id)
                    if key not in known:
                        known.add(key)
                        parts.append(_Part(node, at, joint if node.path in together else group))
                group += 1
            found: list[tuple[_Part, ChunkRefs]] = []
            for part, refs in _read(library, parts):
                fresh = seen.new(place_keys(refs.object, refs.offset, refs.length))
                if fresh.any():
                    found.append((part, refs if fresh.all() else refs.take(fresh)))
                progress.step()
            gathered.add_together([one for one in found if one[0].group == joint])
            for one in found:
                if one[0].group != joint:
                    gathered.add(*one)
    return gathered.survey()


class _Gathered:
    """Chunks of one part of a manifest after the other."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._refs: list[ChunkRefs] = []
        self._order: list[tuple[Numbers, Numbers]] = []

    def add(self, part: _Part, refs: ChunkRefs) -> None:
        n = len(refs)
        self._order.append((np.full(n, len(self._runs), np.int64), np.arange(n)))
        self._take(part, refs)

    def add_together(self, parts: Sequence[tuple[_Part, ChunkRefs]]) -> None:
        if parts:
            run, row = interleaved([refs.index for _, refs in parts])
            self._order.append((run + len(self._runs), row))
            for part, refs in parts:
                self._take(part, refs)

    def _take(self, part: _Part, refs: ChunkRefs) -> None:
        self._runs.append(Run(part.node, part.group, refs.index))
        self._refs.append(
            replace(refs, index=refs.index[:, :0], payload=None, etag=None, modified=None)
        )

    def survey(self) -> Survey:
        runs, order = self._runs, self._order
        refs = ChunkRefs.concat([ChunkRefs.empty(0), *self._refs])
        self._refs = []
        run = np.concatenate([np.empty(0, np.int64), *(array for array, _ in order)])
        row = np.concatenate([np.empty(0, np.int64), *(row for _, row in order)])
        ends = np.cumsum([0, *(len(one.index) for one in runs)])
        at = ends[run] + row
        checksum = np.zeros(len(at), np.uint64) if refs.checksum is None else refs.checksum[at]
        return Survey(runs, run, row, refs.object[at], refs.offset[at], refs.length[at], checksum)


def _arrays(snapshot: Snapshot) -> Iterator[Node]:
    rows = np.flatnonzero(snapshot.nodes.kind == NodeKind.ARRAY)
    return map(snapshot.nodes.node, rows.tolist())


def _read(library: Library, parts: Sequence[_Part]) -> Iterator[tuple[_Part, ChunkRefs]]:
    rest = iter(parts)
    while batch := list(islice(rest, _AT_ONCE)):
        ids = {part.node.manifests[part.at].id for part in batch}
        read = list(ids)
        files = dict(zip(read, map_parallel(library.manifest, read), strict=True))
        for part in batch:
            manifest = part.node.manifests[part.at]
            refs = files[manifest.id].arrays.get(part.node.id)
            if refs is not None and refs.ndim == len(part.node.shape):
                wanted = (refs.kind == NATIVE) & inside(refs.index, manifest.extents)
                yield part, refs if wanted.all() else refs.take(wanted)


def stored_chunks(library: Library) -> Objects:
    """The chunk objects of a repository."""
    parts = [Objects.of([], [], []), *stored(library.backend, "chunks")]
    return Objects(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.size for part in parts]),
        np.concatenate([part.created for part in parts]),
    )
