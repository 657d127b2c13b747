"""Transaction logs: which nodes and chunks a commit created, changed, moved and deleted.

    TransactionLog      0 id, 1 new_groups, 2 new_arrays, 3 deleted_groups, 4 deleted_arrays,
                        5 updated_arrays, 6 updated_groups: node ids; 7 updated_chunks,
                        8 moved_nodes
    ArrayUpdatedChunks  0 node_id, 1 chunks
    ChunkIndices        0 coords: u32 per dimension
    MoveOperation       0 from, 1 to, 2 node_id, 3 node_type: 0 group, 1 array

Ids are sorted, chunks by node and then by coordinates, moves by destination, path segment
by path segment. Both specs write the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.errors import FormatError
from frazil.format import flatbuf_nested as nested
from frazil.format.flatbuf import Buffer, Slot, Table, Tables, read_root
from frazil.format.flatbuf_nested import OFFSET, Packed, Record
from frazil.format.flatbuf_writer import Block, finish, items, strings, table_block, vector, vectors
from frazil.format.header import FileType, unwrap, wrap
from frazil.format.nodes import NodeKind
from frazil.ids import INITIAL_SNAPSHOT, NodeId, SnapshotId

Coords = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Move:
    """A node that went from one path to another, with everything below it."""

    from_path: str
    to_path: str
    node_id: NodeId
    kind: NodeKind


@dataclass(frozen=True, slots=True, eq=False)
class TransactionLog:
    """The changes of one commit.

    updated_chunks: the coordinates of written and erased chunks per array, uint32[n, ndim],
    sorted and unique; arrays that the commit created are among them.
    """

    id: SnapshotId
    new_groups: frozenset[NodeId] = frozenset()
    new_arrays: frozenset[NodeId] = frozenset()
    deleted_groups: frozenset[NodeId] = frozenset()
    deleted_arrays: frozenset[NodeId] = frozenset()
    updated_arrays: frozenset[NodeId] = frozenset()
    updated_groups: frozenset[NodeId] = frozenset()
    updated_chunks: Mapping[NodeId, Coords] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()

    @property
    def nbytes(self) -> int:
        """Roughly the bytes of memory."""
        nodes = sum([len(getattr(self, name)) for name in _SET_SLOTS])
        chunks = sum([256 + coords.nbytes for coords in self.updated_chunks.values()])
        return 512 + 128 * nodes + 512 * len(self.moves) + chunks

    @classmethod
    def union(cls, logs: Iterable[TransactionLog], *, id: SnapshotId) -> TransactionLog:
        """All changes of these logs, oldest first, as one log of the snapshot `id`.

        A node that one log creates and another deletes stays in both sets.
        """
        logs = list(logs)
        chunks: dict[NodeId, list[Coords]] = {}
        for log in logs:
            for node, coords in log.updated_chunks.items():
                chunks.setdefault(node, []).append(coords)
        sets = {
            name: frozenset().union(*(getattr(log, name) for log in logs)) for name in _SET_SLOTS
        }
        return cls(
            id,
            **sets,
            updated_chunks={
                node: parts[0] if len(parts) == 1 else sorted_unique(_of_last_rank(parts))
                for node, parts in chunks.items()
            },
            moves=tuple(move for log in logs for move in log.moves),
        )


def _of_last_rank(parts: list[Coords]) -> Coords:
    """One below the other; an array that changed its rank has no chunk from before."""
    return np.concatenate([part for part in parts if part.shape[1] == parts[-1].shape[1]])


def initial_transaction_log() -> TransactionLog:
    """The empty log that belongs to the first snapshot of a repository of spec 2."""
    return TransactionLog(INITIAL_SNAPSHOT)


def sorted_unique(coords: Coords) -> Coords:
    """The rows in ascending order, component by component, each once."""
    ndim = coords.shape[1]
    if ndim == 0:
        return coords[:1]
    if len(coords) < 2:
        return coords
    order = np.lexsort(coords.T[::-1])
    ordered = coords[order]
    first = np.ones(len(ordered), np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[first]


_ID, _CHUNKS, _MOVES = Slot(0, "id"), Slot(7, "updated_chunks"), Slot(8, "moved_nodes")
_SET_SLOTS: Final = {
    name: Slot(number, name)
    for number, name in enumerate(
        (
            "new_groups",
            "new_arrays",
            "deleted_groups",
            "deleted_arrays",
            "updated_arrays",
            "updated_groups",
        ),
        start=1,
    )
}
_NODE, _INDICES = Slot(0, "updated_chunks.node_id"), Slot(1, "updated_chunks.chunks")
_COORDS = Slot(0, "chunk.coords")
_FROM, _TO = Slot(0, "move.from"), Slot(1, "move.to")
_MOVED, _TYPE = Slot(2, "move.node_id"), Slot(3, "move.node_type")
_GROUP, _ARRAY = 0, 1
_FEW: Final = 24
"""Rows up to which Python's own numbers are faster than arrays."""


