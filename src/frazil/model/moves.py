"""Moving nodes: new paths for the same nodes, and what a transaction log says of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from frazil.errors import AlreadyExistsError, ErrorKind, NodeNotFoundError, SessionStateError
from frazil.format.columns import ByteColumn
from frazil.format.nodes import NodeKind, NodeTable
from frazil.format.ragged import inserted, sort_keys
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import NodeId
from frazil.paths import is_under, parent_of


def move(nodes: NodeTable, source: str, target: str) -> NodeTable:
    """The nodes with the one at `source`, and all below it, at `target`.

    Raises `NodeNotFoundError`, `AlreadyExistsError` (`move-wont-overwrite`), `SessionStateError`
    (`move-into-self-or-descendant`, `move-destination-parent-missing`, `-not-group`).
    """
    if nodes.find(source) < 0:
        raise NodeNotFoundError(f"there is no node at {source} to move", ErrorKind.NODE_NOT_FOUND)
    if is_under(target, source):
        raise SessionStateError(
            f"cannot move {source} into itself or below itself: {target}",
            ErrorKind.MOVE_INTO_SELF_OR_DESCENDANT,
        )
    # What lies below a path without a node would become part of what is moved there.
    if target == "/" or len(nodes.rows_under(target)):
        raise AlreadyExistsError(
            f"cannot move {source} to {target}: there is something already; move or delete that "
            "first, in a session of its own",
            ErrorKind.MOVE_WONT_OVERWRITE,
        )
    parent = parent_of(target) or "/"
    row = nodes.find(parent)
    if row < 0:
        raise SessionStateError(
            f"cannot move {source} to {target}: there is no group {parent}; create it first, in a "
            "writable session",
            ErrorKind.MOVE_DESTINATION_PARENT_MISSING,
        )
    if nodes.kind[row] != NodeKind.GROUP:
        raise SessionStateError(
            f"cannot move {source} to {target}: {parent} is an array, and only groups have "
            "nodes below them",
            ErrorKind.MOVE_DESTINATION_PARENT_NOT_GROUP,
        )
    return _renamed(nodes, source, target)


def _renamed(nodes: NodeTable, source: str, target: str) -> NodeTable:
    chosen = nodes.rows_under(source)
    prefix, cut = target.encode(), len(source.encode())
    paths = ByteColumn.of([prefix + (nodes.path[row] or b"")[cut:] for row in chosen.tolist()])
    moved = nodes.rows[chosen]
    moved["path_start"] = paths.start + len(nodes.heap)
    moved["path_size"] = paths.size
    mask = np.ones(len(nodes), np.bool_)
    mask[chosen] = False
    rest = replace(nodes, rows=nodes.rows[mask])
    # Below the node its subtree keeps its order; siblings such as "/a-b" lie in between.
    places: Any = rest.path
    at = np.full(len(chosen), bisect_left(places, prefix + b"/"), np.int64)
    at[0] = bisect_left(places, prefix)
    rows = inserted(rest.rows, moved, at.tolist())
    return replace(nodes, rows=rows, heap=np.concatenate([nodes.heap, paths.heap]))


def net_moves(before: NodeTable, after: NodeTable) -> tuple[Move, ...]:
    """One move for each node whose path differs, by destination, segment by segment.

    Both tables have the same nodes.
    """
    keys = sort_keys(before.ids)
    order = np.argsort(keys, kind="stable")
    origin = order[np.searchsorted(keys[order], sort_keys(after.ids))]
    old, new = before.rows[origin], after.rows
    changed = (old["path_start"] != new["path_start"]) | (old["path_size"] != new["path_size"])
    rows = np.flatnonzero(changed)
    moves = [
        Move(before.path_of(source), after.path_of(target), NodeId(id_), NodeKind(kind))
        for source, target, id_, kind in zip(
            origin[rows].tolist(),
            rows.tolist(),
            new["id"][rows].tolist(),
            new["kind"][rows].tolist(),
            strict=True,
        )
    ]
    return _ordered(move for move in moves if move.from_path != move.to_path)


def compound(first: TransactionLog, second: TransactionLog) -> tuple[Move, ...]:
    """The moves of two commits made one, `second` on top of `first`.

    A node that went there and back has not moved, and one that `first` created is created where
    it is now.
    """
    moves = {move.node_id: move for move in first.moves}
    created = first.new_arrays | first.new_groups
    for move_ in second.moves:
        earlier = moves.get(move_.node_id, move_)
        moves[move_.node_id] = replace(move_, from_path=earlier.from_path)
    return _ordered(
        move_
        for move_ in moves.values()
        if move_.from_path != move_.to_path and move_.node_id not in created
    )


def _ordered(moves: Iterable[Move]) -> tuple[Move, ...]:
    return tuple(sorted(moves, key=lambda move: move.to_path.encode().split(b"/")))
