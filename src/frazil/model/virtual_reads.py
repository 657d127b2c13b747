"""Which ranges of a file are read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes `start` to `stop` (exclusive) of a file, and the rows whose bytes are among them."""

    start: int
    stop: int
    rows: list[int]
    begins: list[int]
    ends: list[int]


def plan(
    rows: Sequence[int], offsets: Sequence[int], lengths: Sequence[int], gap: int, size: int
) -> list[Read]:
    """Reads that cover the bytes of all rows.

    Ranges at most `gap` bytes apart are read together, up to `size` bytes; a row with more is
    a read of its own.
    """
    reads: list[Read] = []
    current: Read | None = None
    start = stop = 0
    for offset, length, row in sorted(zip(offsets, lengths, rows, strict=True)):
        end = offset + length
        if current is not None and offset <= stop + gap and max(end, stop) - start <= size:
            current.rows.append(row)
            current.begins.append(offset)
            current.ends.append(end)
            stop = max(stop, end)
            continue
        if current is not None:
            reads.append(_until(current, stop))
        start, stop = offset, end
        current = Read(start, stop, [row], [offset], [end])
    if current is not None:
        reads.append(_until(current, stop))
    return reads


def _until(read: Read, stop: int) -> Read:
    return Read(read.start, stop, read.rows, read.begins, read.ends)
