"""Byte ranges of stored values: Zarr's request classes as bounds, and merging near ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

from frazil.errors import ErrorKind, InvalidInputError

ByteRequest = RangeByteRequest | OffsetByteRequest | SuffixByteRequest


class Bounds(NamedTuple):
    """Bytes `start` to `end` (exclusive), or the last `suffix` ones; all None: everything."""

    start: int | None = None
    end: int | None = None
    suffix: int | None = None


EVERYTHING = Bounds()


def bounds_of(request: ByteRequest | None) -> Bounds:
    """The bounds of a request; `InvalidInputError` (`invalid-byte-range`) for other objects."""
    if request is None:
        return EVERYTHING
    if isinstance(request, RangeByteRequest):
        return Bounds(start=request.start, end=request.end)
    if isinstance(request, OffsetByteRequest):
        return Bounds(start=request.offset)
    if isinstance(request, SuffixByteRequest):
        return Bounds(suffix=request.suffix)
    raise InvalidInputError(
        f"Unexpected byte_range, got {request!r}: use RangeByteRequest, OffsetByteRequest or "
        "SuffixByteRequest",
        ErrorKind.INVALID_BYTE_RANGE,
    )


class Read(NamedTuple):
    """One read, and which part of its result answers which request (None: all of it)."""

    bounds: Bounds
    answers: tuple[tuple[int, slice | None], ...]


def plan_reads(
    requests: Sequence[ByteRequest | None], *, max_gap: int, max_size: int
) -> list[Read]:
    """Reads that answer all requests, by their index.

    `RangeByteRequest`s at most `max_gap` bytes apart share a read as long as it does not get
    larger than `max_size` bytes; other requests have one each.
    """
    reads: list[Read] = []
    ranges: list[tuple[int, int, int]] = []
    for index, request in enumerate(requests):
        if isinstance(request, RangeByteRequest):
            ranges.append((request.start, request.end, index))
        else:
            reads.append(Read(bounds_of(request), ((index, None),)))
    group: list[tuple[int, int, int]] = []
    first = last = 0
    for item in sorted(ranges):
        start, end, _ = item
        if group and (start - last > max_gap or max(last, end) - first > max_size):
            reads.append(_merged(group, first, last))
            group = []
        if not group:
            first, last = start, end
        group.append(item)
        last = max(last, end)
    if group:
        reads.append(_merged(group, first, last))
    return reads


def _merged(group: list[tuple[int, int, int]], first: int, last: int) -> Read:
    if len(group) == 1:
        return Read(Bounds(start=first, end=last), ((group[0][2], None),))
    answers = tuple((index, slice(start - first, end - first)) for start, end, index in group)
    return Read(Bounds(start=first, end=last), answers)