def decode_transaction_log(data: bytes | memoryview, *, where: str) -> TransactionLog:
    """Read a transaction log of either spec; `FormatError` if it is damaged."""
    _, body = unwrap(data, FileType.TRANSACTION_LOG, where=where)
    root = read_root(body, where=where)
    return TransactionLog(
        SnapshotId(root.struct(_ID, 12)),
        **{name: frozenset(map(NodeId, root.parts(slot, 8))) for name, slot in _SET_SLOTS.items()},
        updated_chunks=_decode_chunks(root),
        moves=_decode_moves(root.tables(_MOVES)) if root.has(_MOVES) else (),
    )


def _decode_chunks(root: Table) -> dict[NodeId, Coords]:
    if root.count(_CHUNKS) > _FEW:
        return _decode_chunks_of_many(root.tables(_CHUNKS))
    chunks: dict[NodeId, Coords] = {}
    for array in root.each(_CHUNKS):
        node = NodeId(array.struct(_NODE, 8))
        if node in chunks:
            raise _twice(array.buffer, node)
        chunks[node] = _decode_coords(array, node)
    return chunks


def _decode_coords(array: Table, node: NodeId) -> Coords:
    count = array.count(_INDICES)
    if count > _FEW:
        coords, ndims = array.tables(_INDICES).items(_COORDS, "<u4")
        if bool((ndims != ndims[0]).any()):
            raise _ranks_differ(array.buffer, node)
        found = coords.reshape(count, int(ndims[0]))
        return found if _is_sorted(found) else sorted_unique(found)
    rows = [index.numbers(_COORDS) for index in array.each(_INDICES)]
    if len(set(map(len, rows))) > 1:
        raise _ranks_differ(array.buffer, node)
    rows = sorted(set(rows)) if count > 1 else rows
    return np.array(rows, np.uint32).reshape(len(rows), len(rows[0]) if rows else 0)


def _decode_chunks_of_many(arrays: Tables) -> dict[NodeId, Coords]:
    indices, counts = arrays.tables(_INDICES)
    coords, ndims = indices.items(_COORDS, "<u4")
    ids = arrays.struct(_NODE, 8).view("V8").reshape(-1).tolist()
    row_end, item_end = np.cumsum(counts), np.cumsum(ndims)
    chunks: dict[NodeId, Coords] = {}
    for raw, count, end in zip(ids, counts.tolist(), row_end.tolist(), strict=True):
        node, rows = NodeId(raw), slice(end - count, end)
        ndim = int(ndims[end - 1]) if count else 0
        if bool((ndims[rows] != ndim).any()):
            raise _ranks_differ(arrays.buffer, node)
        last = int(item_end[end - 1]) if count else 0
        found = coords[last - count * ndim : last].reshape(count, ndim)
        if node in chunks:
            raise _twice(arrays.buffer, node)
        chunks[node] = found if _is_sorted(found) else sorted_unique(found)
    return chunks


def _ranks_differ(buffer: Buffer, node: NodeId) -> FormatError:
    return buffer.fail(f"{_COORDS.name}: chunks of node {node} differ in rank")


def _twice(buffer: Buffer, node: NodeId) -> FormatError:
    return buffer.fail(f"{_NODE.name}: node {node} appears twice")


def _is_sorted(coords: Coords) -> bool:
    """Whether the rows ascend, none of them twice."""
    if len(coords) < 2:
        return True
    undecided = np.ones(len(coords) - 1, np.bool_)
    for column in coords.T:
        if bool((undecided & (column[1:] < column[:-1])).any()):
            return False
        undecided &= column[1:] == column[:-1]
    return not undecided.any()


def _decode_moves(moves: Tables) -> tuple[Move, ...]:
    if not len(moves):
        return ()
    sources, targets = moves.string(_FROM), moves.string(_TO)
    for column, slot in ((sources, _FROM), (targets, _TO)):
        moves.buffer.check_unshared(column, slot.name)
    ids = moves.struct(_MOVED, 8).view("V8").reshape(-1).tolist()
    kinds = moves.scalar(_TYPE, "u1")
    if bool((kinds > _ARRAY).any()):
        raise moves.buffer.fail(f"{_TYPE.name}: neither group nor array")
    return tuple(
        Move(
            (sources[i] or b"").decode(),
            (targets[i] or b"").decode(),
            NodeId(ids[i]),
            NodeKind.ARRAY if kind == _ARRAY else NodeKind.GROUP,
        )
        for i, kind in enumerate(kinds.tolist())
    )


