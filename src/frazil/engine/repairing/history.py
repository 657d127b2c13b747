"""What the snapshots around tell of a lost manifest: see `rebuild`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frazil.engine.listings import read_listing
from frazil.engine.verification.tips import ancestry
from frazil.errors import FormatError, IcechunkError, StorageError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.history import SnapshotRecord
from frazil.format.manifest import Manifest, decode_manifest
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import ManifestInfo, Node
from frazil.format.transaction_log import sorted_unique
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.manifest_growth import meet
from frazil.model.overlay import Box, within
from frazil.model.rebuilding import (
    Draft,
    Index,
    View,
    draft,
    nothing,
)
from frazil.progress import task

Lookup = Callable[[SnapshotId], SnapshotRecord | None]


@dataclass(frozen=True, slots=True)
class Part:
    """An array in a lost manifest: what is known of it, in two ways."""

    node: Node
    boxes: tuple[Box, ...]
    drafts: tuple[Draft, Draft]

    @property
    def grid(self) -> list[int]:
        return [count for _, count in self.node.shape]


class History:
    """The snapshots of a repository, and which of them have which lost manifest."""

    def __init__(
        self,
        library: Library,
        catalog: Catalog,
        tips: Sequence[SnapshotId],
        lost: set[ManifestId],
    ) -> None:
        self._library = library
        self.lost = lost
        self._proven: dict[ManifestId, Manifest] = {}
        self._parents: dict[SnapshotId, SnapshotId | None] = {}
        self._logs: dict[SnapshotId, tuple[SnapshotId, ...]] = {}
        self._children: dict[SnapshotId, list[SnapshotId]] = defaultdict(list)
        self._holders: dict[ManifestId, set[SnapshotId]] = defaultdict(set)
        self._infos: dict[ManifestId, ManifestInfo] = {}
        self.healthy: dict[NodeId, set[ManifestId]] = defaultdict(set)
        lookup = catalog.lookup()
        with task("Reading snapshots") as progress:
            for id_, pruned in ancestry(catalog, tips, 0):
                self._note(id_, pruned, lookup)
                progress.step()

    def _note(self, id_: SnapshotId, pruned: tuple[SnapshotId, ...], lookup: Lookup) -> None:
        try:
            record, listing = lookup(id_), read_listing(self._library, id_)
        except IcechunkError:
            return  # damaged: it tells nothing
        if record is None:
            return
        self._parents[id_], self._logs[id_] = record.parent, (*pruned, id_)
        if record.parent is not None:
            self._children[record.parent].append(id_)
        for raw in np.unique(sort_keys(listing.parts)).tolist():
            part = raw.ljust(20, b"\0")
            manifest, node = ManifestId(part[:12]), NodeId(part[12:])
            if manifest not in self.lost:
                self.healthy[node].add(manifest)
                continue
            self._holders[manifest].add(id_)
            at = listing.manifests.find(manifest)
            if at >= 0 and not (manifest in self._infos and self._infos[manifest].digest):
                self._infos[manifest] = listing.manifests.info(at)

    def add(self, manifest: Manifest) -> None:
        """Take a manifest for one that is there."""
        self.lost.discard(manifest.id)
        self._proven[manifest.id] = manifest
        for node in manifest.arrays:
            self.healthy[node].add(manifest.id)

    def manifest(self, id_: ManifestId) -> Manifest:
        """A manifest that is there or proven; as it is stored, for there may be thousands."""
        proven = self._proven.get(id_)
        if proven is not None:
            return proven
        key = f"manifests/{id_}"
        return decode_manifest(self._library.backend.get(key), where=key)

    def parts(self, id_: ManifestId) -> tuple[ManifestInfo, list[Part]] | None:
        """What the first snapshot that has a lost manifest says of it, and what is known."""
        holders = self._holders[id_]
        first = next((one for one in holders if self._parents[one] not in holders), None)
        if first is None or id_ not in self._infos:
            return None
        nodes = self._library.snapshot(first).nodes
        parts = []
        for row in range(len(nodes)):
            node = nodes.node(row)
            boxes = tuple(one.extents for one in node.manifests if one.id == id_)
            if boxes:
                before, after = self._before(first, node, boxes), self._after(first, node, boxes)
                grid = [count for _, count in node.shape]
                ways = draft(before, after, boxes, grid), draft(after, before, boxes, grid)
                parts.append(Part(node, boxes, ways))
        return self._infos[id_], parts

    def _before(self, at: SnapshotId, node: Node, boxes: tuple[Box, ...]) -> View:
        ndim = len(node.shape)
        changed = np.empty((0, ndim), np.uint32)
        while True:
            more, parent = self._changed(at, node.id, ndim), self._parents.get(at)
            if more is None:
                return nothing(ndim)
            changed = sorted_unique(np.concatenate([changed, more]))
            if parent is None:
                return View(ChunkRefs.empty(ndim), changed)
            there, refs = self._refs(parent, node.id, ndim, boxes)
            if not there:  # it was created later
                return View(ChunkRefs.empty(ndim), changed)
            if refs is not None:
                return View(refs, changed)
            at = parent

    def _after(self, at: SnapshotId, node: Node, boxes: tuple[Box, ...]) -> View:
        ndim = len(node.shape)
        waiting = [(child, np.empty((0, ndim), np.uint32)) for child in self._children[at]]
        while waiting:
            child, changed = waiting.pop(0)
            more = self._changed(child, node.id, ndim)
            if more is None:
                continue
            changed = sorted_unique(np.concatenate([changed, more]))
            there, refs = self._refs(child, node.id, ndim, boxes)
            if there and refs is not None:
                return View(refs, changed)
            if there:
                waiting += [(one, changed) for one in self._children[child]]
        return nothing(ndim)

    def _changed(self, id_: SnapshotId, node: NodeId, ndim: int) -> Index | None:
        """The chunks of an array that the commit changed; None if that is not known."""
        parts = [np.empty((0, ndim), np.uint32)]
        for log in self._logs.get(id_, ()):
            try:
                coords = self._library.transaction_log(log).updated_chunks.get(node)
            except (FormatError, StorageError):
                return None
            if coords is not None:
                if coords.shape[1] != ndim:
                    return None
                parts.append(coords)
        return np.concatenate(parts) if id_ in self._logs else None

    def _refs(
        self, id_: SnapshotId, node: NodeId, ndim: int, boxes: tuple[Box, ...]
    ) -> tuple[bool, ChunkRefs | None]:
        """Whether a snapshot has the array, and its references in these boxes, if all are."""
        try:
            nodes = self._library.snapshot(id_).nodes
            row = nodes.find_id(node)
            if row < 0:
                return False, None
            found = [ChunkRefs.empty(ndim)]
            for manifest in nodes.node(row).manifests:
                if len(manifest.extents) != ndim or not any(
                    meet(manifest.extents, box) for box in boxes
                ):
                    continue
                if manifest.id in self.lost:
                    return True, None
                proven = self._proven.get(manifest.id)
                known = proven or self._library.manifest(manifest.id)
                refs = known.arrays.get(node)
                if refs is not None and refs.ndim == ndim:
                    found.append(within(refs, manifest.extents))
        except (FormatError, StorageError):
            return True, None
        return True, ChunkRefs.concat(found).sorted()
