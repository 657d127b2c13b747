from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import zstandard

from frazil.errors import ErrorKind, FormatError, InternalError
from frazil.format import flatbuf_writer as fb
from frazil.format import manifest as codec
from frazil.format.chunk_refs import (
    ABSENT,
    INLINE,
    ChunkRefs,
    InlineRef,
    NativeRef,
    Ref,
    VirtualRef,
)
from frazil.format.columns import ByteColumn
from frazil.format.header import IMPLEMENTATION, FileType, unwrap, wrap
from frazil.format.locations import compress_locations, decompress_locations
from frazil.format.manifest import (
    LocationCompression,
    Manifest,
    decode_manifest,
    decode_objects,
    encode_manifest,
)
from frazil.ids import ChunkId, ManifestId, NodeId

ID = ManifestId(b"manifest-id.")
A, B, C = NodeId(b"a" * 8), NodeId(b"b" * 8), NodeId(b"c" * 8)
NATIVE = NativeRef(ChunkId(bytes(range(12))), 5, 7)
KINDS: dict[str, list[Ref]] = {
    "native": [NATIVE, NativeRef(ChunkId(b"\xff" * 12), 0, 2**63)],
    "inline": [InlineRef(b""), InlineRef(b"\0\1\2" * 50)],
    "virtual": [
        VirtualRef("s3://bucket/ü", 1, 2, None, None),
        VirtualRef("s3://bucket/x", 0, 2, "etag", None),
        VirtualRef("s3://bucket/y", 3, 2**40, None, 1_700_000_000),
    ],
}
KINDS["mixed"] = [ref for refs in KINDS.values() for ref in refs]


def encode(arrays: dict[NodeId, ChunkRefs], spec: int = 2, **options: Any) -> bytes:
    return encode_manifest(Manifest(ID, arrays), spec=spec, **options)


def decode(data: bytes) -> Manifest:
    return decode_manifest(data, where="manifests/M")


def line(refs: list[Ref]) -> ChunkRefs:
    return ChunkRefs.of(1, {(i,): ref for i, ref in enumerate(refs)})


def virtual(n: int, url: str = "s3://bucket/prefix/{}.nc") -> ChunkRefs:
    return line([VirtualRef(url.format(i), i, 1, None, None) for i in range(n)])


@pytest.mark.parametrize("spec", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str, spec: int) -> None:
    found = decode(encode({A: line(KINDS[kind])}, spec))
    assert found.id == ID
    assert found.header is not None
    assert (found.header.written_by, found.header.spec) == (IMPLEMENTATION, spec)
    refs = found.arrays[A]
    assert [refs.row(i) for i in range(len(refs))] == KINDS[kind]
    assert refs.equals(line(KINDS[kind]))


def test_columns_that_no_row_needs_are_none() -> None:
    refs = decode(encode({A: line([NATIVE])})).arrays[A]
    assert (refs.payload, refs.etag, refs.modified) == (None, None, None)
    refs = decode(encode({A: line(KINDS["inline"])})).arrays[A]
    assert (refs.etag, refs.modified) == (None, None)


def test_arrays_of_different_ranks_in_the_order_of_their_ids() -> None:
    arrays = {
        C: ChunkRefs.of(0, {(): InlineRef(b"scalar")}),
        A: ChunkRefs.of(3, {(1, 2, 3): NATIVE, (1, 2, 4): InlineRef(b"x")}),
        B: ChunkRefs.empty(2),
    }
    found = decode(encode(arrays)).arrays
    assert list(found) == [A, C]
    assert all(refs.equals(arrays[node]) for node, refs in found.items())


def test_a_manifest_of_nothing() -> None:
    assert decode(encode({})).arrays == {}


def test_rows_that_must_not_be_written() -> None:
    for refs in (
        line([NATIVE, NATIVE]).take(np.array([1, 0])),
        ChunkRefs.of(1, {(0,): None}),
    ):
        with pytest.raises(InternalError, match=str(A)):
            encode({A: refs})


# Files that the encoder does not write, made of its blocks.


