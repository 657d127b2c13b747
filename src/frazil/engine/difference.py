"""The difference between two snapshots as changes that can be made elsewhere."""

from __future__ import annotations

from dataclasses import replace

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import ManifestRef, Node, NodeKind, Snapshot
from frazil.format.transaction_log import Move
from frazil.ids import NodeId
from frazil.library.files import Library
from frazil.model.changes import ChangeSet
from frazil.model.diff import diff
from frazil.model.overlay import clip, inside
from frazil.model.snapshot_diff import compare_nodes, compare_refs
from frazil.progress import task
from frazil.snapshots import Diff
from frazil.storage.pool import map_parallel


def changes_between(
    library: Library, before: Snapshot, after: Snapshot
) -> tuple[ChangeSet, tuple[Move, ...]]:
    """What makes the nodes and chunks of `after` out of those of `before`.

    Moved nodes are listed apart and keep their paths in the changes. Reads the manifests that
    only one of the snapshots has; chunks stay where they are.
    """
    found = compare_nodes(before.nodes, after.nodes)
    changes = ChangeSet()
    for node in found.deleted:
        changes.delete(node)
    for node in found.created:
        changes.create(replace(node, manifests=()))
    for old, new in found.updated:
        changes.update(new, old)
    arrays: list[tuple[Node | None, Node]] = [*found.rewritten]
    arrays += [(None, node) for node in found.created if node.kind is NodeKind.ARRAY]

    def compare(pair: tuple[Node | None, Node]) -> ChunkRefs:
        edits = edits_between(library, *pair)
        progress.step()
        return edits

    with task("Comparing arrays", len(arrays)) as progress:
        edits = map_parallel(compare, arrays)
    for (before_, after_), refs in zip(arrays, edits, strict=True):
        if len(refs):
            changes.edits(before_ or after_).add(refs)
    moves = tuple(Move(old.path, new.path, new.id, new.kind) for old, new in found.moved)
    return changes, moves


def difference(library: Library, before: Snapshot, after: Snapshot) -> Diff:
    """What is different between two snapshots in the end, whatever led from one to the other."""
    changes, moves = changes_between(library, before, after)

    def path_of(id_: NodeId) -> str | None:
        for nodes in (after.nodes, before.nodes):
            row = nodes.find_id(id_)
            if row >= 0:
                return nodes.path_of(row)
        return None

    return diff([changes.log(after.id, moves)], path_of)


def edits_between(library: Library, before: Node | None, after: Node) -> ChunkRefs:
    """The chunks inside the later grid that are not what they were."""
    ndim = len(after.shape)
    old = before.manifests if before is not None and len(before.shape) == ndim else ()
    kept = {manifest.id for manifest in old} & {manifest.id for manifest in after.manifests}
    grid = [count for _, count in after.shape]

    def refs(node: Node, manifests: tuple[ManifestRef, ...]) -> ChunkRefs:
        parts = [_refs(library, node, m) for m in manifests if m.id not in kept]
        found = ChunkRefs.concat([ChunkRefs.empty(ndim), *parts])
        return clip(found.sorted(), grid)

    if before is None or not old:
        return refs(after, after.manifests)
    return compare_refs(
        clip(refs(before, old), [count for _, count in before.shape]),
        refs(after, after.manifests),
    )


def _refs(library: Library, node: Node, manifest: ManifestRef) -> ChunkRefs:
    refs = library.manifest(manifest.id).arrays.get(node.id)
    if refs is None or refs.ndim != len(node.shape):
        return ChunkRefs.empty(len(node.shape))
    mask = inside(refs.index, manifest.extents)
    return refs if mask.all() else refs.take(mask)
