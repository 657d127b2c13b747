"""Many chunks through zstd in one call, without a Python object for each and without the GIL."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from numpy.lib.stride_tricks import as_strided

from frazil.format.columns import ByteColumn, row_starts

_IN_BULK = {"multi_compress_to_buffer", "multi_decompress_to_buffer"} <= set(
    zstandard.backend_features
)
"""Not with every implementation of Python."""

_LARGE = 64 * 1024
"""Up to here, memory for a chunk costs less than a reader that writes where the chunk belongs."""

_REPEATED_BYTE = 1
"""The kind of a block that is one byte, whatever it says about its size."""

_mine = threading.local()


def decompress(data: ByteColumn, size: int | None) -> npt.NDArray[np.uint8] | Sequence[Any] | None:
    """The decompressed rows, none of them absent; None if the slow way has to tell what is wrong.

    size: what each of them has to be in bytes, if that is known; the result is uint8[n, size]
    then.
    """
    n = len(data)
    try:
        if n == 1 or not _IN_BULK:
            one = _decompressor()
            parts: Any = [
                one.decompress(_row(data, i), max_output_size=size or 0, allow_extra_data=False)
                for i in range(n)
            ]
        else:
            sizes: Any = b"" if size is None else np.full(n, size, np.uint64)
            parts = _decompressor().multi_decompress_to_buffer(
                _segments(data), decompressed_sizes=sizes, threads=0
            )
    except (zstandard.ZstdError, ValueError, MemoryError):
        return None
    if size is None:
        return [parts[i] for i in range(n)]
    if n == 1 or not _IN_BULK:
        if any(len(part) != size for part in parts):
            return None
        return np.frombuffer(b"".join(parts) if n > 1 else parts[0], np.uint8).reshape(n, size)
    if parts.size() != n * size:
        return None
    first = np.frombuffer(parts[0], np.uint8)
    if parts[n - 1].offset == (n - 1) * size:
        # All are in one buffer, which the first of them keeps alive: nothing is copied.
        return as_strided(first, (n, size), (size, 1), writeable=False)
    return np.stack([first, *(np.frombuffer(parts[i], np.uint8) for i in range(1, n))])


def decompress_into(data: ByteColumn, memory: npt.NDArray[np.uint8], size: int) -> bool:
    """Decompress all rows, `size` bytes each, one behind the other; False if one is not so long.

    memory: uint8[n * size]; undefined then. Takes as long as `decompress`, but for the memory
    in between and what it takes to have it.
    """
    one, heap, out = _decompressor(), data.heap.data, memory.data
    starts, ends = data.start.tolist(), (data.start + data.size).tolist()
    try:
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            frame, place = heap[start:end], out[i * size : (i + 1) * size]
            if zstandard.frame_content_size(frame) != size:
                return False
            if size < _LARGE:
                place[:] = one.decompress(frame, max_output_size=size, allow_extra_data=False)
                continue
            if frame_bytes(frame) != end - start:
                return False
            if one.stream_reader(frame).readinto(place) != size:
                return False
    except (zstandard.ZstdError, ValueError, MemoryError):
        return False
    return True


def frame_bytes(frame: bytes | memoryview) -> int:
    """The bytes of a frame, as its blocks tell (RFC 8878, 3.1.1.2).

    A reader stops when the memory is full, before it would notice that a frame is cut off in its
    checksum, or goes on.
    """
    at, last = zstandard.frame_header_size(frame), 0
    while not last and at < len(frame):
        header = int.from_bytes(frame[at : at + 3], "little")
        last, kind = header & 1, header >> 1 & 3
        at += 3 + (1 if kind == _REPEATED_BYTE else header >> 3)
    return at + 4 if zstandard.get_frame_parameters(frame).has_checksum else at


def compress(data: ByteColumn, *, level: int, checksum: bool) -> ByteColumn:
    """The compressed rows, none of them absent; as `numcodecs` compresses them."""
    n = len(data)
    # Its level 0 is that of the library, as here.
    one = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=True)
    if n == 1 or not _IN_BULK:
        parts: Any = [one.compress(_row(data, i)) for i in range(n)]
    else:
        parts = one.multi_compress_to_buffer(_segments(data), threads=0)
    rows = [parts[i] for i in range(n)]
    size = np.fromiter(map(len, rows), np.int64, n)
    heap = rows[0] if n == 1 else b"".join(rows)
    return ByteColumn(np.frombuffer(heap, np.uint8), row_starts(size), size)


def _decompressor() -> zstandard.ZstdDecompressor:
    # To make one takes longer than to decompress a small chunk.
    one: zstandard.ZstdDecompressor | None = getattr(_mine, "decompressor", None)
    if one is None:
        one = _mine.decompressor = zstandard.ZstdDecompressor()
    return one


def _row(data: ByteColumn, i: int) -> memoryview:
    start = int(data.start[i])
    return data.heap[start : start + int(data.size[i])].data


def _segments(data: ByteColumn) -> Any:
    rows: Any = np.stack([data.start, data.size], axis=1).astype(np.uint64)
    heap: Any = data.heap
    return zstandard.BufferWithSegments(heap, rows)
