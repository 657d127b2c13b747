"""What a session has changed and not yet committed.

    ChangeSet
      created   nodes that the base does not have, by path
      updated   nodes of the base with new metadata, by id
      deleted   nodes of the base, by id
      chunks    ChunkEdits by node id
      moves     (from, to) in the order in which nodes were moved; a session either moves nodes
                or does the rest

`ChunkEdits` is a small log-structured table: recent edits in a dictionary, older ones in
sorted columns, so that ten million edits are a few arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ABSENT, ChunkRefs, Ref
from frazil.format.snapshot import Node, NodeKind
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.model.overlay import erase_outside, inside, stack


class Unedited(Enum):
    """The answer of `ChunkEdits.get` for a chunk that the session has not touched."""

    UNEDITED = 0


UNEDITED: Final = Unedited.UNEDITED

_RECENT_LIMIT = 65_536
"""Edits kept as values before they are turned into columns."""


class ChunkEdits:
    """Chunks of one array that were written or erased, the last edit of each winning.

    `visible` is the smallest grid (chunks along each dimension) that the array had since the
    base: what the base holds outside of it is gone even if the array has grown again.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.visible: tuple[int, ...] = tuple(counts)
        self.shrunk = False
        self.generation = 0
        self._recent: dict[tuple[int, ...], Ref | None] = {}
        self._runs: list[ChunkRefs] = []
        # At least as far as any edit goes along each dimension.
        self._reach = [0] * len(self.visible)

    def copy(self) -> ChunkEdits:
        """The same edits, to go on with independently."""
        self._settle()
        copy = ChunkEdits(self.visible)
        copy.shrunk, copy._runs = self.shrunk, list(self._runs)
        copy._reach = list(self._reach)
        return copy

    def __getstate__(self) -> tuple[Any, ...]:
        return self.visible, self.shrunk, self.columns()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        visible, shrunk, columns = state
        ChunkEdits.__init__(self, visible)
        self.shrunk, self._runs = shrunk, [columns]
        self._note_reach(columns)

    @property
    def ndim(self) -> int:
        """Rank of the array."""
        return len(self.visible)

    def __bool__(self) -> bool:
        return bool(self._recent) or any(map(len, self._runs))

    def set(self, coords: tuple[int, ...], ref: Ref | None) -> None:
        """Record a written chunk, or an erased one (None)."""
        self._recent[coords] = ref
        for axis, c in enumerate(coords):
            if c >= self._reach[axis]:
                self._reach[axis] = int(c) + 1
        self.generation += 1
        if len(self._recent) >= _RECENT_LIMIT:
            self._settle()

    def add(self, *runs: ChunkRefs) -> None:
        """Record many edits at once, later runs winning.

        Each run is sorted and may have ABSENT rows.
        """
        self._settle()
        run = stack(runs, self.ndim)
        self._note_reach(run)
        self._push(run)
        self.generation += 1

    def _note_reach(self, run: ChunkRefs) -> None:
        if len(run):
            ends = [int(run.index[:, axis].max()) + 1 for axis in range(self.ndim)]
            self._reach = list(map(max, self._reach, ends))

    def get(self, coords: tuple[int, ...]) -> Ref | Unedited | None:
        """The edit of one chunk: its reference, None if erased, or UNEDITED."""
        recent = self._recent.get(coords, UNEDITED)
        if recent is not UNEDITED:
            return recent
        for run in reversed(self._runs):
            row = run.find(coords)
            if row >= 0:
                return run.row(row) if run.kind[row] else None
        if self.shrunk and any(c >= n for c, n in zip(coords, self.visible, strict=True)):
            return None
        return UNEDITED

    def find_many(
        self, index: npt.NDArray[np.uint32]
    ) -> tuple[list[tuple[npt.NDArray[np.intp], ChunkRefs]], npt.NDArray[np.intp]]:
        """The edits of the chunks `index[n, ndim]`: (positions in it, their references) parts,
        erased chunks in none of them, and the positions of chunks that are not edited.
        """
        self._settle()
        found = []
        rows = np.arange(len(index))
        for run in reversed(self._runs):
            if not len(rows):
                break
            at = run.find_many(index[rows])
            hits = at >= 0
            if hits.any():
                refs = run.take(at[hits])
                present = refs.kind != ABSENT
                if present.any():
                    found.append((rows[hits][present], refs.take(present)))
                rows = rows[~hits]
        if self.shrunk:
            rows = rows[inside(index[rows], tuple((0, count) for count in self.visible))]
        return found, rows

    def resize(self, counts: Sequence[int]) -> None:
        """Erase what lies outside a grid of `counts` chunks along each dimension.

        Chunks that were written or erased out there count as erased: whoever else writes one
        of them is in conflict with that, as with any other erasure.
        """
        self.generation += 1
        smaller = tuple(min(a, b) for a, b in zip(self.visible, counts, strict=True))
        if smaller != self.visible:
            self.visible = smaller
            self.shrunk = True
        # Nearly always the array has grown, and each append would handle all those before.
        if any(end > count for end, count in zip(self._reach, counts, strict=True)):
            self._runs = [erase_outside(self.columns(), counts)]

    def drop(self, index: npt.NDArray[np.uint32]) -> None:
        """Forget the edits of these chunks: uint32[n, ndim]."""
        edits = self.columns()
        rows = edits.find_many(index)
        keep = np.ones(len(edits), np.bool_)
        keep[rows[rows >= 0]] = False
        self._runs = [edits.take(keep)] if keep.any() else []
        self.generation += 1

    def affects(self, index: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Which of the chunks (uint32[n, ndim]) were written, erased or cut off."""
        mask = self.columns().find_many(index) >= 0
        if self.shrunk:
            mask |= ~inside(index, tuple((0, count) for count in self.visible))
        return mask

    def columns(self) -> ChunkRefs:
        """All edits, sorted by index, erased chunks as ABSENT rows."""
        self._settle()
        if len(self._runs) != 1:
            self._runs = [stack(self._runs, self.ndim)]
        return self._runs[0]

    def _settle(self) -> None:
        if self._recent:
            run = ChunkRefs.of(self.ndim, self._recent)
            self._recent = {}
            self._push(run)

    def _push(self, run: ChunkRefs) -> None:
        """Add a run, merging so that each one is at least twice as long as the next."""
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = stack([self._runs[-1], last], self.ndim)


@dataclass(slots=True)
class ChangeSet:
    """The uncommitted changes of a session relative to its base snapshot.

    rebased: a rebase has handled changes; what it left may be nothing.
    """

    created: dict[str, Node] = field(default_factory=dict)
    updated: dict[NodeId, Node] = field(default_factory=dict)
    deleted: dict[NodeId, Node] = field(default_factory=dict)
    chunks: dict[NodeId, ChunkEdits] = field(default_factory=dict)
    moves: list[tuple[str, str]] = field(default_factory=list)
    rebased: bool = False

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (
            self.created
            or self.updated
            or self.deleted
            or self.moves
            or any(map(bool, self.chunks.values()))
        )

    def copy(self) -> ChangeSet:
        """The same changes, to go on with independently."""
        return ChangeSet(
            dict(self.created),
            dict(self.updated),
            dict(self.deleted),
            {id_: edits.copy() for id_, edits in self.chunks.items()},
            list(self.moves),
            self.rebased,
        )

    def mark(self) -> object:
        """A value that is equal to an earlier one as long as nothing has changed."""
        edits = {id_: (edits, edits.generation) for id_, edits in self.chunks.items()}
        return dict(self.created), dict(self.updated), set(self.deleted), edits, list(self.moves)

    def edits(self, node: Node) -> ChunkEdits:
        """The chunk edits of an array, made if there are none yet."""
        edits = self.chunks.get(node.id)
        if edits is None:
            edits = self.chunks[node.id] = ChunkEdits([count for _, count in node.shape])
        return edits

    def create(self, node: Node) -> None:
        """Record a node that did not exist."""
        self.created[node.path] = node

    def update(self, node: Node, before: Node) -> None:
        """Record new metadata of a node that was `before`."""
        if node.path in self.created:
            self.created[node.path] = node
        else:
            self.updated[node.id] = node
        if node.kind is not NodeKind.ARRAY:
            return
        counts = [count for _, count in node.shape]
        if len(before.shape) != len(counts):
            # Another rank: no chunk key of the old array means anything any more.
            self.chunks[node.id] = edits = ChunkEdits(counts)
            edits.visible, edits.shrunk = (0,) * len(counts), True
        elif node.id in self.chunks or any(
            new < old for new, (_, old) in zip(counts, before.shape, strict=True)
        ):
            self.edits(before).resize(counts)

    def delete(self, node: Node) -> None:
        """Record that a node is gone, with what was changed in it."""
        if self.created.pop(node.path, None) is None:
            self.deleted[node.id] = node
            self.updated.pop(node.id, None)
        self.chunks.pop(node.id, None)

    def edited_arrays(self) -> Iterator[tuple[NodeId, ChunkEdits]]:
        """Arrays with written or erased chunks."""
        return ((id_, edits) for id_, edits in self.chunks.items() if edits)

    def log(self, snapshot: SnapshotId, moves: tuple[Move, ...] = ()) -> TransactionLog:
        """The transaction log of a commit of these changes; moves: what came of `self.moves`."""

        def ids(nodes: Iterator[Node] | list[Node], kind: NodeKind) -> frozenset[NodeId]:
            return frozenset(node.id for node in nodes if node.kind is kind)

        created, updated = list(self.created.values()), list(self.updated.values())
        deleted = list(self.deleted.values())
        chunks: dict[NodeId, npt.NDArray[np.uint32]] = {
            id_: edits.columns().index for id_, edits in self.edited_arrays()
        }
        return TransactionLog(
            id=snapshot,
            new_groups=ids(created, NodeKind.GROUP),
            new_arrays=ids(created, NodeKind.ARRAY),
            deleted_groups=ids(deleted, NodeKind.GROUP),
            deleted_arrays=ids(deleted, NodeKind.ARRAY),
            updated_arrays=ids(updated, NodeKind.ARRAY),
            updated_groups=ids(updated, NodeKind.GROUP),
            updated_chunks=chunks,
            moves=moves,
        )
