"""Chunks through zstd: where they are put, and which frames are refused."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard

from frazil.format.columns import ByteColumn
from frazil.store.pipeline import zstd

SIZES = [8, 64 * 1024 - 8, 64 * 1024, 300_000]


def chunks(size: int, count: int = 3) -> list[bytes]:
    noise = np.random.default_rng(size).integers(0, 9, (count, size), "u1")
    return [row.tobytes() for row in noise]


def frame(data: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_chunks_are_decompressed_where_they_belong(size: int, checksum: bool) -> None:
    data = chunks(size)
    frames = ByteColumn.of([frame(chunk, write_checksum=checksum) for chunk in data])
    memory = np.zeros(3 * size, np.uint8)
    assert zstd.decompress_into(frames, memory, size)
    assert memory.tobytes() == b"".join(data)
    again = zstd.decompress(frames, size)
    assert isinstance(again, np.ndarray)
    assert again.tobytes() == b"".join(data)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_no_frame_of_the_size_is_refused(size: int) -> None:
    good = frame(chunks(size)[0], write_checksum=True)
    longer, shorter = frame(bytes(size + 1)), frame(bytes(size - 1))
    zeros = frame(bytes(size))
    assert zstd.decompress_into(ByteColumn.of([good, zeros]), np.zeros(2 * size, "u1"), size)
    nameless = frame(bytes(size + 1), write_content_size=False)
    flipped = bytes([*good[:-1], good[-1] ^ 1])
    memory = np.zeros(2 * size, np.uint8)
    cut = [good[:-1], good[:-4], good[: len(good) // 2], zeros[:-1], b"", b"zstd"]
    continued = [good + b"x", good + good, zeros + zeros]
    for bad in [longer, shorter, nameless, flipped, *cut, *continued]:
        assert not zstd.decompress_into(ByteColumn.of([good, bad]), memory, size)
