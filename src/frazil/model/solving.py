"""What a solver makes of conflicts, and my changes after that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.conflicts import (
    UNSOLVED,
    BasicConflictSolver,
    CallbackSolver,
    ConflictSolver,
    ConflictType,
    MetadataMergeSolver,
    ThreeWay,
    VersionSelection,
)
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.ids import NodeId
from frazil.model.changes import ChangeSet, ChunkEdits
from frazil.model.conflicts import Found
from frazil.model.metadata_merge import KeyConflict, Shift, encode, keeps_chunks, merge_metadata
from frazil.model.zarr_metadata import read_layout

Chunks = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Sides:
    """My changes, the nodes they start from, and the nodes that they are to go on top of."""

    mine: ChangeSet
    base: NodeTable
    theirs: NodeTable
    spec: int

    def documents(self, id_: NodeId) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The `zarr.json` of a node before, on my side, and on theirs."""
        before, after = _node(self.base, id_), _node(self.theirs, id_)
        mine = None if id_ in self.mine.deleted else self.mine.updated.get(id_, before)
        return _document(before), _document(mine), _document(after)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A conflict that is left, and the keys that are the matter where it is about metadata."""

    found: Found
    keys: tuple[KeyConflict, ...] = ()


@dataclass(slots=True)
class Resolution:
    """What is to become of conflicts.

    unsolved: those left; dropped: my chunks that give way; nodes: merged metadata; joined: my
    new groups that are one with theirs; shifts: my chunks that move.
    """

    unsolved: list[Unsettled] = field(default_factory=list)
    dropped: list[tuple[NodeId, Chunks]] = field(default_factory=list)
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    joined: list[str] = field(default_factory=list)
    shifts: dict[NodeId, Shift] = field(default_factory=dict)


Ask = Callable[[Found, CallbackSolver], Found | None]
"""Asks a callback about chunks and does what it says; returns what it leaves."""


def is_strict(solver: ConflictSolver) -> bool:
    """Whether a solver also wants to hear of conflicts that Icechunk does not know."""
    return isinstance(solver, MetadataMergeSolver | CallbackSolver)


def orders_appends(solver: ConflictSolver) -> bool:
    """Whether a solver may move what I appended."""
    match solver:
        case CallbackSolver():
            return orders_appends(solver.otherwise)
        case MetadataMergeSolver():
            return solver.appends == "order"
    return False


def resolve(found: list[Found], solver: ConflictSolver, sides: Sides, ask: Ask) -> Resolution:
    """Apply a solver's rules to conflicts in the order of `detect`."""
    resolution = Resolution()
    for item in found:
        left = _settle(item, solver, sides, ask, resolution)
        if left is not None:
            resolution.unsolved.append(left)
    return resolution


def _settle(
    item: Found, solver: ConflictSolver, sides: Sides, ask: Ask, resolution: Resolution
) -> Unsettled | None:
    """Settle one conflict; returns what is left of it."""
    shift = None if item.node is None else resolution.shifts.get(item.node)
    if shift is not None and item.chunks is not None:
        # What I appended moves to where nobody else has written.
        chunks = item.chunks[item.chunks[:, shift.axis] < shift.start]
        if not len(chunks):
            return None
        item = of_chunks(item, chunks)
    match item.conflict.conflict_type, solver:
        case ConflictType.ZarrMetadataDoubleUpdate, CallbackSolver():
            if _metadata_by_callback(item, solver, sides, resolution):
                return None
            return _settle(item, solver.otherwise, sides, ask, resolution)
        case ConflictType.ChunkDoubleUpdate, CallbackSolver():
            left = ask(item, solver)
            if left is None:
                return None
            return _settle(left, solver.otherwise, sides, ask, resolution)
        case _, CallbackSolver():
            return _settle(item, solver.otherwise, sides, ask, resolution)
        case ConflictType.ZarrMetadataDoubleUpdate, MetadataMergeSolver():
            return _metadata_by_key(item, solver, sides, resolution)
        case ConflictType.NewNodeConflictsWithExistingNode, MetadataMergeSolver():
            return _same_group(item, sides, resolution)
        case ConflictType.ChunksUpdatedInUpdatedArray, MetadataMergeSolver() if _chunks_stay(
            item, sides
        ):
            return None
        case ConflictType.ChunkDoubleUpdate, BasicConflictSolver() if (
            solver.on_chunk_conflict is not VersionSelection.Fail
        ):
            if solver.on_chunk_conflict is VersionSelection.UseTheirs:
                assert item.node is not None
                assert item.chunks is not None
                resolution.dropped.append((item.node, item.chunks))
            return None
        case ConflictType.DeleteOfUpdatedArray, BasicConflictSolver() if (
            not solver.fail_on_delete_of_updated_array
        ):
            return None
        case ConflictType.DeleteOfUpdatedGroup, BasicConflictSolver() if (
            not solver.fail_on_delete_of_updated_group
        ):
            return None
    return Unsettled(item)


def of_chunks(item: Found, chunks: Chunks) -> Found:
    """The part of a conflict that is about these chunks."""
    conflict = replace(item.conflict, conflicted_chunks=chunks.tolist())
    return Found(conflict, item.node, chunks)