def raw(
    arrays: list[tuple[bytes, int]], refs: fb.TableBlock, dictionary: bytes | None = None
) -> bytes:
    """A manifest of these refs, dealt to arrays of (node id, number of refs)."""
    table = fb.table_block(len(arrays))
    ids = np.frombuffer(b"".join(node for node, _ in arrays), np.uint8)
    table.struct(codec._NODE_ID, ids.reshape(-1, 8))
    table.refer(codec._REFS, fb.vectors(refs, np.array([count for _, count in arrays])))
    root = fb.table_block(1)
    root.struct(codec._ID, np.frombuffer(ID, np.uint8).reshape(1, 12))
    root.refer(codec._ARRAYS, fb.vectors(table))
    root.refer(codec._DICTIONARY, fb.blobs(ByteColumn.of([dictionary])))
    return wrap(fb.finish(root), FileType.MANIFEST, spec=2, level=3)


def inline_refs(index: list[list[int]]) -> fb.TableBlock:
    table = fb.table_block(len(index))
    counts = np.array([len(row) for row in index])
    flat = np.array([number for row in index for number in row], np.uint32)
    table.refer(codec._INDEX, fb.items(flat, counts))
    table.refer(
        codec._INLINE, fb.blobs(ByteColumn.of([bytes([i % 256]) for i in range(len(index))]))
    )
    return table


def test_refs_and_arrays_out_of_order_are_sorted() -> None:
    refs = inline_refs([[2, 0], [1, 9], [1, 10], [0, 5], [0, 4]])
    found = decode(raw([(B, 3), (A, 2)], refs)).arrays
    assert list(found) == [A, B]
    assert found[B].index.tolist() == [[1, 9], [1, 10], [2, 0]]
    assert [found[B].row(i) for i in range(3)] == [InlineRef(bytes([i])) for i in (1, 2, 0)]
    assert found[A].find((0, 4)) == 0


