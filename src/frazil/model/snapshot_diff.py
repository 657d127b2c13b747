"""How two snapshots differ, whatever led from one to the other: all in columns.

Transaction logs say what commits touched. Where a log is missing, or says more than what is
different in the end (a union of logs does), the snapshots themselves are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.columns import ByteColumn
from frazil.format.ragged import run_items
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.ids import NodeId
from frazil.model.changes import ChangeSet

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """Nodes by what became of them; pairs are the node before and after.

    updated: other metadata; rewritten: arrays with other manifests; moved: at another path.
    """

    created: list[Node]
    deleted: list[Node]
    updated: list[tuple[Node, Node]]
    rewritten: list[tuple[Node, Node]]
    moved: list[tuple[Node, Node]]


def compare_nodes(before: NodeTable, after: NodeTable) -> NodeChanges:
    """Compare the nodes of two snapshots by their ids."""
    _, old, new = np.intersect1d(_ids(before), _ids(after), return_indices=True)

    def pairs(differ: Mask) -> list[tuple[Node, Node]]:
        rows = np.flatnonzero(differ)
        rows = rows[np.argsort(new[rows])]  # in the order of their paths
        return [(before.node(old[i]), after.node(new[i])) for i in rows.tolist()]

    return NodeChanges(
        created=[after.node(i) for i in _others(len(after), new)],
        deleted=[before.node(i) for i in _others(len(before), old)],
        updated=pairs(~equal_rows(before.user_data.take(old), after.user_data.take(new))),
        rewritten=pairs(
            _other_manifests(before, old, after, new) & (before.kind[old] == NodeKind.ARRAY)
        ),
        moved=pairs(~equal_rows(before.path.take(old), after.path.take(new))),
    )


def _ids(nodes: NodeTable) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(nodes.ids).view(np.uint64).reshape(-1)


def _others(n: int, rows: Rows) -> list[int]:
    left = np.ones(n, np.bool_)
    left[rows] = False
    return np.flatnonzero(left).tolist()


def _other_manifests(before: NodeTable, old: Rows, after: NodeTable, new: Rows) -> Mask:
    """Which nodes refer to other manifests than before."""
    counts = before.rows["ref_count"][old]
    differ: Mask = counts != after.rows["ref_count"][new]
    same = np.flatnonzero(~differ)
    ids = [
        table.refs["id"][run_items(table.rows["ref_start"][rows], counts[same])]
        for table, rows in ((before, old[same]), (after, new[same]))
    ]
    words = [np.ascontiguousarray(column).view(np.uint32).reshape(-1, 3) for column in ids]
    wrong = np.flatnonzero((words[0] != words[1]).any(axis=1))
    differ[same[np.searchsorted(np.cumsum(counts[same]), wrong, side="right")]] = True
    return differ


def compare_refs(before: ChunkRefs, after: ChunkRefs) -> ChunkRefs:
    """The edits that make `after` of `before`; both, and the result, are sorted."""
    if not len(before):
        return after
    rows = before.find_many(after.index)
    known = np.flatnonzero(rows >= 0)
    changed = rows < 0
    changed[known] = ~same_refs(before.take(rows[known]), after.take(known))
    gone = np.ones(len(before), np.bool_)
    gone[rows[known]] = False
    parts = [after.take(changed), ChunkRefs.absent(before.index[gone])]
    return ChunkRefs.concat(parts).sorted()


def same_refs(a: ChunkRefs, b: ChunkRefs) -> Mask:
    """bool[n]: which rows are the same, index aside."""
    n = len(a)
    none, absent = np.zeros(n, np.uint32), ByteColumn.absent(n)
    same: Mask = (a.kind == b.kind) & (a.offset == b.offset) & (a.length == b.length)
    same &= (a.object == b.object).all(axis=1)
    same &= equal_rows(a.payload or absent, b.payload or absent)
    same &= equal_rows(a.etag or absent, b.etag or absent)
    modified = (none if refs.modified is None else refs.modified for refs in (a, b))
    same &= np.equal(*modified)
    return same


def equal_rows(a: ByteColumn, b: ByteColumn) -> Mask:
    """bool[n]: which rows of two columns of one length hold the same bytes."""
    equal: Mask = a.size == b.size
    rows = np.flatnonzero(equal & (a.size > 0))
    one, other = a.take(rows).compact(), b.take(rows).compact()
    wrong = np.flatnonzero(one.heap != other.heap)
    equal[rows[np.searchsorted(np.cumsum(one.size), wrong, side="right")]] = False
    return equal


def leave_out_agreed(
    mine: ChangeSet, theirs: ChangeSet, before: NodeTable, *, ordered: bool = False
) -> None:
    """Drop from both what both did: it excludes nothing, and needs doing once.

    Metadata that both changed in the same way goes from both sides, because chunks of either
    fit it; nodes and chunks go from mine only. before: the nodes that both start from.
    ordered: of an array that both made longer, chunks of mine are to move; so they are left
    out together or not at all.
    """
    for path, node in list(mine.created.items()):
        other = theirs.created.get(path)
        if (
            other is not None
            and (node.kind, node.user_data) == (other.kind, other.user_data)
            and (node.id == other.id or node.kind is NodeKind.GROUP)
        ):
            del mine.created[path]
    appended = set()
    for id_, edits in mine.chunks.items():
        done = theirs.chunks.get(id_)
        if done is None or done.ndim != edits.ndim:
            continue
        columns, others = edits.columns(), done.columns()
        rows = others.find_many(columns.index)
        known = np.flatnonzero(rows >= 0)
        same = known[same_refs(columns.take(known), others.take(rows[known]))]
        if ordered and len(same) < len(columns) and _both_grew(mine, theirs, before, id_):
            appended.add(id_)
        else:
            edits.drop(columns.index[same])
    for id_, node in list(mine.updated.items()):
        other = theirs.updated.get(id_)
        if other is not None and other.user_data == node.user_data and id_ not in appended:
            del mine.updated[id_]
            del theirs.updated[id_]


def _both_grew(mine: ChangeSet, theirs: ChangeSet, before: NodeTable, id_: NodeId) -> bool:
    """Whether there is a dimension along which both made an array longer."""
    one, other, row = mine.updated.get(id_), theirs.updated.get(id_), before.find_id(id_)
    if one is None or other is None or row < 0:
        return False
    shapes = (node.shape for node in (before.node(row), one, other))
    return any(a > n and b > n for (n, _), (a, _), (b, _) in zip(*shapes, strict=False))
