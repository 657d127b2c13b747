"""References of many manifests as rows, as many at a time as memory allows.

Ids of chunk objects are random numbers. A `Window` holds the references to objects whose ids
lie in a range; where there are too many, the range ends earlier, and the rest is another pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.flatbuf import blocks
from frazil.ids import ChunkId
from frazil.model.listed import SortedIds, heads, tails

Rows = npt.NDArray[np.void]

ROW = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u4"),
        ("offset", "<u8"),
        ("length", "<u8"),
        ("checksum", "<u8"),
        ("source", "<u4"),
        ("row", "<u4"),
    ]
)
"""A reference: the id of its object as two numbers, its place, the checksum (0: none), the
number of its array and manifest, and its row among the references there."""
_COLUMNS = ("high", "low", "offset", "length", "checksum", "source", "row")
BYTES_PER_ROW = 96
"""What a reference takes at most: while references are being sorted, and looked at."""
END = 1 << 64
"""Beyond all values of `high`."""
_BLOCK = 65_536


def rows_of(refs: ChunkRefs, source: int, start: int, stop: int) -> Rows:
    """The native references of an array with `start` <= high < `stop`."""
    if start >= stop:
        return np.empty(0, ROW)
    chosen = refs.kind == NATIVE
    if start or stop < END:
        for block in blocks(len(refs)):
            high = heads(refs.object[block])
            chosen[block] &= (high >= start) & (high <= stop - 1)
    rows = np.empty(int(np.count_nonzero(chosen)), ROW)
    done = 0
    for block in blocks(len(refs)):
        at = np.flatnonzero(chosen[block]) + block.start
        part = rows[done : done + len(at)]
        done += len(at)
        ids = refs.object[at]
        part["high"], part["low"] = heads(ids), tails(ids)
        part["offset"], part["length"] = refs.offset[at], refs.length[at]
        part["checksum"] = 0 if refs.checksum is None else refs.checksum[at]
        part["source"], part["row"] = source, at
    return rows


def object_of(row: np.void) -> ChunkId:
    """The object of a row."""
    return ChunkId(int(row["high"]).to_bytes(8, "big") + int(row["low"]).to_bytes(4, "big"))


def objects_of(rows: Rows, starts: npt.NDArray[np.intp]) -> SortedIds:
    """The objects that begin there in sorted rows."""
    return SortedIds(rows["high"][starts], rows["low"][starts])


def starts_of(rows: Rows) -> npt.NDArray[np.intp]:
    """Where each object begins in sorted rows."""
    return np.flatnonzero(np.append(True, ~_same(rows, ("high", "low")))[: len(rows)])


def distinct(rows: Rows) -> Rows:
    """Each place once, by object and offset; twice or more if its checksums differ.

    Of the same place those with a checksum stay. The memory of `rows` is used: they are no more
    what they were.
    """
    # Column by column, as a second copy of the rows would be most of the memory.
    order = _order(rows)
    for name in _COLUMNS:
        rows[name] = rows[name][order]
    del order
    # Zeros come first: one is left out if another row of the same place follows.
    checksum = rows["checksum"]
    again = (checksum[1:] == checksum[:-1]) | (checksum[:-1] == 0)
    again &= _same(rows, ("high", "low", "offset", "length"))
    if not again.any():
        return rows
    last = np.append(~again, True)
    count = int(np.count_nonzero(last))
    for name in _COLUMNS:
        rows[name][:count] = rows[name][last]
    return rows[:count]


def _same(rows: Rows, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which rows, the first excepted, have in these columns what the row before has."""
    same = np.ones(max(len(rows) - 1, 0), np.bool_)
    for name in names:
        same &= rows[name][1:] == rows[name][:-1]
    return same


def _order(rows: Rows) -> npt.NDArray[np.intp]:
    """What sorts rows by object, place and checksum."""
    if not _same(rows, ("high",)).any():
        order = np.argsort(rows["high"])
        high = rows["high"][order]
        if not (high[1:] == high[:-1]).any():
            return order
    return np.lexsort([rows[name] for name in ("checksum", "length", "offset", "low", "high")])


class Window:
    """Distinct references to objects with `start` <= high < `stop`.

    start: where the pass begins; limit: so many rows may be held. `stop` comes down as it must.
    """

    def __init__(self, start: int, limit: int) -> None:
        self.start = start
        self.stop = END
        self._limit = max(limit, 1)
        self._rows = np.empty(0, ROW)
        self._merged = 0
        """So many of the rows are sorted, and each there once."""

    def add(self, rows: Rows) -> None:
        """Take more, those beyond `stop` excepted."""
        if self.stop < END:
            rows = rows[rows["high"] < self.stop]
        if not len(rows):
            return
        held = len(self._rows)
        if held:
            self._rows.resize(held + len(rows), refcheck=False)
            self._rows[held:] = rows
        else:
            self._rows = rows.copy() if rows.base is not None else rows
        fresh = len(self._rows) - self._merged
        if fresh > max(self._merged, _BLOCK) or len(self._rows) > self._limit:
            self._merge()

    def rows(self) -> Rows:
        """What is held, sorted."""
        self._merge()
        return self._rows

    def _merge(self) -> None:
        if self._merged == len(self._rows):
            return
        rows = distinct(self._rows)
        self._merged = len(rows)
        if len(rows) > self._limit:
            high = rows["high"]
            # Half of it, so that this is not needed at once again; an object stays whole.
            at = max(
                int(np.searchsorted(high, high[self._limit // 2])),
                int(np.searchsorted(high, high[0], side="right")),
            )
            if at < len(rows):
                self.stop = int(high[at])
                self._merged = at
            del high
        # What is left lies at the beginning of what there was, of which nobody has a view then.
        del rows
        self._rows.resize(self._merged, refcheck=False)
