"""Copying an array by its values, where its encoded chunks cannot be taken over."""

from __future__ import annotations

import itertools
import math
from typing import Any

import zarr
from zarr.abc.store import Store

from frazil.interchange.summary import Tally
from frazil.progress import task

_BLOCK_BYTES = 64 * 1024 * 1024


def create_like(
    array: zarr.Array[Any], store: Store, path: str, *, zarr_format: int = 3
) -> zarr.Array[Any]:
    """A new array of the same shape, type, chunks and attributes, with default codecs."""
    attributes: dict[str, Any] = dict(array.attrs)
    names: Any = attributes.pop("_ARRAY_DIMENSIONS", None)
    if array.metadata.zarr_format == 3:
        names = array.metadata.dimension_names
    if not isinstance(names, list | tuple) or len(names) != array.ndim:
        names = None
    if zarr_format == 2 and names is not None and all(isinstance(name, str) for name in names):
        attributes["_ARRAY_DIMENSIONS"] = list(names)
    return zarr.create_array(
        store,
        name=path.strip("/") or None,
        shape=array.shape,
        chunks=array.shards or array.chunks,
        dtype=_dtype(array),
        fill_value=array.fill_value,
        attributes=attributes,
        dimension_names=names if zarr_format == 3 else None,
        zarr_format=zarr_format,  # type: ignore[arg-type]
    )


def _dtype(array: zarr.Array[Any]) -> Any:
    # Objects in Zarr v2 are what their filter makes of them: of those here, texts.
    return str if array.dtype.kind in "OT" else array.dtype


def copy_values(source: zarr.Array[Any], target: zarr.Array[Any], tally: Tally) -> None:
    """Copy all values, some chunks of the target at a time."""
    steps = target.shards or target.chunks
    size = max(1, math.prod(steps) * max(target.dtype.itemsize, 1))
    rows = steps[0] * max(1, _BLOCK_BYTES // size) if steps else 1
    if not target.ndim:
        target[...] = source[...]
        tally.chunks(1, source.nbytes)
        return
    ranges = [range(0, n, max(step, 1)) for n, step in zip(target.shape, steps, strict=True)]
    ranges[0] = range(0, target.shape[0], max(rows, 1))
    widths = (max(rows, 1), *steps[1:])
    with task(f"Copying {target.path}", math.prod(map(len, ranges))) as progress:
        for start in itertools.product(*ranges):
            region = tuple(slice(s, s + width) for s, width in zip(start, widths, strict=True))
            target[region] = source[region]
            progress.step()
    tally.chunks(target.nchunks, 0)
