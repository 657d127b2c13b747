"""The digest of a manifest's references: of what they are, not of how they are stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.format.manifest import Manifest, decode_manifest, encode_manifest
from frazil.format.manifest_digest import digest_of
from frazil.ids import ChunkId, ManifestId, NodeId

OBJECT, OTHER = ChunkId(bytes(range(12))), ChunkId(bytes(range(1, 13)))
A, B = NodeId(b"a" * 8), NodeId(b"b" * 8)

REFS: dict[tuple[int, ...], Ref | None] = {
    (0, 0): NativeRef(OBJECT, 5, 10, 77),
    (0, 1): InlineRef(b"inline"),
    (2, 0): VirtualRef("s3://bucket/a", 1, 2, etag="tag"),
    (2, 1): VirtualRef("s3://bucket/b", 3, 4, modified=1000),
    (2, 2): VirtualRef("s3://bucket/c", 3, 4),
}


def changed(index: tuple[int, ...], ref: Ref | None) -> int:
    refs = {**REFS, index: ref}
    return digest_of({A: ChunkRefs.of(2, {k: v for k, v in refs.items() if v is not None})})


def test_it_survives_a_file() -> None:
    arrays = {
        A: ChunkRefs.of(2, REFS),
        B: ChunkRefs.of(0, {(): NativeRef(OBJECT, 0, 9)}),
        NodeId(b"c" * 8): ChunkRefs.of(1, {(7,): NativeRef(OTHER, 0, 9)}),
    }
    digest = digest_of(arrays)
    assert 0 < digest < 2**64
    for spec in (1, 2):
        data = encode_manifest(Manifest(ManifestId(bytes(12)), arrays), spec=spec)
        assert digest_of(decode_manifest(data, where="m").arrays) == digest


def test_anything_makes_another() -> None:
    found = {
        changed((0, 0), REFS[0, 0]),
        changed((0, 0), NativeRef(OTHER, 5, 10)),
        changed((0, 0), NativeRef(OBJECT, 6, 10)),
        changed((0, 0), NativeRef(OBJECT, 5, 11)),
        changed((0, 0), None),
        changed((0, 3), REFS[0, 0]),
        changed((0, 1), InlineRef(b"Inline")),
        changed((2, 0), VirtualRef("s3://bucket/a", 1, 2, etag="tat")),
        changed((2, 0), VirtualRef("s3://bucket/a", 1, 2)),
        changed((2, 1), VirtualRef("s3://bucket/b", 3, 4, modified=1001)),
        changed((2, 2), VirtualRef("s3://bucket/d", 3, 4)),
        digest_of({B: ChunkRefs.of(2, REFS)}),
        digest_of({A: ChunkRefs.of(2, REFS), B: ChunkRefs.of(2, REFS)}),
        digest_of({}),
    }
    assert len(found) == 14


@pytest.mark.parametrize("empty", [{}, {A: ChunkRefs.empty(1)}])
def test_what_does_not_count(empty: dict[NodeId, ChunkRefs]) -> None:
    refs = ChunkRefs.of(1, {(1,): NativeRef(OBJECT, 0, 9, 5), (2,): NativeRef(OBJECT, 9, 9)})
    bare = replace(refs, checksum=None, modified=np.zeros(2, np.uint32))
    assert digest_of({B: refs, **empty}) == digest_of({B: bare})
