"""The objects of one folder, in columns, and which of them are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.format.ragged import sort_keys
from frazil.model.keys import Keys

Mask = npt.NDArray[np.bool_]
RawIds = npt.NDArray[np.uint8]
"""uint8[n, 12]"""
_BLOCK = 1 << 16
_NO_HEADS = np.empty(0, np.uint64)
_NO_TAILS = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a listing: ids uint8[n, 12]; bytes and us since the epoch, if they were told."""

    ids: RawIds
    size: npt.NDArray[np.int64] | None = None
    created: npt.NDArray[np.int64] | None = None

    def take(self, rows: Mask) -> Found:
        """Some of them."""
        size = None if self.size is None else self.size[rows]
        created = None if self.created is None else self.created[rows]
        return Found(self.ids[rows], size, created)


class SortedIds:
    """Ids in order, each once, 12 bytes for each: where others are among them.

    The first 8 bytes of an id are compared as one number, which is ten times as fast as to compare
    12 bytes, and the other 4 where these are equal.
    """

    def __init__(self, head: npt.NDArray[np.uint64], tail: npt.NDArray[np.uint32]) -> None:
        self.head = head
        self.tail = tail
        self._steps = 0
        """Of a binary search among ids with the same head."""
        same = head[1:] == head[:-1]
        if same.any():
            starts = np.flatnonzero(np.append(True, ~same))
            self._steps = int(np.diff(starts, append=len(head)).max()).bit_length()

    @classmethod
    def of(cls, ids: Keys) -> SortedIds:
        """Of ids that are in order."""
        return cls(*_split(raw_rows(ids)))

    def __len__(self) -> int:
        return len(self.head)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Keys:
        """The ids of some rows: S12[n]."""
        head, tail = self.head[rows], self.tail[rows]
        raw = np.empty((len(head), 12), np.uint8)
        raw[:, :8] = head.astype(">u8").view(np.uint8).reshape(-1, 8)
        raw[:, 8:] = tail.astype(">u4").view(np.uint8).reshape(-1, 4)
        return sort_keys(raw)

    def find(self, ids: RawIds) -> npt.NDArray[np.int64]:
        """The row of each of these ids, -1 where it is not here."""
        rows = np.full(len(ids), -1, np.int64)
        for start in range(0, len(ids) if len(self) else 0, _BLOCK):
            head, tail = _split(ids[start : start + _BLOCK])
            at = np.searchsorted(self.head, head)
            if self._steps:
                stop = np.searchsorted(self.head, head, side="right")
                for _ in range(self._steps):  # a binary search among those of the same head
                    middle = np.minimum((at + stop) >> 1, len(self) - 1)
                    below = (at < stop) & (self.tail[middle] < tail)
                    at, stop = np.where(below, middle + 1, at), np.where(below, stop, middle)
            at = np.minimum(at, len(self) - 1)
            here = (self.head[at] == head) & (self.tail[at] == tail)
            rows[start : start + _BLOCK][here] = at[here]
        return rows


class Listed:
    """The ids of objects, sorted, each once, 13 bytes for each, or 29 with sizes and times."""

    def __init__(self, pages: Iterable[Found]) -> None:
        parts = [(*_split(page.ids), page.size, page.created) for page in pages]
        head = np.concatenate([_NO_HEADS, *(part[0] for part in parts)])
        tail = np.concatenate([_NO_TAILS, *(part[1] for part in parts)])
        told = bool(parts) and all(part[2] is not None for part in parts)
        size = [part[2] for part in parts]
        created = [part[3] for part in parts]
        del parts
        order, head, tail, first = _sorted(head, tail)
        if first is not None:
            order, head, tail = order[first], head[first], tail[first]
        self._ids = SortedIds(head, tail)
        self._needed = np.zeros(len(order), np.bool_)
        self.size = _column(size, order) if told else None
        self.created = _column(created, order) if told else None

    def __len__(self) -> int:
        return len(self._ids)

    def rows_of(self, ids: RawIds) -> npt.NDArray[np.int64]:
        """The rows of those of these ids that are here, in no order."""
        rows = self._ids.find(ids)
        return rows[rows >= 0]

    def need(self, ids: RawIds) -> None:
        """These are needed, if they are here; from any thread."""
        self._needed[self.rows_of(ids)] = True

    def forget(self) -> None:
        """None of them is needed, as far as is known."""
        self._needed[:] = False

    def others(self, ids: RawIds) -> npt.NDArray[np.int64]:
        """The rows that are none of these."""
        among = np.zeros(len(self), np.bool_)
        among[self.rows_of(ids)] = True
        return np.flatnonzero(~among)

    def unneeded(self) -> npt.NDArray[np.int64]:
        """The rows that have not been needed."""
        return np.flatnonzero(~self._needed)

    def ids(self, rows: npt.NDArray[np.int64]) -> Keys:
        """The ids of some rows: S12[n]."""
        return self._ids.take(rows)


def ordered(ids: RawIds) -> tuple[npt.NDArray[np.int64], Mask]:
    """What sorts these ids, and which of the sorted ones are not equal to the one before."""
    order, _, _, first = _sorted(*_split(ids))
    return order, np.ones(len(order), np.bool_) if first is None else first


def _sorted(
    head: npt.NDArray[np.uint64], tail: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.uint32], Mask | None]:
    """What sorts ids, the sorted ones, and which are not equal to the one before: None for all."""
    order = np.argsort(head, kind="stable")
    head, tail = head[order], tail[order]
    same = head[1:] == head[:-1]
    if not same.any():
        return order, head, tail, None
    again = np.lexsort((tail, head))
    order, head, tail = order[again], head[again], tail[again]
    same = (head[1:] == head[:-1]) & (tail[1:] == tail[:-1])
    return order, head, tail, np.append(True, ~same)


def raw_rows(keys: Keys) -> RawIds:
    """Ids as uint8[n, 12]."""
    return np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), 12)


def tails(ids: RawIds) -> npt.NDArray[np.uint32]:
    """The last 4 bytes of ids as numbers."""
    return np.ascontiguousarray(ids[:, 8:]).view(">u4").astype(np.uint32).reshape(-1)


def heads(ids: RawIds) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of ids as numbers, in the order of the ids."""
    return np.ascontiguousarray(ids[:, :8]).view(">u8").astype(np.uint64).reshape(-1)


def _split(ids: RawIds) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    return heads(ids), tails(ids)


def _column(
    parts: Sequence[npt.NDArray[np.int64] | None], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    return np.concatenate([part for part in parts if part is not None])[order]
