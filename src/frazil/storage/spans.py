"""Which requests read many ranges of one object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Range = tuple[int, int]

GAP = 1 << 20
"""Bytes that nobody asked for are read along if that saves a request."""


def spans_of(ranges: Sequence[Range], *, gap: int = GAP) -> list[Range]:
    """The stretches to read, ascending and disjoint, that cover all ranges but empty ones."""
    spans: list[Range] = []
    for start, end in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if spans and start - spans[-1][1] <= gap:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def pieces_of(spans: Sequence[Range], size: int) -> list[Range]:
    """The spans cut into pieces of nearly equal length of at most `size` bytes each."""
    pieces = []
    for start, end in spans:
        count = -(-(end - start) // size)
        edges = [start + (end - start) * i // count for i in range(count + 1)]
        pieces += list(pairwise(edges))
    return pieces


def cut(pieces: Sequence[tuple[int, bytes]], start: int, end: int) -> bytes:
    """The bytes of a range from pieces (offset, bytes), ascending, which cover it."""
    parts = [
        data[max(start - offset, 0) : end - offset]
        for offset, data in pieces
        if offset < end and start < offset + len(data)
    ]
    return parts[0] if len(parts) == 1 else b"".join(parts)
