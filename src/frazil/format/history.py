"""All snapshots of a repository as one table, sorted by id, with their ancestry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError, InternalError
from frazil.format import flexbuf
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.format.flatbuf_layout import Layout
from frazil.format.ragged import (
    Indexes,
    Rows,
    id_texts,
    inserted,
    raw_ids,
    run_items,
    shifted,
    sort_keys,
)
from frazil.ids import SnapshotId


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """What the repository knows of a snapshot without opening its file.

    flushed_at: µs since the epoch; pruned: the expired ancestors whose transaction logs
    this snapshot stands for, oldest first.
    """

    id: SnapshotId
    parent: SnapshotId | None
    flushed_at: int
    message: str
    metadata: dict[str, Any] = field(default_factory=dict)
    pruned: tuple[SnapshotId, ...] = ()


Described: TypeAlias = tuple[str, str | None, int, str, dict[str, Any] | None]
"""A snapshot in words: id, the parent's id, flushed_at in µs, message, metadata if it has any."""


def described(record: SnapshotRecord) -> Described:
    """A record in words."""
    parent = None if record.parent is None else str(record.parent)
    return str(record.id), parent, record.flushed_at, record.message, record.metadata or None


ROW: Final = np.dtype(
    [
        ("id", "V12"),
        ("parent", "i4"),
        ("flushed_at", "u8"),
        *((name, "i8") for name in ("message_start", "message_size")),
        *((name, "i8") for name in ("item_start", "item_count")),
        *((name, "i8") for name in ("pruned_start", "pruned_count")),
    ]
)
"""A snapshot; parent is the row of the parent, or -1."""
ITEM: Final = np.dtype(
    [(name, "i8") for name in ("name_start", "name_size", "value_start", "value_size")]
)
"""A metadata item: its name and its value in FlexBuffers, both in the heap."""
_SLACK = 1 << 16
_BLOCK_MIN, _BLOCK_MAX = 16, 1024
"""Snapshots that are described together: few at first, for who wants the newest only."""
_FEW = 4
"""Rows up to which one comparison each is faster than a search."""


