"""Laying the changes of forks over those of the session they came from.

Nodes are known by id, so the changes of a fork fit whatever the session did meanwhile, unless
both did something to one node that excludes the other. Metadata is compared three ways: with
what the fork started from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from frazil.errors import ErrorKind, SessionStateError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.snapshot import Node, NodeTable
from frazil.ids import NodeId, SnapshotId
from frazil.model.changes import ChangeSet, ChunkEdits
from frazil.model.overlay import erase_outside

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Part:
    """The changes of one fork, and the snapshot that they start from."""

    base: SnapshotId
    changes: ChangeSet


def join(
    mine: ChangeSet,
    base: NodeTable,
    parts: Iterable[Part],
    nodes_of: Callable[[SnapshotId], NodeTable],
) -> ChangeSet:
    """My changes with those of the parts, in order; of a chunk the last writer wins.

    base: the nodes that mine start from; nodes_of: those of the snapshot that a part starts
    from. Raises `SessionStateError` (`merge-failed`) where changes exclude each other.
    """
    joining = _Joining(mine.copy(), base, nodes_of)
    for part in parts:
        joining.add(part)
    return joining.finish()


class _Joining:
    def __init__(
        self, changes: ChangeSet, base: NodeTable, nodes_of: Callable[[SnapshotId], NodeTable]
    ) -> None:
        self._changes = changes
        self._base = base
        self._nodes_of = nodes_of
        self._created = {node.id: path for path, node in changes.created.items()}
        # Gathered, and laid together once: there may be thousands of parts.
        self._runs: dict[NodeId, list[ChunkRefs]] = {}
        self._problems: dict[str, None] = {}

    def add(self, part: Part) -> None:
        theirs = part.changes
        for id_, node in theirs.deleted.items():
            self._delete(part, id_, node)
        for node in theirs.created.values():
            self._create(node)
        for id_, node in theirs.updated.items():
            self._update(part, id_, node)
        for id_, edits in theirs.chunks.items():
            if edits or edits.shrunk:
                self._write(part, id_, edits)

    def finish(self) -> ChangeSet:
        if self._problems:
            listed = list(self._problems)
            more = f"; and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
            raise SessionStateError(
                f"failed to merge sessions, and nothing was merged: "
                f"{'; '.join(listed[:_SHOWN])}{more}",
                ErrorKind.MERGE_FAILED,
            )
        for id_ in list(self._runs):
            self._settle(id_)
        return self._changes

    def _delete(self, part: Part, id_: NodeId, node: Node) -> None:
        mine = self._node(id_)
        if mine is None:
            return
        if self._is_written(id_) or mine.user_data != self._origin(part, id_):
            self._conflict(node.path, "was both deleted and modified")
            return
        self._created.pop(id_, None)
        self._changes.delete(mine)

    def _create(self, node: Node) -> None:
        changes, path = self._changes, node.path
        mine = changes.created.get(path)
        if mine is not None and mine.id == node.id:  # of a fork that is merged again
            self._replace(mine, node)
            return
        row = self._base.find(path)
        if mine is not None or (row >= 0 and self._base.node(row).id not in changes.deleted):
            self._conflict(path, "was created by more than one writer")
            return
        changes.create(node)
        self._created[node.id] = path

    def _update(self, part: Part, id_: NodeId, node: Node) -> None:
        mine = self._node(id_)
        if mine is None:
            self._conflict(node.path, "was both deleted and modified")
        elif mine.user_data == node.user_data:
            pass
        elif mine.user_data != self._origin(part, id_):
            self._conflict(node.path, "was given different metadata by more than one writer")
        elif len(mine.shape) != len(node.shape) and self._is_written(id_):
            self._conflict(node.path, "was given another number of dimensions, and was written")
        else:
            self._replace(mine, node)

    def _replace(self, mine: Node, node: Node) -> None:
        """Give my node the metadata of theirs."""
        self._settle(mine.id)
        after = replace(
            mine,
            user_data=node.user_data,
            shape=node.shape,
            dimension_names=node.dimension_names,
        )
        self._changes.update(after, mine)

    def _write(self, part: Part, id_: NodeId, edits: ChunkEdits) -> None:
        mine = self._node(id_)
        if mine is None:
            row = self._nodes_of(part.base).find_id(id_)
            path = self._nodes_of(part.base).path_of(row) if row >= 0 else f"node {id_}"
            self._conflict(path, "was both deleted and modified")
            return
        if edits.ndim != len(mine.shape):
            self._conflict(mine.path, "was given another number of dimensions, and was written")
            return
        if edits.shrunk:
            self._settle(id_)
            self._changes.edits(mine).resize(edits.visible)
        self._runs.setdefault(id_, []).append(edits.columns())

    def _settle(self, id_: NodeId) -> None:
        """Lay the chunks of an array that were gathered so far over those before."""
        runs = self._runs.pop(id_, None)
        node = self._node(id_)
        if runs and node is not None:
            counts = [count for _, count in node.shape]
            self._changes.edits(node).add(*(erase_outside(run, counts) for run in runs))

    def _node(self, id_: NodeId) -> Node | None:
        path = self._created.get(id_)
        if path is not None:
            return self._changes.created[path]
        if id_ in self._changes.deleted:
            return None
        updated = self._changes.updated.get(id_)
        if updated is not None:
            return updated
        row = self._base.find_id(id_)
        return self._base.node(row) if row >= 0 else None

    def _is_written(self, id_: NodeId) -> bool:
        edits = self._changes.chunks.get(id_)
        return id_ in self._runs or (edits is not None and (bool(edits) or edits.shrunk))

    def _origin(self, part: Part, id_: NodeId) -> bytes | None:
        """The metadata that the fork found."""
        nodes = self._nodes_of(part.base)
        row = nodes.find_id(id_)
        return nodes.node(row).user_data if row >= 0 else None

    def _conflict(self, path: str, what: str) -> None:
        self._problems[f"{path} {what}"] = None
