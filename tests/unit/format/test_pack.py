"""Footers of chunk objects: what is put in comes out, and damage is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
import zstandard

from frazil.errors import FormatError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef
from frazil.format.columns import ByteColumn
from frazil.format.manifest import Manifest, decode_manifest, encode_manifest
from frazil.format.pack import (
    MAGIC,
    TAIL_BYTES,
    Contents,
    checksum,
    checksums,
    decode_footer,
    decode_places,
    footer_bytes,
)
from frazil.ids import ChunkId, ManifestId, NodeId

A, B = NodeId(b"arrayaaa"), NodeId(b"arraybbb")
OWNER = bytes(range(16))


def several(count: int = 40) -> tuple[bytes, int]:
    """A footer of chunks of ranks 0 to 3, and the size of its object."""
    contents = Contents()
    index = np.arange(3 * count, dtype=np.uint32).reshape(count, 3)
    length = np.arange(1, count + 1, dtype=np.uint64)
    contents.add(A, (), 5, 2**64 - 1)
    contents.add_many(B, index, length, length * 7)
    contents.add(A, (), 6, 1)
    contents.add(B, (7, 2**32 - 2), 9, 0)
    data = 20 + int(length.sum())
    footer = contents.footer(OWNER)
    return footer, data + len(footer)


def test_what_is_put_in_comes_out() -> None:
    footer, size = several()
    assert footer_bytes(b"before" + footer) == len(footer)
    packed = decode_footer(footer, size=size, where="x")
    assert len(packed) == 43
    assert packed.repository == OWNER
    assert packed.data_bytes == size - len(footer)
    assert [bytes(node) for node in packed.node[[0, 1, 41, 42]]] == [A, B, A, B]
    assert packed.rank.tolist() == [0, *[3] * 40, 0, 2]
    assert packed.coords.tolist() == [*range(120), 7, 2**32 - 2]
    assert packed.length.tolist() == [5, *range(1, 41), 6, 9]
    assert packed.offset.tolist() == np.cumsum([0, 5, *range(1, 41), 6]).tolist()
    assert packed.checksum.tolist() == [2**64 - 1, *range(7, 281, 7), 1, 0]


def test_objects_without_a_footer() -> None:
    assert footer_bytes(b"") == 0
    assert footer_bytes(MAGIC) == 0
    assert footer_bytes(bytes(TAIL_BYTES)) == 0


@pytest.mark.parametrize("count", [1, 40, 3000])
def test_any_flipped_bit_is_noticed(count: int) -> None:
    footer, size = several(count)
    for at in {*range(0, len(footer), max(1, len(footer) // 300)), *range(-TAIL_BYTES, 0)}:
        damaged = bytearray(footer)
        damaged[at] ^= 1
        if at >= -len(MAGIC) and at < 0:
            assert footer_bytes(bytes(damaged)) == 0
        with pytest.raises(FormatError, match="footer of chunks/x is damaged"):
            decode_footer(bytes(damaged), size=size, where="chunks/x")


def test_places_alone() -> None:
    contents = Contents()
    contents.add(B, (7, 2**32 - 2), 9, 5)
    for footer, size in (several(), (one := contents.footer(), 9 + len(one))):
        packed = decode_footer(footer, size=size, where="x")
        places = decode_places(footer, size=size, where="x")
        assert [*places] == list(zip(packed.offset, packed.length, strict=True))
        assert [*places.values()] == packed.checksum.tolist()
        with pytest.raises(FormatError, match="speaks of"):
            decode_places(footer, size=size + 1, where="x")
    assert places == {(0, 9): 5}


def test_a_footer_of_another_object() -> None:
    footer, size = several()
    for wrong in (size - 1, size + 1, len(footer)):
        with pytest.raises(FormatError, match="speaks of"):
            decode_footer(footer, size=wrong, where="x")
    with pytest.raises(FormatError, match="cut short"):
        decode_footer(footer[1:], size=size, where="x")


def signed(body: bytes, plain: int, n: int, arrays: int, data: int) -> bytes:
    """A footer that claims what it likes, with a checksum that agrees."""
    head = b"".join(
        [
            OWNER,
            data.to_bytes(8, "little"),
            *(number.to_bytes(4, "little") for number in (len(body), plain, n, arrays)),
        ]
    )
    own = xxhash.xxh3_64_intdigest(body + head).to_bytes(8, "little")
    return body + head + own + bytes(8) + MAGIC


@pytest.mark.parametrize(
    ("body", "plain", "n", "arrays", "data"),
    [
        (b"", 0, 0, 0, 0),
        (b"", 0, 1, 1, 9),
        (bytes(40), 40, 2**32 - 1, 1, 9),
        (bytes(40), 40, 1, 2, 9),
        (b"z" * 10, 40, 1, 1, 9),
        (zstandard.compress(bytes(400)), 2**32 - 1, 1, 1, 9),
        (zstandard.compress(bytes(400)), 1000, 30, 1, 9),
        (b"i" * 8 + b"\xff" * 32, 40, 1, 1, 9),
        (b"i" * 12 + bytes(20) + b"\x0a" + bytes(15), 40, 1, 1, 9),
        (b"i" * 8 + bytes(12) + b"\xff" * 20, 40, 1, 1, 2**64 - 1),
        (b"i" * 8 + bytes(36), 44, 1, 1, 9),
    ],
)
def test_hostile_footers(body: bytes, plain: int, n: int, arrays: int, data: int) -> None:
    footer = signed(body, plain, n, arrays, data)
    for decode in (decode_footer, decode_places):
        with pytest.raises(FormatError):
            decode(footer, size=data + len(footer), where="x")


def test_checksums_of_rows() -> None:
    rows = [b"", b"a", b"bc" * 5000]
    assert checksums(ByteColumn.of(rows)).tolist() == [checksum(row) for row in rows]
    assert checksum(b"a") == xxhash.xxh3_64(b"a").intdigest()


@pytest.mark.parametrize("spec", [1, 2])
@pytest.mark.parametrize("count", [1, 3, 400])
@pytest.mark.parametrize("mixed", [False, True])
def test_manifests_keep_checksums(spec: int, count: int, mixed: bool) -> None:
    id_ = ChunkId(bytes(range(12)))
    refs = {(i,): NativeRef(id_, i, 5, 2**63 + i) for i in range(count)}
    others = {(count + 1,): InlineRef(b"x"), (count + 2,): NativeRef(id_, 0, 1)} if mixed else {}
    stored = Manifest(ManifestId(bytes(12)), {A: ChunkRefs.of(1, refs | others)})
    again = decode_manifest(encode_manifest(stored, spec=spec), where="x").arrays[A]
    assert again.equals(stored.arrays[A])
    assert again.checksum is not None
    expected = [2**63 + i for i in range(count)] + [0] * len(others)
    assert again.checksum.tolist() == expected
    assert again.take(slice(0, 1)).row(0).checksum == 2**63
    half = ChunkRefs.concat([again, ChunkRefs.of(1, {(9999,): NativeRef(id_, 0, 1)})])
    assert half.checksum is not None
    assert half.checksum.tolist() == [*expected, 0]
