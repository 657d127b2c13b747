"""Columns of byte strings: a million strings are three arrays, not a million objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 20
"""Bytes that a ragged copy handles at a time; its temporary indexes take 8 times that."""

_LONG = 128
"""Mean length from which copying row by row is faster than computing an index per byte."""


@dataclass(frozen=True, slots=True, eq=False)
class ByteColumn:
    """`n` byte strings of any length in one heap; rows may share or overlap bytes.

    heap: uint8[m]; start: int64[n]; size: int64[n], -1 where a row is absent. Rows of a
    well-formed column lie inside the heap; whoever builds one from a file checks that.
    """

    heap: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Iterable[bytes | None]) -> ByteColumn:
        """The values in order; None becomes an absent row."""
        rows = list(values)
        size = np.array([-1 if v is None else len(v) for v in rows], dtype=np.int64)
        heap = np.frombuffer(b"".join(v for v in rows if v is not None), dtype=np.uint8)
        return cls(heap, row_starts(size), size)

    @classmethod
    def absent(cls, n: int) -> ByteColumn:
        """`n` absent rows."""
        return cls(
            np.empty(0, np.uint8), np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
        )

    def __len__(self) -> int:
        return len(self.size)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, with the whole heap."""
        return self.heap.nbytes + self.start.nbytes + self.size.nbytes

    def __getitem__(self, i: int) -> bytes | None:
        size = int(self.size[i])
        if size < 0:
            return None
        start = int(self.start[i])
        return self.heap[start : start + size].tobytes()

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> ByteColumn:
        """The rows at these positions (or under this mask), sharing the heap."""
        return ByteColumn(self.heap, self.start[rows], self.size[rows])

    @classmethod
    def concat(cls, columns: Sequence[ByteColumn]) -> ByteColumn:
        """All rows of all columns; the heap is shared if they share one, else copied tight."""
        if not columns:
            return cls.absent(0)
        heap = columns[0].heap
        size = np.concatenate([c.size for c in columns])
        if all(c.heap is heap for c in columns):
            return cls(heap, np.concatenate([c.start for c in columns]), size)
        return cls(np.concatenate([c.compact().heap for c in columns]), row_starts(size), size)

    def compact(self) -> ByteColumn:
        """The same rows over a heap that holds just their bytes, in row order."""
        start = row_starts(self.size)
        tight = int(np.maximum(self.size, 0).sum()) == len(self.heap)
        if tight and bool(((start == self.start) | (self.size <= 0)).all()):
            return ByteColumn(self.heap, start, self.size)
        return ByteColumn(gather_bytes(self.heap, self.start, self.size), start, self.size)

    def equals(self, other: ByteColumn) -> bool:
        """Whether both hold the same rows, wherever the bytes lie."""
        return np.array_equal(self.size, other.size) and np.array_equal(
            self.compact().heap, other.compact().heap
        )


def gather_bytes(
    heap: npt.NDArray[np.uint8], start: npt.NDArray[np.int64], size: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """The bytes of all rows end to end, as a new uint8 array; rows of size <= 0 add nothing.

    Temporary memory is bounded by the number of rows plus a constant, not by the bytes.
    """
    present = size > 0
    if not present.all():
        start, size = start[present], size[present]
    if not len(size):
        return np.empty(0, np.uint8)
    end = np.cumsum(size)
    total = int(end[-1])
    if bool((start[1:] == (start + size)[:-1]).all()):
        first = int(start[0])
        return heap[first : first + total].copy()
    width = int(size[0])
    if bool((size == width).all()):
        return fixed_rows(heap, start, width).reshape(-1)
    out = np.empty(total, np.uint8)
    if total >= _LONG * len(size):
        at = 0
        for begin, length in zip(start.tolist(), size.tolist(), strict=True):
            out[at : at + length] = heap[begin : begin + length]
            at += length
        return out
    for rows in _blocks(end):
        first, last = rows[0], rows[-1]
        done, upto = int(end[first] - size[first]), int(end[last])
        if first == last:
            begin = int(start[first])
            out[done:upto] = heap[begin : begin + upto - done]
        else:
            out[done:upto] = heap[_byte_index(start[first : last + 1], size[first : last + 1])]
    return out


def _blocks(end: npt.NDArray[np.int64]) -> Iterator[range]:
    """Rows in blocks of a bounded number of bytes; a longer row is a block of its own.

    A single row can be of any length and is to be copied without an index of its bytes.
    """
    row = 0
    while row < len(end):
        done = int(end[row - 1]) if row else 0
        stop = max(row + 1, int(np.searchsorted(end, done + _BLOCK, side="right")))
        yield range(row, stop)
        row = stop


def _byte_index(start: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The positions of all bytes of some rows."""
    end = np.cumsum(size)
    index = np.repeat(start - (end - size), size)
    index += np.arange(len(index))
    return index


def fixed_rows(
    heap: npt.NDArray[np.uint8], start: npt.NDArray[np.int64], width: int
) -> npt.NDArray[np.uint8]:
    """uint8[n, width]: `width` bytes from each start; all must lie inside the heap."""
    if not len(start) or not width:
        return np.empty((len(start), width), np.uint8)
    # One item per byte position, overlapping: a plain index then copies whole rows.
    windows = np.ndarray((len(heap) - width + 1,), f"V{width}", heap, strides=(1,))
    return windows[start].view(np.uint8).reshape(len(start), width)


def scatter_bytes(
    out: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], column: ByteColumn
) -> None:
    """Copy row i of the column to `out[at[i]:]`; the inverse of `gather_bytes`."""
    heap, start, size = column.heap, column.start, column.size
    present = size > 0
    if not present.all():
        at, start, size = at[present], start[present], size[present]
    if not len(size):
        return
    width = int(size[0])
    if bool((size == width).all()):
        windows = np.ndarray((len(out) - width + 1,), f"V{width}", out, strides=(1,))
        windows[at] = fixed_rows(heap, start, width).view(f"V{width}").reshape(-1)
        return
    end = np.cumsum(size)
    if int(end[-1]) >= _LONG * len(size):
        for target, begin, length in zip(at.tolist(), start.tolist(), size.tolist(), strict=True):
            out[target : target + length] = heap[begin : begin + length]
        return
    for rows in _blocks(end):
        if len(rows) == 1:
            row = rows[0]
            target, begin, length = int(at[row]), int(start[row]), int(size[row])
            out[target : target + length] = heap[begin : begin + length]
        else:
            block = slice(rows.start, rows.stop)
            out[_byte_index(at[block], size[block])] = heap[_byte_index(start[block], size[block])]


def row_starts(size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each row begins when all are laid end to end."""
    start = np.zeros(len(size), dtype=np.int64)
    np.cumsum(np.maximum(size[:-1], 0), out=start[1:])
    return start
