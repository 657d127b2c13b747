"""Compression of the locations of virtual references with a dictionary."""

from __future__ import annotations

from frazil.format.columns import ByteColumn
from frazil.format.locations import LocationCompression, compress_locations, decompress_locations

ALWAYS = LocationCompression(min_num_chunks=1)


def test_what_is_compressed_is_read_back() -> None:
    locations = ByteColumn.of(
        [
            f"s3://bucket/a-long-way-down/to/a/folder/with/many/files/of/era5/year-{i:04d}.nc".encode()
            for i in range(200)
        ]
    )
    packed = compress_locations(locations, ALWAYS)
    assert packed is not None
    dictionary, frames = packed
    assert int(frames.size.sum()) < int(locations.size.sum())
    assert decompress_locations(frames, dictionary).equals(locations)


def test_next_to_nothing_is_not_learnt_from() -> None:
    # zstd crashes where the samples that it learns from have less than 8 bytes.
    locations = ByteColumn.of([b"a", b"bcd", b"", b"", b"", b"efghijklmnop", b"qrstuv"])
    assert compress_locations(locations, ALWAYS) is None
