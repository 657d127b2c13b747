"""Compressed chunks, chunks at random, and parts of shards, read and written with Zarr.

Data are float64 of which zstd leaves a bit more than half. Where Zarr has its fused pipeline, it is
the one that both libraries meet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Case, Clock, Lib, Sizes, checked, create, open_

FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"
SHARD, INNER = 512, 32
"""Sides of square shards and of their inner chunks, in cells."""


def _cells(count: int) -> Any:
    values = np.random.default_rng(0).normal(size=min(count, 1 << 22))
    return np.resize(values.astype("float32").astype("float64"), count)


def write(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """Write in steps of 64 MiB at most, and commit."""
    cells = sizes.small_chunk_bytes // 8
    step = min(sizes.small_chunks, 64 * 1024 * 1024 // sizes.small_chunk_bytes)
    data = _cells(step * cells)
    session = create(lib, folder).writable_session("main")
    array = zarr.create_array(
        session.store, name="x", shape=sizes.small_chunks * cells, chunks=cells, dtype="float64"
    )
    clock = Clock()
    with clock.running():
        for start in range(0, array.size, data.size):
            stop = min(start + data.size, array.size)
            array[start:stop] = data[: stop - start]
        session.commit("write")
    return clock.seconds


def prepare(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """The repository that `write` leaves."""
    write(lib, folder, sizes)


def _opened(lib: Lib, folder: Path) -> Any:
    return zarr.open_array(open_(lib, folder).readonly_session("main").store, path="x", mode="r")


def read(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """Open and read all, 128 MiB at a time."""
    clock = Clock()
    read = 0
    with clock.running():
        array = _opened(lib, folder)
        step = 128 * 1024 * 1024 // 8
        for start in range(0, array.size, step):
            read += array[start : start + step].size
    return checked(clock, read, array.size, "cells")


def read_at_random(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """Read single chunks, each of them once before."""
    array = _opened(lib, folder)
    cells = array.chunks[0]
    clock = Clock()
    order = np.random.default_rng(1).integers(0, sizes.small_chunks, sizes.random_reads).tolist()
    array[:]
    read = 0
    with clock.running():
        for i in order:
            read += array[i * cells : (i + 1) * cells].size
    return checked(clock, read, sizes.random_reads * cells, "cells")


def prepare_shards(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """A square of shards."""
    side = SHARD * sizes.shards_along
    session = create(lib, folder).writable_session("main")
    array = zarr.create_array(
        session.store,
        name="x",
        shape=(side, side),
        chunks=(INNER, INNER),
        shards=(SHARD, SHARD),
        dtype="float64",
    )
    array[:] = _cells(side * side).reshape(side, side)
    session.commit("shards")


def read_shards(lib: Lib, folder: Path, sizes: Sizes) -> float:
    """Boxes of 200 x 200 cells at random places, and rows through all shards."""
    array_of = zarr.config.set({"codec_pipeline.path": FUSED} if _has_fused() else {})
    clock = Clock()
    read = 0
    with array_of, clock.running():
        array = _opened(lib, folder)
        places = np.random.default_rng(2).integers(0, array.shape[0] - 200, (sizes.boxes, 2))
        for i, j in places.tolist():
            read += array[i : i + 200, j : j + 200].size
            read += array[i].size
    return checked(clock, read, sizes.boxes * (40_000 + array.shape[1]), "cells")


def _has_fused() -> bool:
    from zarr.core import codec_pipeline

    return hasattr(codec_pipeline, "FusedCodecPipeline")


def _title(what: str) -> Any:
    return lambda s: f"{what} {s.small_chunks:,} chunks of {s.small_chunk_bytes // 2**10} KiB, zstd"


CASES = (
    Case("write-zstd", _title("write and commit"), write, commits=True),
    Case("read-zstd", _title("open and read"), read, prepare),
    Case(
        "read-random",
        lambda s: f"read one chunk at random, {s.random_reads:,} times",
        read_at_random,
        shares="read-zstd",
    ),
    Case(
        "read-shards",
        lambda s: f"read {s.boxes:,} boxes and {s.boxes:,} rows of {s.shards_along**2} shards",
        read_shards,
        prepare_shards,
    ),
)