def encode_transaction_log(log: TransactionLog, *, spec: int, level: int = 3) -> bytes:
    """The file of a transaction log by spec 1 or 2."""
    count = sum(map(len, log.updated_chunks.values()))
    is_small = max(count, len(log.updated_chunks), len(log.moves)) <= _FEW
    body = _encode_few(log) if is_small else _encode_many(log)
    return wrap(body, FileType.TRANSACTION_LOG, spec=spec, level=level)


_LOG = Record(*((slot, OFFSET) for slot in (*_SET_SLOTS.values(), _CHUNKS, _MOVES)), (_ID, "12s"))
_ARRAY_CHUNKS, _INDEX = Record((_INDICES, OFFSET), (_NODE, "8s")), Record((_COORDS, OFFSET))
_MOVE = Record((_FROM, OFFSET), (_TO, OFFSET), (_MOVED, "8s"), (_TYPE, "B"))


def _encode_few(log: TransactionLog) -> bytes:
    arrays = []
    for node, coords in sorted(log.updated_chunks.items()):
        ndim, data = coords.shape[1], np.ascontiguousarray(coords, "<u4").tobytes()
        width = 4 * ndim
        rows = [nested.vector(data[i * width : (i + 1) * width], ndim) for i in range(len(coords))]
        arrays.append(_ARRAY_CHUNKS.pack(nested.tables([_INDEX.pack(row) for row in rows]), node))
    moves = [
        _MOVE.pack(
            nested.text(move.from_path.encode()),
            nested.text(move.to_path.encode()),
            move.node_id,
            _ARRAY if move.kind == NodeKind.ARRAY else _GROUP,
        )
        for move in _in_order(log.moves)
    ]
    sets = [_packed_ids(getattr(log, name)) for name in _SET_SLOTS]
    return nested.file(_LOG.pack(*sets, nested.tables(arrays), nested.tables(moves), log.id))


def _packed_ids(ids: frozenset[NodeId]) -> Packed:
    return nested.vector(b"".join(sorted(ids)), len(ids)) if ids else nested.NO_ITEMS


def _encode_many(log: TransactionLog) -> memoryview:
    root = table_block()
    root.struct(_ID, log.id)
    empty = vector(b"", 0)
    for name, slot in _SET_SLOTS.items():
        nodes = sorted(getattr(log, name))
        root.refer(slot, vector(b"".join(nodes), len(nodes)) if nodes else empty)
    root.refer(_CHUNKS, _encode_chunks(log.updated_chunks) if log.updated_chunks else empty)
    root.refer(_MOVES, _encode_moves(log.moves) if log.moves else empty)
    return finish(root)


def _encode_chunks(chunks: Mapping[NodeId, Coords]) -> Block:
    nodes = sorted(chunks)
    counts = np.array([len(chunks[node]) for node in nodes], np.int64)
    ndims = np.array([chunks[node].shape[1] for node in nodes], np.int64)
    flat = [np.ascontiguousarray(chunks[node], "<u4").reshape(-1) for node in nodes]
    coords = np.concatenate([np.empty(0, "<u4"), *flat])
    indices = table_block(int(counts.sum()))
    indices.refer(_COORDS, items(coords, np.repeat(ndims, counts)))
    arrays = table_block(len(nodes))
    arrays.struct(_NODE, b"".join(nodes))
    arrays.refer(_INDICES, vectors(indices, counts))
    return vectors(arrays)


def _encode_moves(moves: tuple[Move, ...]) -> Block:
    ordered = _in_order(moves)
    tables = table_block(len(ordered))
    tables.refer(_FROM, strings([move.from_path.encode() for move in ordered]))
    tables.refer(_TO, strings([move.to_path.encode() for move in ordered]))
    tables.struct(_MOVED, b"".join(move.node_id for move in ordered))
    kinds = [_ARRAY if move.kind == NodeKind.ARRAY else _GROUP for move in ordered]
    tables.scalar(_TYPE, "u1", kinds, default=None)
    return vectors(tables)


def _in_order(moves: tuple[Move, ...]) -> list[Move]:
    return sorted(moves, key=lambda move: move.to_path.encode().split(b"/"))