def _metadata_by_key(
    item: Found, solver: MetadataMergeSolver, sides: Sides, resolution: Resolution
) -> Unsettled | None:
    id_ = item.node
    assert id_ is not None
    base, ours, theirs = (_parse(data) for data in sides.documents(id_))
    merged = merge_metadata(base, ours, theirs, order_appends=solver.appends == "order")
    if merged.conflicts:
        return Unsettled(item, merged.conflicts)
    _change(sides, resolution, id_, merged.document)
    if merged.shift is not None:
        resolution.shifts[id_] = merged.shift
    return None


def _metadata_by_callback(
    item: Found, solver: CallbackSolver, sides: Sides, resolution: Resolution
) -> bool:
    id_ = item.node
    assert id_ is not None
    documents = (_parse(data) for data in sides.documents(id_))
    answer = solver.callback(ThreeWay(item.conflict.path, *documents))
    if answer is UNSOLVED:
        return False
    _change(sides, resolution, id_, answer)
    return True


def _same_group(item: Found, sides: Sides, resolution: Resolution) -> Unsettled | None:
    """Make one group of two that were created at the same path."""
    path = item.conflict.path
    mine, theirs = sides.mine.created[path], sides.theirs.node(sides.theirs.find(path))
    if not mine.kind == theirs.kind == NodeKind.GROUP:
        return Unsettled(item)
    merged = merge_metadata(None, _parse(mine.user_data), _parse(theirs.user_data))
    if merged.conflicts:
        return Unsettled(item, merged.conflicts)
    resolution.joined.append(path)
    _change(sides, resolution, theirs.id, merged.document)
    return None


def _chunks_stay(item: Found, sides: Sides) -> bool:
    """Whether what both wrote in an array means the same after both changes of its metadata."""
    assert item.node is not None
    base, ours, theirs = (_parse(data) for data in sides.documents(item.node))
    return keeps_chunks(base, ours) and keeps_chunks(base, theirs)


def _change(sides: Sides, resolution: Resolution, id_: NodeId, document: Any) -> None:
    """Give a node of theirs another document; `InvalidInputError` if it cannot be one."""
    _, ours, theirs = sides.documents(id_)
    same = [data for data in (theirs, ours) if data is not None]
    node = sides.theirs.node(sides.theirs.find_id(id_))
    data = encode(document, *same)
    layout = read_layout(data, path=node.path, spec=sides.spec)
    resolution.nodes[id_] = replace(
        node, user_data=data, shape=layout.shape, dimension_names=layout.dimension_names
    )


def put_onto(sides: Sides, resolution: Resolution) -> None:
    """Change my changes so that they go from the nodes of theirs."""
    changes, nodes = sides.mine, sides.theirs
    for id_, chunks in resolution.dropped:
        changes.chunks[id_].drop(chunks)
    for path in resolution.joined:
        del changes.created[path]
    for id_, edits in list(changes.chunks.items()):
        before, after = _node(sides.base, id_), _node(nodes, id_)
        if before is not None and after is not None and len(after.shape) == edits.ndim:
            shift = resolution.shifts.get(id_)
            changes.chunks[id_] = _on_grid(edits, before, after, shift)
    for id_, node in list(changes.updated.items()):
        after = _node(nodes, id_)
        assert after is not None  # otherwise there is a conflict that nobody settles
        if id_ not in resolution.nodes:
            changes.updated[id_] = replace(node, manifests=after.manifests)
    for id_, node in resolution.nodes.items():
        after = nodes.node(nodes.find_id(id_))
        changes.update(node, after)
        if node.user_data == after.user_data:
            del changes.updated[id_]
    for id_ in [id_ for id_ in changes.deleted if nodes.find_id(id_) < 0]:
        del changes.deleted[id_]


def _on_grid(edits: ChunkEdits, before: Node, after: Node, shift: Shift | None) -> ChunkEdits:
    """The edits of an array whose grid is another one by now, some of them shifted."""
    columns = edits.columns()
    old, new = ([count for _, count in node.shape] for node in (before, after))
    if len(old) != len(new):
        # Both gave the array another rank, and what it had before is gone on either side.
        anew = ChunkEdits(new)
        anew.add(columns)
        return anew
    visible = tuple(
        min(seen, now) if seen < then else now
        for seen, then, now in zip(edits.visible, old, new, strict=True)
    )
    if shift is None and visible == edits.visible:
        return edits
    moved = ChunkEdits(visible)
    moved.shrunk = edits.shrunk
    if shift is not None:
        index = columns.index.copy()
        index[index[:, shift.axis] >= shift.start, shift.axis] += shift.by
        columns = replace(columns, index=index).sorted()
    moved.add(columns)
    return moved


def _node(table: NodeTable, id_: NodeId) -> Node | None:
    row = table.find_id(id_)
    return table.node(row) if row >= 0 else None


def _document(node: Node | None) -> bytes | None:
    return None if node is None else node.user_data


def _parse(data: bytes | None) -> Any:
    return None if data is None else json.loads(data)
