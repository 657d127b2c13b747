"""What of an array to read for a picture of it: little, however large the array is.

Reading one element costs reading its chunk. So first it is decided how many chunks may be read
of each dimension, evenly over it, then which elements of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError

CHUNKS = 256
"""As many chunks may be read for one picture."""
BYTES = 96 * 1024 * 1024
"""As many bytes may come out of their decoding; of a single chunk, too."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """The positions to read along each dimension; whole: whether that is all there are."""

    positions: tuple[Positions, ...]
    whole: bool


def sample(
    shape: Sequence[int],
    chunks: Sequence[int],
    itemsize: int,
    shown: Sequence[int],
    points: Sequence[int],
    at: Sequence[int],
) -> Sample:
    """What to read of an array.

    shown: the dimensions that the picture has; points: how many positions along each of them
    are enough; at: the position along each dimension of the array, for those that are not
    shown. Raises `InvalidInputError` for chunks that are too large to read one.
    """
    chunk_bytes = math.prod(chunks) * itemsize
    if chunk_bytes > BYTES:
        raise InvalidInputError(
            f"one chunk of this array has {chunk_bytes:,} bytes: too many to read for a picture",
            ErrorKind.UNKNOWN,
        )
    counts = [max(1, -(-shape[d] // max(1, chunks[d]))) for d in shown]
    allowed = shares(counts, max(1, min(CHUNKS, BYTES // max(1, chunk_bytes))))
    positions = [np.array([position], np.int64) for position in at]
    for d, few, enough in zip(shown, allowed, points, strict=True):
        positions[d] = spread(shape[d], max(1, chunks[d]), few, enough)
    whole = all(len(positions[d]) == shape[d] for d in shown)
    return Sample(tuple(positions), whole)


def shares(counts: Sequence[int], total: int) -> list[int]:
    """How many of its chunks each dimension may have, so that the product is at most `total`."""
    left, open_, result = total, len(counts), [0] * len(counts)
    # The smallest first: what it does not need is for the others.
    for i in sorted(range(len(counts)), key=lambda i: counts[i]):
        fair = max(1, int(left ** (1 / open_) + 1e-9))
        result[i] = min(counts[i], fair)
        left, open_ = max(1, left // result[i]), open_ - 1
    return result


def spread(length: int, chunk: int, few: int, enough: int) -> Positions:
    """At most `enough` positions, evenly over a dimension, in at most `few` of its chunks."""
    if length == 0:
        return np.empty(0, np.int64)
    count = -(-length // chunk)
    if count <= few:
        return evenly(length, enough)
    each = max(1, enough // few)
    parts = []
    for number in evenly(count, few).tolist():
        start = number * chunk
        parts.append(start + evenly(min(chunk, length - start), each))
    return np.concatenate(parts)


def evenly(length: int, enough: int) -> Positions:
    """At most `enough` of the numbers below `length`, the first and the last among them."""
    if length <= enough:
        return np.arange(length, dtype=np.int64)
    return np.rint(np.linspace(0, length - 1, enough)).astype(np.int64)
