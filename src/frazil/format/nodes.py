"""The nodes of a snapshot as one table: a hundred thousand of them are a few arrays."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.errors import InternalError
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.format.ragged import (
    Indexes,
    Rows,
    inserted,
    raw_ids,
    run_items,
    shifted,
    sort_keys,
)
from frazil.ids import ManifestId, NodeId


class NodeKind(IntEnum):
    """Array or group; the numbers are those of the union in snapshot files."""

    ARRAY = 1
    GROUP = 2


@dataclass(frozen=True, slots=True)
class ManifestRef:
    """A manifest with references of one array, and the box of chunks they lie in.

    extents: (from, to exclusive) per dimension; () covers everything.
    """

    id: ManifestId
    extents: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A group or an array.

    user_data: the exact bytes of its zarr.json; shape: (array length, number of chunks) per
    dimension, () for groups and arrays of rank 0; manifests: where an array's chunks are.
    """

    id: NodeId
    path: str
    user_data: bytes
    kind: NodeKind
    shape: tuple[tuple[int, int], ...] = ()
    dimension_names: tuple[str | None, ...] | None = None
    manifests: tuple[ManifestRef, ...] = ()


ROW: Final = np.dtype(
    [
        ("id", "V8"),
        ("kind", "u1"),
        *((name, "i8") for name in ("path_start", "path_size", "data_start", "data_size")),
        *((name, "i8") for name in ("dim_start", "dim_count", "name_start", "name_count")),
        *((name, "i8") for name in ("ref_start", "ref_count")),
    ]
)
"""A node. Paths and user data are bytes of the heap; name_count is -1 without names."""
NAME: Final = np.dtype([("start", "i8"), ("size", "i8")])
"""A dimension name in the heap; size -1 for an unnamed dimension."""
REF: Final = np.dtype([("id", "V12"), ("start", "i8"), ("count", "i8")])
"""A manifest reference and its run of extents."""

# One row of each as bytes: the quickest way to make many, and few.
_PACK_ROW: Final = struct.Struct("=8sB10q").pack
_PACK_NAME: Final = struct.Struct("=2q").pack
_PACK_REF: Final = struct.Struct("=12s2q").pack

