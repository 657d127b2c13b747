"""Compressed chunks, chunks at random, and parts of shards, read and written with Zarr.

Where Zarr has its fused pipeline, it is
the one that both libraries meet.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks import peers
from benchmarks.common import Case, Clock, Goal, Lib, Sizes, checked, create, open_
from benchmarks.data import Shape, cells, fill, large, read_all, small

FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"
SHARD, INNER = 512, 32
"""Sides of square shards and of their inner chunks, in cells."""


def writing(shape: Shape) -> Callable[[Lib, Path, Sizes], Clock]:
    """Write and commit."""

    def run(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
        session, clock = create(lib, folder).writable_session("main"), Clock()
        fill(session.store, shape(sizes), clock)
        with clock.running():
            session.commit("write")
        return clock

    return run


def preparing(shape: Shape) -> Callable[[Lib, Path, Sizes], None]:
    """The repository that writing leaves."""

    def prepare(lib: Lib, folder: Path, sizes: Sizes) -> None:
        writing(shape)(lib, folder, sizes)

    return prepare


def _opened(lib: Lib, folder: Path) -> Any:
    return zarr.open_array(open_(lib, folder).readonly_session("main").store, path="x", mode="r")


def read(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    return read_all(lambda: _opened(lib, folder))


def read_at_random(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Read single chunks, each of them once before."""
    array = _opened(lib, folder)
    width = array.chunks[0]
    clock = Clock()
    order = np.random.default_rng(1).integers(0, sizes.small_chunks, sizes.random_reads).tolist()
    array[:]
    read = 0
    with clock.running():
        for i in order:
            read += array[i * width : (i + 1) * width].size
    return checked(clock, read, sizes.random_reads * width, "cells")


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
    array[:] = cells(side * side).reshape(side, side)
    session.commit("shards")


def read_shards(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
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


def _title(what: str, shape: Shape) -> Callable[[Sizes], str]:
    def title(sizes: Sizes) -> str:
        chunks, size = shape(sizes)
        long = f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"
        return f"{what} {chunks:,} chunks of {long}, zstd"

    return title


CASES = (
    Case(
        "write-zstd",
        _title("write and commit", small),
        writing(small),
        commits=True,
        goal=Goal(10, peers=1.3),
        peers=(peers.ocdbt(small),),
    ),
    Case(
        "read-zstd",
        _title("open and read", small),
        read,
        preparing(small),
        goal=Goal(10, peers=1.3),
        peers=(peers.tensorstore(small), peers.zarrs(small)),
    ),
    Case(
        "write-large-zstd",
        _title("write and commit", large),
        writing(large),
        commits=True,
        goal=Goal(1.3, peers=0.8),
        peers=(peers.bare_write(large),),
    ),
    Case(
        "read-large-zstd",
        _title("open and read", large),
        read,
        preparing(large),
        goal=Goal(1.3, peers=0.8),
        peers=(peers.bare_read(large),),
    ),
    Case(
        "read-random",
        lambda s: f"read one chunk at random, {s.random_reads:,} times",
        read_at_random,
        shares="read-zstd",
        goal=Goal(3),
    ),
    Case(
        "read-shards",
        lambda s: f"read {s.boxes:,} boxes and {s.boxes:,} rows of {s.shards_along**2} shards",
        read_shards,
        prepare_shards,
        goal=Goal(2),
    ),
)
