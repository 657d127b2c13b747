"""Rewriting the manifests that a change touches, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.manifest import Manifest
from frazil.format.snapshot import ManifestInfo, ManifestRef, Node
from frazil.ids import ManifestId, NodeId
from frazil.library.files import Library
from frazil.library.uploads import Uploads
from frazil.model.changes import ChunkEdits
from frazil.model.manifest_plan import cells_of, cut, merge, touched
from frazil.model.overlay import bounding_box
from frazil.storage.pool import map_parallel

SplitSizes = Callable[[Node], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An array with the manifests it has after a change, and those among them that are new."""

    node: Node
    new: tuple[ManifestInfo, ...]


class ManifestWriter:
    """Writes the manifests of one session.

    What it wrote for one try of a commit serves the next: a rebase over commits that leave the
    touched manifests alone writes none.
    """

    def __init__(self, library: Library, split_sizes: SplitSizes) -> None:
        self._library = library
        self._split_sizes = split_sizes
        self._written: dict[NodeId, tuple[object, list[tuple[ManifestRef, ManifestInfo]]]] = {}

    def forget(self) -> None:
        """Write everything anew at the next try: what was written may not be stored."""
        self._written = {}

    def rewrite(self, node: Node, edits: ChunkEdits, uploads: Uploads | None = None) -> Rewritten:
        """Store manifests with the edits of one array; returns the array that refers to them.

        With `uploads` they are stored in the background.
        """
        columns, sizes = edits.columns(), self._split_sizes(node)
        # An array whose rank has changed keeps nothing of what it had.
        base = tuple(m for m in node.manifests if len(m.extents) in (0, len(node.shape)))
        cells = cells_of(columns.index, sizes)
        chosen = touched(base, cells, sizes, edits.visible)
        while True:
            reached = [self._refs(node, manifest) for manifest in compress(base, chosen)]
            if chosen.all():
                break
            cells = cells_of(np.concatenate([columns.index, *(r.index for r in reached)]), sizes)
            more = touched(base, cells, sizes, edits.visible)
            if (more == chosen).all():
                break
            chosen = more
        stored = list(zip(compress(base, chosen), reached, strict=True))
        # The edits themselves, not their id: that may be given to another object.
        source = (edits, edits.generation, sizes, tuple(m for m, _ in stored))
        known = self._written.get(node.id)
        if known is not None and known[0] == source:
            written = known[1]
        else:
            parts = cut(merge(stored, columns, edits.visible), sizes)
            written = map_parallel(lambda refs: self._write(node, refs, uploads), parts)
            self._written[node.id] = (source, written)
        kept = compress(base, ~chosen)
        manifests = sorted(
            [*kept, *(ref for ref, _ in written)], key=lambda m: [start for start, _ in m.extents]
        )
        return Rewritten(
            replace(node, manifests=tuple(manifests)), tuple(info for _, info in written)
        )

    def cut_anew(self, node: Node) -> Rewritten:
        """Store all manifests of an array as it is cut now, unless they are cut so already."""
        sizes, counts = self._split_sizes(node), [count for _, count in node.shape]
        base = [m for m in node.manifests if len(m.extents) in (0, len(counts))]
        stored = list(zip(base, map_parallel(lambda m: self._refs(node, m), base), strict=True))
        parts = cut(merge(stored, ChunkRefs.empty(len(counts)), counts), sizes)
        before = {manifest.extents: self._counts(manifest) for manifest in node.manifests}
        if before == {bounding_box(refs): {node.id: len(refs)} for refs in parts}:
            return Rewritten(node, ())
        written = map_parallel(lambda refs: self._write(node, refs), parts)
        return Rewritten(
            replace(node, manifests=tuple(ref for ref, _ in written)),
            tuple(info for _, info in written),
        )

    def _counts(self, manifest: ManifestRef) -> dict[NodeId, int]:
        arrays = self._library.manifest(manifest.id).arrays
        return {id_: len(refs) for id_, refs in arrays.items()}

    def _refs(self, node: Node, manifest: ManifestRef) -> ChunkRefs:
        refs = self._library.manifest(manifest.id).arrays.get(node.id)
        if refs is None or refs.ndim != len(node.shape):
            return ChunkRefs.empty(len(node.shape))
        return refs

    def _write(
        self, node: Node, refs: ChunkRefs, uploads: Uploads | None = None
    ) -> tuple[ManifestRef, ManifestInfo]:
        manifest = Manifest(self._library.new_id(ManifestId), {node.id: refs})
        info = self._library.write_manifest(manifest, uploads)
        return ManifestRef(manifest.id, bounding_box(refs)), info