_SLACK = 1 << 16
_FEW = 32
_WORD = 8
_WORDS = 64


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Nodes in the byte order of their paths, each path once.

    rows: ROW[n]; heap: uint8[m], the bytes of paths, user data and names; dims: uint64[d, 2]
    (array length, number of chunks); names: NAME[k]; refs: REF[r]; extents: uint32[e, 2].
    Rows refer to runs of the other arrays, which may hold more than any row refers to.
    """

    rows: Rows
    heap: npt.NDArray[np.uint8]
    dims: npt.NDArray[np.uint64]
    names: Rows
    refs: Rows
    extents: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> NodeTable:
        """A table of these nodes, in any order; paths must differ."""
        rows: list[bytes] = []
        texts: list[bytes] = []
        dims: list[tuple[int, int]] = []
        names: list[bytes] = []
        refs: list[bytes] = []
        extents: list[tuple[int, int]] = []
        at = 0
        before = None
        for path, node in sorted([(node.path.encode(), node) for node in nodes], key=_first):
            if path == before:
                raise InternalError(f"two nodes have the path {path.decode()!r}")
            before = path
            data, named = at + len(path), node.dimension_names
            rows.append(
                _PACK_ROW(
                    node.id,
                    node.kind,
                    *(at, len(path), data, len(node.user_data)),
                    *(len(dims), len(node.shape)),
                    *(len(names), -1 if named is None else len(named)),
                    *(len(refs), len(node.manifests)),
                )
            )
            texts += (path, node.user_data)
            at = data + len(node.user_data)
            dims += node.shape
            for name in named or ():
                raw = b"" if name is None else name.encode()
                names.append(_PACK_NAME(at, -1 if name is None else len(raw)))
                texts.append(raw)
                at += len(raw)
            for ref in node.manifests:
                refs.append(_PACK_REF(ref.id, len(extents), len(ref.extents)))
                extents += ref.extents
        return cls(
            np.frombuffer(bytearray().join(rows), ROW),
            np.frombuffer(b"".join(texts), np.uint8),
            np.array(dims, np.uint64).reshape(-1, 2),
            np.frombuffer(bytearray().join(names), NAME),
            np.frombuffer(bytearray().join(refs), REF),
            np.array(extents, np.uint32).reshape(-1, 2),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        held = (self.rows, self.heap, self.dims, self.names, self.refs, self.extents)
        return sum([column.nbytes for column in held])

    @property
    def ids(self) -> npt.NDArray[np.uint8]:
        """uint8[n, 8]"""
        return raw_ids(self.rows["id"])

    @property
    def kind(self) -> npt.NDArray[np.uint8]:
        """uint8[n], values of NodeKind"""
        kind: npt.NDArray[np.uint8] = self.rows["kind"]
        return kind

    @cached_property
    def path(self) -> ByteColumn:
        """The paths in UTF-8."""
        return ByteColumn(self.heap, self.rows["path_start"], self.rows["path_size"])

    @cached_property
    def user_data(self) -> ByteColumn:
        """The bytes of each zarr.json."""
        return ByteColumn(self.heap, self.rows["data_start"], self.rows["data_size"])

    def node(self, i: int) -> Node:
        """The node in row `i`."""
        raw_id, kind, path, path_size, data, data_size, dim, dims, name, names, ref, refs = (
            self.rows[i].item()
        )
        return Node(
            id=NodeId(raw_id),
            path=self._text(path, path_size).decode(),
            user_data=self._text(data, data_size),
            kind=NodeKind(kind),
            shape=_pairs(self.dims[dim : dim + dims]),
            dimension_names=None
            if names < 0
            else tuple(
                None if size < 0 else self._text(start, size).decode()
                for start, size in self.names[name : name + names].tolist()
            ),
            manifests=tuple(
                ManifestRef(ManifestId(raw), _pairs(self.extents[start : start + count]))
                for raw, start, count in self.refs[ref : ref + refs].tolist()
            ),
        )

    def _text(self, start: int, size: int) -> bytes:
        return self.heap[start : start + size].tobytes()

    def document_of(self, i: int) -> bytes:
        """The zarr.json of row `i`."""
        return self.user_data[i] or b""

    def path_of(self, i: int) -> str:
        """The path of row `i`."""
        return (self.path[i] or b"").decode()

    def find(self, path: str) -> int:
        """The row of this path, or -1."""
        key = path.encode()
        # Whoever asks for all nodes of a group does it in their order, and for some of them twice.
        near = self._found[0]
        for row in (near + 1, near):
            if row < len(self) and self.path[row] == key:
                break
        else:
            row = self._row_at(key)
            if row == len(self) or self.path[row] != key:
                return -1
        self._found[0] = row
        return row

    @cached_property
    def _found(self) -> list[int]:
        """The row that `find` has found last."""
        return [0]

    def _row_at(self, key: bytes) -> int:
        """The first row whose path is not before `key`."""
        paths: Any = self.path
        return bisect_left(paths, key)

    def find_id(self, node: NodeId) -> int:
        """The row of this node, or -1."""
        if len(self) <= _FEW:
            ids = self.rows["id"].tolist()
            return ids.index(node) if node in ids else -1
        order, keys = self._by_id
        at = int(keys.searchsorted(np.frombuffer(node, "S8"))[0])
        if at == len(keys):
            return -1
        row = int(order[at])
        return row if self.rows["id"][row].tobytes() == node else -1

    @cached_property
    def _by_id(self) -> tuple[Indexes, npt.NDArray[np.bytes_]]:
        keys = sort_keys(self.rows["id"])
        order = np.argsort(keys, kind="stable")
        return order, keys[order]

    def rows_under(self, path: str) -> Indexes:
        """The rows of this path and of everything below it, ascending."""
        if path == "/":
            return np.arange(len(self), dtype=np.int64)
        # Between a node and what lies below it there are siblings such as "/a-b".
        key = path.encode()
        below = np.arange(self._row_at(key + b"/"), self._row_at(key + b"0"), dtype=np.int64)
        own = self.find(path)
        return below if own < 0 else np.concatenate([np.array([own], np.int64), below])

    def children(self, path: str) -> Iterator[str]:
        """The names of the nodes directly below this path, in the order of their bytes."""
        prefix = "/" if path == "/" else path + "/"
        start = len(prefix.encode())
        rows = self.rows_under(path)
        level = 1 if path == "/" else path.count("/") + 1
        for row in rows[self._slashes[rows] == level].tolist():
            name = (self.path[row] or b"")[start:].decode()
            if name:
                yield name

    @cached_property
    def _slashes(self) -> Indexes:
        """int64[n]: the number of slashes in each path."""
        end = np.cumsum(self.rows["path_size"])
        text = gather_bytes(self.heap, self.rows["path_start"], self.rows["path_size"])
        count = np.concatenate([[0], np.cumsum(text == ord("/"))])
        slashes: Indexes = count[end] - count[end - self.rows["path_size"]]
        return slashes

    def manifest_ids(self) -> npt.NDArray[np.uint8]:
        """uint8[k, 12]: the manifests that nodes refer to, each once, sorted."""
        used = self.refs["id"][run_items(self.rows["ref_start"], self.rows["ref_count"])]
        if len(used) > _FEW:
            return raw_ids(np.unique(sort_keys(used)))
        return np.frombuffer(b"".join(sorted(set(used.tolist()))), np.uint8).reshape(-1, 12)

    def replace(self, remove: npt.ArrayLike, add: Iterable[Node]) -> NodeTable:
        """The table without the rows `remove` and with the nodes `add`.

        The new paths must not be among those that stay.
        """
        new = NodeTable.of(add)
        gone = sorted(set(np.asarray(remove, np.int64).tolist()))
        left = set(gone)
        # Many binary searches are cheaper over a list, a few are not worth making it.
        paths: Any = self.path
        if len(new) > 16 + len(self) // 64:
            paths = [self.path[i] for i in range(len(self))]
        at = []
        for i in range(len(new)):
            key: Any = new.path[i]
            row = bisect_left(paths, key)
            if row < len(self) and paths[row] == key and row not in left:
                raise InternalError(f"there already is a node at {key.decode()!r}")
            at.append(row - bisect_left(gone, row))
        rows = _without(self.rows, gone)
        table = NodeTable(
            inserted(rows, self._behind(new), at),
            np.concatenate([self.heap, new.heap]),
            np.concatenate([self.dims, new.dims]),
            np.concatenate(
                [self.names, shifted(new.names, ("start",), len(self.heap))], dtype=NAME
            ),
            np.concatenate(
                [self.refs, shifted(new.refs, ("start",), len(self.extents))], dtype=REF
            ),
            np.concatenate([self.extents, new.extents]),
        )
        return table.compact() if table._is_loose() else table

    def _behind(self, new: NodeTable) -> Rows:
        """The rows of `new`, referring behind the arrays of this table."""
        rows = shifted(new.rows, ("path_start", "data_start"), len(self.heap))
        for field, held in (("dim", self.dims), ("name", self.names), ("ref", self.refs)):
            rows[f"{field}_start"] += len(held)
        return rows

    def _is_loose(self) -> bool:
        """Whether most of what is held is no longer referred to."""
        rows = self.rows
        if max(len(self.heap), len(self.dims), len(self.names), len(self.refs)) <= _SLACK:
            return False
        used = int(rows["path_size"].sum()) + int(rows["data_size"].sum())
        spare = len(self.heap) > 4 * used + _SLACK
        for field, held in (("dim", self.dims), ("name", self.names), ("ref", self.refs)):
            spare |= len(held) > 4 * int(rows[f"{field}_count"].sum()) + _SLACK
        return spare

    def compact(self) -> NodeTable:
        """The same nodes over arrays that hold just what the rows refer to, in row order."""
        rows = self.rows.copy()
        names = self.names[run_items(rows["name_start"], rows["name_count"])]
        refs = self.refs[run_items(rows["ref_start"], rows["ref_count"])]
        dims = self.dims[run_items(rows["dim_start"], rows["dim_count"])]
        extents = self.extents[run_items(refs["start"], refs["count"])]
        start = np.concatenate([rows["path_start"], rows["data_start"], names["start"]])
        size = np.concatenate([rows["path_size"], rows["data_size"], names["size"]])
        heap = gather_bytes(self.heap, start, size)
        start = row_starts(size)
        n = len(rows)
        rows["path_start"], rows["data_start"] = start[:n], start[n : 2 * n]
        names["start"] = start[2 * n :]
        refs["start"] = row_starts(refs["count"])
        for field in ("dim", "name", "ref"):
            rows[f"{field}_start"] = row_starts(rows[f"{field}_count"])
        return NodeTable(rows, heap, dims, names, refs, extents)

    def in_order(self) -> NodeTable:
        """The table with its rows sorted by path, itself if they are.

        `InternalError` if two rows have the same path.
        """
        if not len(_not_ascending(self.path)):
            return self
        paths: Sequence[Any] = [self.path[i] for i in range(len(self))]
        order = sorted(range(len(paths)), key=paths.__getitem__)
        for before, after in pairwise(order):
            if paths[before] == paths[after]:
                raise InternalError(f"two nodes have the path {paths[after].decode()!r}")
        rows = self.rows[np.array(order, np.int64)]
        return NodeTable(rows, self.heap, self.dims, self.names, self.refs, self.extents)


def _first(pair: tuple[bytes, Node]) -> bytes:
    return pair[0]


def _without(rows: Rows, gone: Sequence[int]) -> Rows:
    """The rows but for those at `gone`, ascending."""
    if len(gone) > _FEW:
        return np.delete(rows, gone)
    if not gone:
        return rows
    edges = [0, *(edge for row in gone for edge in (row, row + 1)), len(rows)]
    kept = zip(edges[::2], edges[1::2], strict=True)
    return np.concatenate([rows[start:stop] for start, stop in kept])


def _pairs(items: npt.NDArray[Any]) -> tuple[tuple[int, int], ...]:
    return tuple((low, high) for low, high in items.tolist())


def _not_ascending(column: ByteColumn) -> Indexes:
    """The rows that are not before their successor, compared eight bytes at a time."""
    start, size = column.start, column.size
    if len(column) <= _FEW:
        texts: Sequence[Any] = [column[i] for i in range(len(column))]
        few = [i for i, (a, b) in enumerate(pairwise(texts)) if a >= b]
        return np.array(few, np.int64)
    pairs = np.arange(len(column) - 1, dtype=np.int64)
    found: list[Indexes] = []
    heap = column.heap
    if len(heap) < _WORD:
        heap = np.concatenate([heap, np.zeros(_WORD, np.uint8)])
    words = np.ndarray((len(heap) - _WORD + 1,), ">u8", heap, strides=(1,))
    for k in range(_WORDS):
        if not len(pairs):
            break
        mine, next_ = _word(words, start, size, pairs, k), _word(words, start, size, pairs + 1, k)
        found.append(pairs[mine > next_])
        pairs = pairs[mine == next_]
        # Equal in all words of the longer one: they differ in NULs at the end, or not at all.
        ended = np.maximum(size[pairs], size[pairs + 1]) <= _WORD * (k + 1)
        done = pairs[ended]
        found.append(done[size[done] >= size[done + 1]])
        pairs = pairs[~ended]
    long = [i for i in pairs.tolist() if (column[i] or b"") >= (column[i + 1] or b"")]
    found.append(np.array(long, np.int64))
    return np.sort(np.concatenate(found))


def _word(
    words: npt.NDArray[np.uint64], start: Indexes, size: Indexes, rows: Indexes, k: int
) -> npt.NDArray[np.uint64]:
    """The k-th eight bytes of these rows as big-endian numbers, zeros after the end."""
    left = np.clip(size[rows] - _WORD * k, 0, _WORD)
    begin = np.where(left > 0, start[rows] + _WORD * k, 0)
    # At the end of the heap the word is read earlier and moved up.
    at = np.minimum(begin, len(words) - 1)
    up, drop = 8 * (begin - at), 8 * (_WORD - left)
    value = words[at].astype(np.uint64) << up.astype(np.uint64)
    kept = value >> drop.astype(np.uint64) << drop.astype(np.uint64)
    word: npt.NDArray[np.uint64] = np.where(left > 0, kept, np.uint64(0))
    return word