REFUSED = {
    "chunk-twice": ([(A, 3)], [[0], [1], [0]], "lists a chunk twice"),
    "chunk-twice-in-order": ([(A, 3)], [[0], [1], [1]], "lists a chunk twice"),
    "array-twice": ([(A, 1), (B, 1), (A, 1)], [[0], [1], [2]], "listed twice"),
    "empty-array-twice": ([(A, 1), (A, 0)], [[0]], "listed twice"),
    "ranks-differ": ([(A, 2)], [[0], [1, 2]], "different ranks"),
    "rank-65": ([(A, 1)], [[0] * 65], "rank 65"),
    "beyond-grids": ([(A, 1)], [[2**32 - 1]], "4294967295"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case: str) -> None:
    arrays, index, message = REFUSED[case]
    with pytest.raises(FormatError, match=message) as info:
        decode(raw(arrays, inline_refs(index)))
    assert info.value.kind == ErrorKind.INVALID_FILE_FORMAT
    assert info.value.message.startswith("manifests/M: ")


def test_a_reference_without_payload_is_refused() -> None:
    refs = fb.table_block(2)
    refs.embed(codec._INDEX, np.array([[0], [1]], np.uint32))
    refs.refer(codec._INLINE, fb.blobs(ByteColumn.of([b"x", None])))
    with pytest.raises(FormatError, match="reference 1 is neither"):
        decode(raw([(A, 2)], refs))


def test_the_first_kind_present_decides() -> None:
    dictionary, frames = compressed([b"s3://compressed"] * 3)
    refs = fb.table_block(3)
    refs.embed(codec._INDEX, np.arange(3, dtype=np.uint32).reshape(3, 1))
    refs.scalar(codec._OFFSET, "<u8", 4)
    refs.scalar(codec._LENGTH, "<u8", 9)
    refs.refer(codec._INLINE, fb.blobs(ByteColumn.of([b"x"] * 3)))
    refs.refer(codec._LOCATION, fb.strings(ByteColumn.of([b"s3://plain"] * 3)))
    refs.refer(codec._ETAG, fb.strings(ByteColumn.of([b"tag"] * 3)))
    refs.refer(codec._COMPRESSED, fb.blobs(frames), rows=np.array([0, 1, -1]))
    refs.struct(codec._CHUNK_ID, np.ones((3, 12), np.uint8), np.array([True, False, False]))
    found = decode(raw([(A, 3)], refs, dictionary))
    assert [found.arrays[A].row(i) for i in range(3)] == [
        NativeRef(ChunkId(b"\1" * 12), 4, 9),
        VirtualRef("s3://compressed", 4, 9, "tag", None),
        VirtualRef("s3://plain", 4, 9, "tag", None),
    ]
    assert found.compressed_locations == 1


def test_payloads_do_not_keep_the_whole_file_in_memory() -> None:
    many = {(i,): NativeRef(ChunkId.random(), 0, 1) for i in range(3000)}
    refs = ChunkRefs.of(1, {**many, (3000,): InlineRef(b"abc"), (3001,): InlineRef(b"def")})
    found = decode(encode({A: refs})).arrays[A]
    assert found.payload is not None
    assert found.payload.heap.tobytes() == b"abcdef"


# Compression of locations.


def compressed(urls: list[bytes], **options: Any) -> tuple[bytes, ByteColumn]:
    """A dictionary that fits other locations, and frames of these."""
    samples = [f"s3://bucket/{i}/{i * i}/file-{i:05d}.nc".encode() for i in range(200)]
    dictionary = zstandard.train_dictionary(1024, samples)  # type: ignore[arg-type]
    compress = zstandard.ZstdCompressor(dict_data=dictionary, **options).compress
    return dictionary.as_bytes(), ByteColumn.of([compress(url) for url in urls])


@pytest.mark.parametrize(
    ("spec", "count", "expected"), [(2, 999, 0), (2, 1000, 1000), (1, 1000, 0)]
)
def test_locations_are_compressed_where_it_is_customary(
    spec: int, count: int, expected: int
) -> None:
    refs = ChunkRefs.concat(
        [virtual(count), ChunkRefs.of(1, {(5000,): InlineRef(b"x"), (5001,): NATIVE})]
    )
    file = encode({A: refs}, spec)
    found = decode(file)
    assert found.compressed_locations == expected
    assert found.arrays[A].equals(refs)
    assert (b"s3://bucket/prefix/500.nc" in unwrap(file, FileType.MANIFEST, where="")[1]) == (
        not expected
    )


def test_compression_follows_its_settings() -> None:
    how = LocationCompression(min_num_chunks=300, dictionary_max_size_bytes=512)
    assert decode(encode({A: virtual(300)}, location_compression=how)).compressed_locations == 300
    assert decode(encode({A: virtual(299)}, location_compression=how)).compressed_locations == 0
    packed = compress_locations(virtual(300).payload or ByteColumn.absent(0), how)
    assert packed is not None
    assert len(packed[0]) == 512


def test_long_locations_are_not_compressed() -> None:
    long = VirtualRef("s3://bucket/" + "x" * 1013, 0, 1, None, None)
    assert len(long.location) == 1025
    for last, expected in ((long, 0), (VirtualRef(long.location[:-1], 0, 1, None, None), 1001)):
        refs = ChunkRefs.concat([virtual(1000), ChunkRefs.of(1, {(1000,): last})])
        found = decode(encode({A: refs}))
        assert found.compressed_locations == expected
        assert found.arrays[A].row(1000) == last


def test_locations_that_no_dictionary_can_be_made_of_stay_plain() -> None:
    for refs in (virtual(1000, url="x"), virtual(1000)):
        how = LocationCompression(dictionary_max_training_samples=1)
        found = decode(encode({A: refs}, location_compression=how))
        assert found.compressed_locations == 0
        assert found.arrays[A].equals(refs)


@pytest.mark.parametrize("options", [{}, {"write_content_size": False}, {"write_checksum": True}])
def test_frames_of_other_writers(options: dict[str, bool]) -> None:
    urls = [b"", b"s3://b/1", b"x" * 255, b"y" * 256, b"z" * 1024, b"w" * 65_536]
    dictionary, frames = compressed(urls, **options)
    found = decompress_locations(frames, dictionary)
    assert [found[i] for i in range(len(urls))] == urls
    assert len(decompress_locations(ByteColumn.absent(0), dictionary)) == 0


LOCATION_DAMAGE = {
    "too-long": lambda d, f: (d, compressed([b"x" * 65_537])[1]),
    "too-long-unsized": lambda d, f: (d, compressed([b"x" * 65_537], write_content_size=False)[1]),
    "no-dictionary": lambda d, f: (None, f),
    "wrong-dictionary": lambda d, f: (d[:4] + b"\7" + d[5:], f),
    "garbage-dictionary": lambda d, f: (b"garbage", f),
    "too-short": lambda d, f: (d, ByteColumn.of([b"\x28\xb5"])),
    "cut": lambda d, f: (d, ByteColumn.of([(f[0] or b"")[:-2]])),
    "not-zstd": lambda d, f: (d, ByteColumn.of([b"no zstd frame"])),
    "not-utf8": lambda d, f: (d, compressed([b"s3://\xff"])[1]),
    "two-frames": lambda d, f: (d, ByteColumn.of([(f[0] or b"") * 2])),
}


@pytest.mark.parametrize("case", LOCATION_DAMAGE)
def test_damaged_locations_are_format_errors(case: str) -> None:
    dictionary, frames = LOCATION_DAMAGE[case](*compressed([b"s3://bucket/1/1/file-00001.nc"]))
    refs = fb.table_block(1)
    refs.embed(codec._INDEX, np.array([[0]], np.uint32))
    refs.refer(codec._COMPRESSED, fb.blobs(frames))
    with pytest.raises(FormatError, match="compressed_location") as info:
        decode(raw([(A, 1)], refs, dictionary))
    assert info.value.kind == ErrorKind.INVALID_FILE_FORMAT


# Hostile files.


def test_arrays_that_share_their_refs_cannot_multiply_memory() -> None:
    # 3000 arrays of the same 30,000 refs: 90 million rows, 5 GB, from a file of 1.6 MB.
    refs = inline_refs([[i] for i in range(250)] * 120)
    table = fb.table_block(3000)
    table.struct(codec._NODE_ID, np.arange(3000, dtype="<u8").view(np.uint8).reshape(-1, 8))
    table.refer(codec._REFS, fb.vectors(refs), rows=np.zeros(3000, np.int64))
    root = fb.table_block(1)
    root.struct(codec._ID, np.zeros((1, 12), np.uint8))
    root.refer(codec._ARRAYS, fb.vectors(table))
    file = wrap(fb.finish(root), FileType.MANIFEST, spec=2, level=3)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="claim more"):
            decode(file)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_too_many_arrays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_MAX_ARRAYS", 2)
    assert len(decode(encode({A: line([NATIVE]), B: line([NATIVE])})).arrays) == 2
    with pytest.raises(FormatError, match="3 arrays exceed"):
        decode(encode({node: line([NATIVE]) for node in (A, B, C)}))


