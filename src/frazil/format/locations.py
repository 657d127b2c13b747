"""Virtual locations of a manifest, compressed one by one with a shared dictionary.

    location = one zstd frame that names the dictionary, with its content size

Icechunk compresses locations of any length, but reads them back up to 1024 bytes only. So longer
ones are not compressed here; those that others have compressed are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from frazil.format.columns import ByteColumn, row_starts

MAX_LOCATION: Final = 1024
_LONGEST: Final = 65_536
"""Of a location that is read, in bytes."""
_MAX_TOTAL = 1 << 31
_WORTH_LEARNING = 64
"""Bytes that a dictionary is made from, at least."""
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LocationCompression:
    """When and how locations are compressed (`manifest.virtual_chunk_location_compression`)."""

    min_num_chunks: int = 1000
    dictionary_max_training_samples: int = 100
    dictionary_max_size_bytes: int = 2048
    compression_level: int = 3


def compress_locations(
    locations: ByteColumn, how: LocationCompression
) -> tuple[bytes, ByteColumn] | None:
    """Dictionary and frames of the locations, all present; None where plain ones are better.

    That is: too few of them, one too long for other readers, or nothing to learn from.
    """
    n = len(locations)
    if n < max(how.min_num_chunks, 1) or int(locations.size.max()) > MAX_LOCATION:
        return None
    chosen = np.linspace(0, n - 1, min(n, how.dictionary_max_training_samples)).astype(np.intp)
    samples: list[bytes | bytearray | memoryview] = [locations[i] or b"" for i in chosen.tolist()]
    # From less than 8 bytes in the three quarters that it learns from, zstd crashes.
    if sum(map(len, samples[: len(samples) * 3 // 4])) < _WORTH_LEARNING:
        return None
    try:
        dictionary = zstandard.train_dictionary(
            how.dictionary_max_size_bytes, samples, level=how.compression_level
        )
    except (zstandard.ZstdError, ValueError):
        return None
    compressor = zstandard.ZstdCompressor(
        level=how.compression_level, dict_data=dictionary, write_content_size=True
    )
    rows, place = _distinct(locations)
    parts = np.stack([rows.start, rows.size], axis=1).astype("<u8")
    # All in one call: no object per location, and the interpreter is free meanwhile.
    frames: Any = compressor.multi_compress_to_buffer(
        zstandard.BufferWithSegments(rows.heap.data, parts.data)
    )
    size = np.fromiter(map(len, frames), np.int64, len(frames))
    column = ByteColumn(np.frombuffer(b"".join(frames), np.uint8), row_starts(size), size)
    return dictionary.as_bytes(), column if place is None else column.take(place)


def _distinct(column: ByteColumn) -> tuple[ByteColumn, Positions | None]:
    """The rows without those that are the same bytes of the heap, and which one each row is.

    None: there are none, or not as they should be for that.
    """
    first, place = np.unique(column.start, return_index=True, return_inverse=True)[1:]
    if len(first) == len(column) or bool((column.size[first][place] != column.size).any()):
        return column, None
    return column.take(first), place


def decompress_locations(frames: ByteColumn, dictionary: bytes) -> ByteColumn:
    """The locations of these frames, all present, in a heap of their own.

    Raises `ValueError` or `zstandard.ZstdError` if one is damaged or too long.
    """
    zdict = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    reader = zstandard.ZstdDecompressor(dict_data=zdict)
    tight = frames.compact()
    size = _content_sizes(tight)
    if size is None:
        values = (tight[i] or b"" for i in range(len(tight)))
        return ByteColumn.of([reader.decompress(v, max_output_size=_LONGEST) for v in values])
    total = int(size.sum())
    if (len(size) and int(size.max()) > _LONGEST) or total > _MAX_TOTAL:
        raise ValueError(f"a location is longer than {_LONGEST} bytes")
    # The frames end to end are one stream: no call, and no object, per location.
    with reader.stream_reader(tight.heap.data, read_across_frames=True) as stream:
        text = stream.read(total + 1)
    if len(text) != total:
        raise ValueError("locations are shorter or longer than their frames say")
    return ByteColumn(np.frombuffer(text, np.uint8), row_starts(size), size)


def _content_sizes(frames: ByteColumn) -> npt.NDArray[np.int64] | None:
    """What the frame headers give as content sizes; None unless all of them do.

    Layout by RFC 8878: magic[4], descriptor, window[0-1], dictionary id[0-4], size[0-8].
    """
    if not len(frames):
        return np.zeros(0, np.int64)
    if int(frames.size.min()) < 6:
        raise ValueError("a location is shorter than any zstd frame")
    last = len(frames.heap) - 1

    def byte(rows: npt.NDArray[np.intp] | slice, at: Positions) -> npt.NDArray[np.uint8]:
        # Beyond the end only in a frame that is cut off, which its decompression finds.
        found: npt.NDArray[np.uint8] = frames.heap[np.minimum(frames.start[rows] + at, last)]
        return found

    descriptor = byte(slice(None), np.full(len(frames), 4))
    single = (descriptor >> 5 & 1).astype(np.int64)
    flag = descriptor >> 6
    if bool(((flag == 0) & (single == 0)).any()):
        return None
    at = 5 + (1 - single) + np.array([0, 1, 2, 4])[descriptor & 3]
    size = np.zeros(len(frames), np.int64)
    for code, width in enumerate((1, 2, 4, 8)):
        rows = np.flatnonzero(flag == code)
        raw = np.zeros((len(rows), 8), np.uint8)
        for i in range(width):
            raw[:, i] = byte(rows, at[rows] + i)
        value = np.minimum(raw.view("<u8").reshape(-1), _MAX_TOTAL).astype(np.int64)
        size[rows] = value + (256 if code == 1 else 0)
    return size
