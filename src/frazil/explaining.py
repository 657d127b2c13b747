"""`explain`: what reading an array will ask the storage for."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from frazil.engine.explaining import explain_read
from frazil.errors import ErrorKind, InvalidInputError
from frazil.stats import ReadEstimate
from frazil.store import IcechunkStore

MOST_CHUNKS = 50_000_000
"""Larger selections are not explained: their coordinates alone take gigabytes."""


def explain(array: zarr.Array[Any], selection: object = ...) -> ReadEstimate:
    """How many requests, bytes and manifests reading a part of an array will take.

    array: of a store of this package. selection: integers, slices, and arrays of integers or
    booleans for single axes, which select along each axis on its own, as `array.oindex` does.
    Chunks count as a whole: of sharded arrays Zarr may read parts. Chunks kept in memory
    (`CachingConfig.num_bytes_chunks`) are not looked for.

    Reads the manifests that the selection needs, but no chunk. Raises `InvalidInputError` for
    arrays of other stores, without a regular chunk grid, and for selections that are none, and
    `IndexError` for integers outside of the array.
    """
    store = array.store
    if not isinstance(store, IcechunkStore):
        raise _refused(f"{type(store).__name__} is no store of frazil")
    try:
        chunks = array.shards or array.chunks
    except NotImplementedError:
        raise _refused(f"the chunks of {array.path} are of different sizes") from None
    axes = [
        np.unique(positions // max(size, 1))
        for positions, size in zip(_positions(selection, array.shape), chunks, strict=True)
    ]
    if np.prod([float(len(axis)) for axis in axes]) > MOST_CHUNKS:
        raise _refused(f"the selection has more than {MOST_CHUNKS:,} chunks")
    index = (
        np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], 1)
        if axes
        else (np.zeros((1, 0)))
    )
    workspace = store._session._workspace
    return explain_read(workspace, workspace.array(f"/{array.path}"), index.astype(np.uint32))


def _positions(selection: object, shape: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """The positions that a selection has along each axis."""
    parts = list(selection) if isinstance(selection, tuple) else [selection]
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    missing = len(shape) - len(parts) + len(dots[:1])
    if len(dots) > 1 or missing < 0:
        raise _refused(f"{selection!r} does not fit an array of {len(shape)} dimensions")
    at = dots[0] if dots else len(parts)
    parts[at : at + 1] = [slice(None)] * missing
    return [_along(part, size) for part, size in zip(parts, shape, strict=True)]


def _along(part: object, size: int) -> npt.NDArray[np.int64]:
    if isinstance(part, slice):
        return np.arange(*part.indices(size), dtype=np.int64)
    values = np.asarray(part)
    if values.dtype == np.bool_ and values.shape == (size,):
        return np.flatnonzero(values)
    if values.ndim > 1 or not (np.issubdtype(values.dtype, np.integer) or not values.size):
        raise _refused(f"{part!r} selects nothing along an axis of {size}")
    numbers = values.reshape(-1).astype(np.int64)
    if ((numbers < -size) | (numbers >= size)).any():
        raise IndexError(f"{part!r} is outside of an axis of {operator.index(size)}")
    return np.where(numbers < 0, numbers + size, numbers)


def _refused(why: str) -> InvalidInputError:
    return InvalidInputError(f"cannot explain this read: {why}", ErrorKind.INVALID_CHUNK_INDEX)
