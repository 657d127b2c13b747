"""Regions of arrays, in elements, as boxes of chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node
from frazil.model.zarr_metadata import chunk_shape, has_regular_grid

Region: TypeAlias = Sequence[slice]
"""Of the elements of an array: a slice, of step 1, for each of its first dimensions."""


def chunk_box(node: Node, region: Region | None) -> tuple[tuple[int, int], ...]:
    """The chunks that a region touches: (from, to exclusive) for each of its dimensions."""
    if region is None:
        return ()
    if not has_regular_grid(node.user_data):
        raise InvalidInputError(
            f"{node.path} has chunks of different sizes: leave the region out",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    if len(region) > len(node.shape):
        raise InvalidInputError(
            f"a region of {len(region)} slices for {node.path}, of {len(node.shape)} dimensions",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    sizes = chunk_shape(node.user_data)
    box = []
    for part, (length, _), size in zip(region, node.shape, sizes, strict=False):
        if part.step not in (None, 1):
            raise ValueError(f"a region takes slices of step 1, not {part}")
        start, stop, _ = part.indices(length)
        box.append((start // max(size, 1), -(-max(start, stop) // max(size, 1))))
    return tuple(box)
