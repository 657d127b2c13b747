"""References of many manifests as rows, as many at a time as memory allows.

Ids of chunk objects are random numbers. A `Window` holds the references to objects whose ids
lie in a range; where there are too many, the range ends earlier, and the rest is another pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.ids import ChunkId

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
BYTES_PER_ROW = 160
"""What a reference takes while references are being sorted."""
END = 1 << 64
"""Beyond all values of `high`."""
_FRESH = 65_536


def rows_of(refs: ChunkRefs, source: int, start: int, stop: int) -> Rows:
    """The native references of an array with `start` <= high < `stop`."""
    if start >= stop:
        return np.empty(0, ROW)
    raw = np.ascontiguousarray(refs.object)
    high = raw[:, :8].copy().view(">u8").reshape(-1)
    chosen = refs.kind == NATIVE
    if start or stop < END:
        chosen &= (high >= start) & (high <= stop - 1)
    at = np.flatnonzero(chosen)
    rows = np.zeros(len(at), ROW)
    rows["high"] = high[at]
    rows["low"] = raw[at, 8:].copy().view(">u4").reshape(-1)
    rows["offset"], rows["length"] = refs.offset[at], refs.length[at]
    if refs.checksum is not None:
        rows["checksum"] = refs.checksum[at]
    rows["source"], rows["row"] = source, at
    return rows


def object_of(row: np.void) -> ChunkId:
    """The object of a row."""
    return ChunkId(int(row["high"]).to_bytes(8, "big") + int(row["low"]).to_bytes(4, "big"))


def objects_of(rows: Rows) -> npt.NDArray[np.bytes_]:
    """S12[n]: the object of each row."""
    raw = np.empty(len(rows), np.dtype([("high", ">u8"), ("low", ">u4")]))
    raw["high"], raw["low"] = rows["high"], rows["low"]
    return raw.view("S12")


def starts_of(rows: Rows) -> npt.NDArray[np.intp]:
    """Where each object begins in sorted rows."""
    first = np.ones(len(rows), np.bool_)
    high, low = rows["high"], rows["low"]
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return np.flatnonzero(first)


def distinct(rows: Rows) -> Rows:
    """Each place once, by object and offset; twice or more if its checksums differ.

    Of the same place those with a checksum stay.
    """
    order = np.lexsort(
        (rows["checksum"], rows["length"], rows["offset"], rows["low"], rows["high"])
    )
    rows = rows[order]
    same = np.ones(max(len(rows) - 1, 0), np.bool_)
    for name in ("high", "low", "offset", "length"):
        same &= rows[name][1:] == rows[name][:-1]
    # Zeros come first: one is left out if another row of the same place follows.
    again = same & ((rows["checksum"][1:] == rows["checksum"][:-1]) | (rows["checksum"][:-1] == 0))
    last = np.ones(len(rows), np.bool_)
    last[:-1] = ~again
    return rows[last]


class Window:
    """Distinct references to objects with `start` <= high < `stop`.

    start: where the pass begins; limit: so many rows may be held. `stop` comes down as it must.
    """

    def __init__(self, start: int, limit: int) -> None:
        self.start = start
        self.stop = END
        self._limit = max(limit, 1)
        self._merged = np.empty(0, ROW)
        self._fresh: list[Rows] = []
        self._count = 0

    def add(self, rows: Rows) -> None:
        """Take more, those beyond `stop` excepted."""
        if self.stop < END:
            rows = rows[rows["high"] < self.stop]
        if not len(rows):
            return
        self._fresh.append(rows)
        self._count += len(rows)
        held = len(self._merged)
        if self._count > max(held, _FRESH) or self._count + held > self._limit:
            self._merge()

    def rows(self) -> Rows:
        """What is held, sorted."""
        self._merge()
        return self._merged

    def _merge(self) -> None:
        rows = distinct(np.concatenate([self._merged, *self._fresh]))
        self._fresh, self._count = [], 0
        if len(rows) > self._limit:
            high = rows["high"]
            # Half of it, so that this is not needed at once again; an object stays whole.
            at = max(
                int(np.searchsorted(high, high[self._limit // 2])),
                int(np.searchsorted(high, high[0], side="right")),
            )
            if at < len(rows):
                self.stop = int(high[at])
                rows = rows[:at].copy()
        self._merged = rows