@dataclass(frozen=True, eq=False)
class SnapshotTable:
    """Snapshots sorted by id, each once.

    rows: ROW[n]; heap: uint8[m], the bytes of messages and metadata; items: ITEM[k];
    pruned_ids: V12[p]. Rows refer to runs of the other arrays. Metadata stays encoded until
    `record` asks for it.
    """

    rows: Rows
    heap: npt.NDArray[np.uint8]
    items: Rows
    pruned_ids: Rows
    layout: Layout[SnapshotTable] = field(default_factory=Layout, repr=False)

    @classmethod
    def of(cls, records: Iterable[SnapshotRecord]) -> SnapshotTable:
        """A table of these snapshots, in any order; `FormatError` if parents are missing."""
        return cls(
            np.empty(0, ROW), np.empty(0, np.uint8), np.empty(0, ITEM), np.empty(0, "V12")
        ).add(list(records))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> npt.NDArray[np.uint8]:
        """uint8[n, 12]"""
        return raw_ids(self.rows["id"])

    @property
    def parent(self) -> npt.NDArray[np.int32]:
        """int32[n]: the parent's row, or -1"""
        parent: npt.NDArray[np.int32] = self.rows["parent"]
        return parent

    @property
    def flushed_at(self) -> npt.NDArray[np.uint64]:
        """uint64[n], µs since the epoch"""
        flushed_at: npt.NDArray[np.uint64] = self.rows["flushed_at"]
        return flushed_at

    @property
    def message(self) -> ByteColumn:
        """The messages in UTF-8."""
        return ByteColumn(self.heap, self.rows["message_start"], self.rows["message_size"])

    @cached_property
    def _keys(self) -> npt.NDArray[np.bytes_]:
        return sort_keys(self.rows["id"])

    def id_of(self, row: int) -> SnapshotId:
        """The id of the snapshot in a row."""
        return SnapshotId(self.rows["id"][row].tobytes())

    def find(self, snapshot: SnapshotId) -> int:
        """The row of a snapshot, or -1."""
        keys = self._keys
        row = int(keys.searchsorted(np.frombuffer(snapshot, "S12"))[0])
        return row if row < len(keys) and self.rows["id"][row].tobytes() == snapshot else -1

    def find_many(self, ids: npt.NDArray[np.uint8]) -> Indexes:
        """The rows of uint8[k, 12] ids, -1 for those that are not here."""
        wanted = sort_keys(ids)
        if not len(self):
            return np.full(len(wanted), -1, np.int64)
        rows = np.minimum(self._keys.searchsorted(wanted), len(self) - 1)
        return np.where(self._keys[rows] == wanted, rows, -1)

    def record(self, row: int) -> SnapshotRecord:
        """The snapshot in a row; `FormatError` if its metadata cannot be read."""
        raw, parent, flushed_at, message, size, item, items, prune, pruned = self.rows[row].item()
        snapshot = SnapshotId(raw)
        metadata = {}
        for name, name_size, value, value_size in self.items[item : item + items].tolist():
            key = self._text(name, name_size).decode()
            where = f"repo: snapshot {snapshot}: metadata {key!r}"
            metadata[key] = flexbuf.decode(self._text(value, value_size), where=where)
        return SnapshotRecord(
            snapshot,
            None if parent < 0 else self.id_of(parent),
            flushed_at,
            self._text(message, size).decode(),
            metadata,
            tuple(map(SnapshotId, self.pruned_ids[prune : prune + pruned].tolist())),
        )

    def lineage(self, row: int) -> Iterator[Described]:
        """What there is to tell of `ancestry(row)`; read in blocks, quick for many."""
        return chain.from_iterable(map(self._described, self._blocks(row)))

    def _described(self, block: list[int]) -> Iterator[Described]:
        """Rows of which each is followed by its parent's."""
        found = self.rows[block]
        ids = id_texts(raw_ids(found["id"]))
        last = int(found["parent"][-1])
        parents = [*ids[1:], None if last < 0 else str(self.id_of(last))]
        messages = _texts(self.heap, found["message_start"], found["message_size"])
        metadata: list[dict[str, Any] | None] = [None] * len(block)
        for at in np.flatnonzero(found["item_count"]).tolist():
            metadata[at] = self.record(block[at]).metadata
        return zip(ids, parents, found["flushed_at"].tolist(), messages, metadata, strict=True)

    def _text(self, start: int, size: int) -> bytes:
        return self.heap[start : start + size].tobytes()

    def parent_of(self, snapshot: SnapshotId) -> SnapshotId | None:
        """The parent of a snapshot, None for a root; `FormatError` if it is not here."""
        row = self.find(snapshot)
        if row < 0:
            raise _not_found(snapshot)
        parent = int(self.rows["parent"][row])
        return None if parent < 0 else self.id_of(parent)

    def ancestry(self, row: int) -> Iterator[int]:
        """This row, its parent's and so on to the root's.

        `FormatError` as soon as it is clear that there is no root.
        """
        return chain.from_iterable(self._blocks(row))

    def _blocks(self, row: int) -> Iterator[list[int]]:
        parents: Any = self.rows["parent"].data
        left, size = len(parents), _BLOCK_MIN
        while row >= 0:
            if not left:
                raise FormatError(
                    f"repo: the ancestors of snapshot {self.id_of(row)} form a circle; "
                    "the file is damaged, earlier versions of it are in overwritten/",
                    ErrorKind.INVALID_FILE_FORMAT,
                )
            block = []
            for _ in range(min(size, left)):
                block.append(row)
                row = parents[row]
                if row < 0:
                    break
            yield block
            left -= len(block)
            if size == _BLOCK_MIN:  # it will be many
                parents = parents.tolist()
            size = min(2 * size, _BLOCK_MAX)

    def add(self, records: Sequence[SnapshotRecord]) -> SnapshotTable:
        """The table with these snapshots, too; parents may be among them.

        `FormatError` for an id that is here already, and for a parent that is not.
        """
        return self._merged(self.rows, records)

    def replace(self, records: Sequence[SnapshotRecord]) -> SnapshotTable:
        """The table with these snapshots instead of those with their ids.

        `FormatError` for an id or a parent that is not here, and for an id given twice.
        """
        gone = [self.find(record.id) for record in records]
        if -1 in gone:
            raise _not_found(records[gone.index(-1)].id)
        stay = np.ones(len(self), np.bool_)
        stay[gone] = False
        table = self._merged(self.rows[stay], records)
        # The rows keep their places, so do the parents of those that stay.
        table.rows["parent"][stay] = self.rows["parent"][stay]
        return table

    def keep(self, rows: npt.ArrayLike) -> SnapshotTable:
        """The table of the rows under this mask or at these positions.

        `InternalError` if one of them would lose its parent: `replace` it first.
        """
        kept = np.zeros(len(self) + 1, np.bool_)
        chosen_rows = np.asarray(rows)
        if chosen_rows.dtype != np.bool_:
            chosen_rows = chosen_rows.astype(np.int64)
        kept[:-1][chosen_rows] = True
        place = np.where(kept, np.cumsum(kept) - 1, -2)
        place[-1] = -1
        chosen = self.rows[kept[:-1]]
        parent = place[chosen["parent"]]
        if bool((parent == -2).any()):
            orphan = SnapshotId(chosen["id"][int((parent == -2).argmax())].tobytes())
            raise InternalError(f"snapshot {orphan} would be kept without its parent")
        chosen["parent"] = parent
        return SnapshotTable(chosen, self.heap, self.items, self.pruned_ids)

    def _merged(self, rows: Rows, records: Sequence[SnapshotRecord]) -> SnapshotTable:
        """A table of `rows` of this table and of `records`.

        Parents of the former are right if all rows of this table are among them.
        """
        ordered = sorted(records, key=lambda record: record.id)
        new, heap, items, pruned = _columns(ordered)
        at = sort_keys(rows["id"]).searchsorted(sort_keys(new["id"])).tolist()
        layout: Layout[SnapshotTable] = Layout()
        if len(rows) == len(self):
            layout = self.layout.grow(SnapshotTable(new, heap, items, pruned), at)
        new = shifted(new, ("message_start",), len(self.heap))
        new["item_start"] += len(self.items)
        new["pruned_start"] += len(self.pruned_ids)
        items = shifted(items, ("name_start", "value_start"), len(self.heap))
        merged = inserted(rows, new, at)
        if len(rows) == len(self):
            merged["parent"] = _moved(merged["parent"], at)
        table = SnapshotTable(
            merged,
            np.concatenate([self.heap, heap]),
            np.concatenate([self.items, items], dtype=ITEM),
            np.concatenate([self.pruned_ids, pruned]),
            layout,
        )
        for i, (before, record) in enumerate(zip(at, ordered, strict=True)):
            row = before + i
            next_ = row + 1
            if next_ < len(merged) and merged["id"][next_].tobytes() == record.id:
                raise FormatError(
                    f"repo: snapshot {record.id} is listed already",
                    ErrorKind.DUPLICATE_SNAPSHOT_ID,
                )
            parent = -1
            if record.parent is not None:
                parent = table.find(record.parent)
                if parent < 0:
                    raise _not_found(record.parent)
            merged["parent"][row] = parent
        return table.compact() if table._is_loose() else table

    def _is_loose(self) -> bool:
        if max(len(self.heap), len(self.items)) <= _SLACK:
            return False
        used = int(self.rows["message_size"].sum())
        used += int(self.items["name_size"].sum()) + int(self.items["value_size"].sum())
        return len(self.heap) > 4 * used + _SLACK or len(self.items) > _SLACK + 4 * int(
            self.rows["item_count"].sum()
        )

    def compact(self) -> SnapshotTable:
        """The same snapshots over arrays that hold just what the rows refer to, in row order."""
        rows = self.rows.copy()
        items = self.items[run_items(rows["item_start"], rows["item_count"])]
        pruned = self.pruned_ids[run_items(rows["pruned_start"], rows["pruned_count"])]
        start = np.concatenate([rows["message_start"], items["name_start"], items["value_start"]])
        size = np.concatenate([rows["message_size"], items["name_size"], items["value_size"]])
        heap = gather_bytes(self.heap, start, size)
        start = row_starts(size)
        n, k = len(rows), len(items)
        rows["message_start"] = start[:n]
        items["name_start"], items["value_start"] = start[n : n + k], start[n + k :]
        for name in ("item", "pruned"):
            rows[f"{name}_start"] = row_starts(rows[f"{name}_count"])
        return SnapshotTable(rows, heap, items, pruned)


