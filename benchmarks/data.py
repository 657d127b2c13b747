"""One array of compressed chunks: its cells, writing it, and reading it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Clock, Sizes, checked

STEP = 64 * 1024 * 1024
"""Bytes that are written at once, before compression."""
Shape = Callable[[Sizes], tuple[int, int]]
"""The number of chunks, and the bytes of each."""


def small(sizes: Sizes) -> tuple[int, int]:
    return sizes.small_chunks, sizes.small_chunk_bytes


def large(sizes: Sizes) -> tuple[int, int]:
    return sizes.large_chunks, sizes.large_chunk_bytes


def cells(count: int) -> Any:
    """Data of which zstd leaves a bit more than half."""
    values = np.random.default_rng(0).normal(size=min(count, 1 << 22))
    return np.resize(values.astype("float32").astype("float64"), count)


def fill(store: Any, shape: tuple[int, int], clock: Clock) -> None:
    """Write the array in steps, under Zarr's default compression."""
    chunks, chunk_bytes = shape
    data = cells(min(chunks, max(1, STEP // chunk_bytes)) * chunk_bytes // 8)
    array = zarr.create_array(
        store, name="x", shape=chunks * chunk_bytes // 8, chunks=chunk_bytes // 8, dtype="float64"
    )
    with clock.running():
        for start in range(0, array.size, data.size):
            stop = min(start + data.size, array.size)
            array[start:stop] = data[: stop - start]


def read_all(opened: Callable[[], Any]) -> Clock:
    """Open and read all, 128 MiB at a time."""
    clock = Clock()
    read = 0
    with clock.running():
        array = opened()
        for start in range(0, array.shape[0], STEP // 4):
            read += array[start : start + STEP // 4].size
    return checked(clock, read, array.shape[0], "cells")
