"""Rows that own runs of other rows: the building blocks of tables with lists in them.

A table is one structured array; a list in it is a start and a count into another array,
shared by all rows. Inserting a row is then a handful of copies, whatever the lists hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.ids import ALPHABET

Rows = npt.NDArray[Any]
"""A structured array, one item per row."""
Indexes = npt.NDArray[np.int64]
_NONE: Indexes = np.empty(0, np.int64)
_FEW = 16
"""Rows up to which Python's own numbers are faster than arrays."""


def run_items(start: Indexes, count: Indexes) -> Indexes:
    """The positions of all items of all runs, run after run; counts below 1 add nothing."""
    if len(count) <= _FEW:
        runs = zip(start.tolist(), count.tolist(), strict=True)
        return np.concatenate([_NONE, *(np.arange(first, first + n) for first, n in runs)])
    count = np.maximum(count, 0)
    end = np.cumsum(count)
    items = np.arange(int(end[-1]), dtype=np.int64)
    items += np.repeat(start - (end - count), count)
    return items


def inserted(rows: Rows, new: Rows, at: Sequence[int]) -> Rows:
    """`rows` with `new[i]` before `rows[at[i]]`, `at` ascending."""
    merged = np.empty(len(rows) + len(new), rows.dtype)
    if len(new) <= _FEW:
        done = 0
        for i, stop in enumerate([*at, len(rows)]):
            merged[done + i : stop + i] = rows[done:stop]
            if i < len(new):
                merged[stop + i] = new[i]
            done = stop
        return merged
    positions = np.asarray(at, np.int64) + np.arange(len(new))
    old = np.ones(len(merged), np.bool_)
    old[positions] = False
    merged[positions] = new
    merged[old] = rows
    return merged


def shifted(rows: Rows, fields: tuple[str, ...], by: int) -> Rows:
    """A copy whose starts of runs are moved by `by`."""
    rows = rows.copy()
    for name in fields:
        rows[name] += by
    return rows


def raw_ids(column: Rows) -> npt.NDArray[np.uint8]:
    """uint8[n, size] of a column of fixed-size ids."""
    size = column.dtype.itemsize
    return np.ascontiguousarray(column).view(np.uint8).reshape(len(column), size)


_PAIRS = np.array([a + b for a in ALPHABET for b in ALPHABET], "S2")
"""The two digits of each number of 10 bits."""


def id_texts(ids: npt.NDArray[np.uint8]) -> list[str]:
    """The text forms of uint8[n, size] ids, for many at once; see `ids`."""
    count, size = ids.shape
    digits = -(-size * 8 // 5)
    fives = np.zeros((count, -(-size // 5), 5), np.uint16)  # 5 bytes are 4 pairs of digits
    fives.reshape(count, -1)[:, :size] = ids
    b0, b1, b2, b3, b4 = np.moveaxis(fives, 2, 0)
    pairs = np.empty((*b0.shape, 4), np.uint16)
    pairs[..., 0] = b0 << 2 | b1 >> 6
    pairs[..., 1] = (b1 & 63) << 4 | b2 >> 4
    pairs[..., 2] = (b2 & 15) << 6 | b3 >> 2
    pairs[..., 3] = (b3 & 3) << 8 | b4
    width = 2 * pairs[0].size if count else 0
    text = _PAIRS[pairs].tobytes().decode()
    return [text[at : at + digits] for at in range(0, count * width, width or 1)]


def sort_keys(ids: Rows | npt.NDArray[np.uint8]) -> npt.NDArray[np.bytes_]:
    """The ids as byte strings that numpy compares; of equal length, so NULs do no harm."""
    size = ids.shape[1] if ids.ndim == 2 else ids.dtype.itemsize
    return np.ascontiguousarray(ids).view(f"S{size}").reshape(len(ids))