def _columns(
    records: Sequence[SnapshotRecord],
) -> tuple[Rows, npt.NDArray[np.uint8], Rows, Rows]:
    """Rows, heap, items and pruned ids of these records; parents are left to the caller."""
    rows: list[tuple[object, ...]] = []
    texts: list[bytes] = []
    items: list[tuple[int, int, int, int]] = []
    pruned: list[bytes] = []
    at = 0
    for record in records:
        message = record.message.encode()
        rows.append(
            (
                record.id,
                -1,
                record.flushed_at,
                *(at, len(message)),
                *(len(items), len(record.metadata)),
                *(len(pruned), len(record.pruned)),
            )
        )
        texts.append(message)
        at += len(message)
        pruned += record.pruned
        for key, value in sorted(record.metadata.items()):
            name, data = key.encode(), flexbuf.encode(value)
            items.append((at, len(name), at + len(name), len(data)))
            texts += (name, data)
            at += len(name) + len(data)
    return (
        np.array(rows, ROW),
        np.frombuffer(b"".join(texts), np.uint8),
        np.array(items, ITEM),
        np.frombuffer(b"".join(pruned), "V12"),
    )


def _texts(heap: npt.NDArray[np.uint8], start: Indexes, size: Indexes) -> list[str]:
    """The texts in UTF-8 at these places."""
    raw = gather_bytes(heap, start, size).tobytes()
    ends = np.cumsum(size).tolist()
    if raw.isascii():
        text = raw.decode("ascii")
        return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return [raw[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]


def _moved(rows: Indexes, at: list[int]) -> Indexes:
    """Where these rows (-1: none) are after rows were inserted before the rows `at`."""
    if len(at) > _FEW:
        return rows + np.asarray(at, np.int64).searchsorted(rows, side="right")
    moved = rows
    for place in at:
        moved = moved + (rows >= place)
    return moved


def _not_found(snapshot: SnapshotId) -> FormatError:
    return FormatError(
        f"repo: snapshot {snapshot} is not in the list of snapshots",
        ErrorKind.SNAPSHOT_NOT_FOUND,
    )
