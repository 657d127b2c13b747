"""Others that do the same work: TensorStore, zarrs, and zstandard with nothing around it."""

from __future__ import annotations

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Clock, Peer, Sizes, checked
from benchmarks.data import STEP, Shape, cells, fill, read_all


def _store(folder: Path) -> Any:
    return zarr.storage.LocalStore(folder)


def tensorstore(shape: Shape) -> Peer:
    """Read with TensorStore an array that Zarr has written into files."""

    def prepare(folder: Path, sizes: Sizes) -> None:
        fill(_store(folder), shape(sizes), Clock())

    def run(folder: Path, sizes: Sizes) -> Clock:
        ts = importlib.import_module("tensorstore")
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder / 'x'}/"}}
        clock, read = Clock(), 0
        with clock.running():
            array = ts.open(spec, read=True).result()
            for start in range(0, array.shape[0], STEP // 4):
                stop = min(start + STEP // 4, array.shape[0])
                read += array[start:stop].read().result().size
        return checked(clock, read, array.shape[0], "cells")

    return Peer("tensorstore", "tensorstore", run, prepare)


def zarrs(shape: Shape) -> Peer:
    """Read through Zarr with the pipeline of zarrs."""

    def prepare(folder: Path, sizes: Sizes) -> None:
        fill(_store(folder), shape(sizes), Clock())

    def run(folder: Path, sizes: Sizes) -> Clock:
        importlib.import_module("zarrs")
        with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
            return read_all(lambda: zarr.open_array(_store(folder), path="x", mode="r"))

    return Peer("zarrs", "zarrs", run, prepare)


def ocdbt(shape: Shape) -> Peer:
    """Write in one transaction into TensorStore's database of versions, which waits for the disk
    unless told not to, as Frazil does."""

    def run(folder: Path, sizes: Sizes) -> Clock:
        ts = importlib.import_module("tensorstore")
        chunks, chunk_bytes = shape(sizes)
        width = chunk_bytes // 8
        data = cells(min(chunks, max(1, STEP // chunk_bytes)) * width)
        zstd = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
        metadata = {
            "shape": [chunks * width],
            "data_type": "float64",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [width]}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, zstd],
        }
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}},
            "path": "x",
            "metadata": metadata,
        }
        clock = Clock()
        with clock.running(), ts.Transaction() as transaction:
            array = ts.open(spec, create=True, transaction=transaction).result()
            for start in range(0, chunks * width, data.size):
                stop = min(start + data.size, chunks * width)
                array[start:stop].write(data[: stop - start]).result()
        del spec["metadata"]
        last = ts.open(spec, read=True).result()[chunks * width - width :].read().result()
        return checked(clock, int((last != 0).sum()), width, "values in the last chunk")

    return Peer("OCDBT", "tensorstore", run)


# The limit ----------------------------------------------------------------------------------


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count())


def _pack(folder: Path, shape: tuple[int, int], clock: Clock) -> None:
    """Compress in threads, and put the frames into one file."""
    import zstandard

    chunks, chunk_bytes = shape
    width = chunk_bytes // 8
    data = cells(min(chunks, max(1, STEP // chunk_bytes)) * width)
    folder.mkdir()

    def frame(number: int) -> bytes:
        return zstandard.ZstdCompressor().compress(data[number * width : (number + 1) * width])

    sizes = []
    with clock.running(), _threads() as threads, (folder / "frames").open("wb") as file:
        for start in range(0, chunks, data.size // width):
            for one in threads.map(frame, range(min(data.size // width, chunks - start))):
                file.write(one)
                sizes.append(len(one))
    np.save(folder / "sizes.npy", np.array(sizes))


def bare_write(shape: Shape) -> Peer:
    """What compressing takes, and one copy into the page cache."""

    def run(folder: Path, sizes: Sizes) -> Clock:
        clock = Clock()
        _pack(folder, shape(sizes), clock)
        return clock

    return Peer("bare zstandard", "zstandard", run, waits=False)


def bare_read(shape: Shape) -> Peer:
    """What decompressing takes, and one copy to where it belongs."""

    def prepare(folder: Path, sizes: Sizes) -> None:
        _pack(folder, shape(sizes), Clock())

    def run(folder: Path, sizes: Sizes) -> Clock:
        import zstandard

        width = shape(sizes)[1] // 8
        lengths = np.load(folder / "sizes.npy")
        ends = np.cumsum(lengths).tolist()
        clock, read = Clock(), 0
        with clock.running(), _threads() as threads:
            frames = memoryview(np.memmap(folder / "frames", np.uint8, "r"))
            for start in range(0, len(ends), STEP * 2 // (width * 8)):
                some = range(start, min(start + STEP * 2 // (width * 8), len(ends)))
                out = np.empty(len(some) * width)

                def put(number: int, out: Any = out, first: int = start) -> None:
                    frame = frames[ends[number] - lengths[number] : ends[number]]
                    cells = np.frombuffer(zstandard.ZstdDecompressor().decompress(frame))
                    out[(number - first) * width : (number - first + 1) * width] = cells

                list(threads.map(put, some))
                read += out.size
        return checked(clock, read, len(ends) * width, "cells")

    return Peer("bare zstandard", "zstandard", run, prepare, waits=False)