def test_memory_to_decode_native_refs_is_a_few_times_the_file() -> None:
    n = 200_000
    refs = ChunkRefs(
        np.stack([np.arange(n) // 500, np.arange(n) % 500], axis=1).astype(np.uint32),
        np.ones(n, np.uint8),
        np.random.default_rng(0).integers(0, 256, (n, 12), dtype=np.uint8),
        np.zeros(n, np.uint64),
        np.full(n, 10, np.uint64),
    )
    file = encode({A: refs})
    size = len(unwrap(file, FileType.MANIFEST, where="")[1])
    tracemalloc.start()
    try:
        assert decode(file).arrays[A].equals(refs)
        assert tracemalloc.get_traced_memory()[1] < 5 * size
    finally:
        tracemalloc.stop()


def test_kinds_are_told_apart_in_the_columns() -> None:
    refs = decode(encode({A: line(KINDS["mixed"])})).arrays[A]
    assert not (refs.kind == ABSENT).any()
    inline = refs.kind == INLINE
    assert not refs.offset[inline].any()
    assert refs.payload is not None
    assert refs.length[inline].tolist() == refs.payload.size[inline].tolist()


@pytest.mark.parametrize("spec", [1, 2])
def test_only_the_objects(spec: int) -> None:
    arrays = {A: line(KINDS["mixed"]), B: line([NATIVE]), C: line(KINDS["inline"])}
    found = decode_objects(encode(arrays, spec), where="manifests/M")
    assert found.tobytes() == NATIVE.object + b"\xff" * 12 + NATIVE.object
    assert decode_objects(encode({}, spec), where="manifests/M").shape == (0, 12)
    with pytest.raises(FormatError, match="manifests/M"):
        decode_objects(encode(arrays, spec)[:-3], where="manifests/M")
