"""Chunks by what they are, and what is in their place."""

from __future__ import annotations

import numpy as np

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, VirtualRef
from frazil.ids import ChunkId
from frazil.model.relocation import place_keys
from frazil.model.replaced import Replaced, chunk_keys

PACK = ChunkId(b"p" * 11 + b"\0")
REFS = ChunkRefs.of(
    2,
    {
        (0, 0): NativeRef(PACK, 0, 5, 7),
        (0, 1): NativeRef(PACK, 0, 5),
        (1, 0): NativeRef(PACK, 5, 256),
        (1, 1): InlineRef(b"one"),
        (1, 2): InlineRef(b"two"),
        (2, 0): VirtualRef("file:///f", 0, 4),
        (2, 1): VirtualRef("file:///g", 0, 4),
        (2, 2): VirtualRef("file:///f", 0, 4, etag="x"),
    },
)


def test_chunks_that_are_the_same() -> None:
    keys = chunk_keys(REFS)
    assert len(set(keys.tolist())) == len(REFS)
    again = ChunkRefs.of(2, {tuple(REFS.index[i].tolist()): REFS.row(i) for i in range(8)})
    assert (chunk_keys(again) == keys).all()
    assert len(chunk_keys(ChunkRefs.empty(0))) == 0


def test_found_again_in_any_order() -> None:
    keys = chunk_keys(REFS)
    odd, even = np.arange(8) % 2 == 1, np.arange(8) % 2 == 0
    known = Replaced.none(2)
    assert (known.find(keys) == -1).all()
    for rows in (odd, even):
        part = Replaced(keys[rows], REFS.take(rows), np.ones(int(rows.sum()), np.bool_))
        known = known.joined(part)
        assert ((known.find(keys) >= 0) == (odd if rows is odd else True)).all()
    assert known.are_same(REFS).all()
    assert known.instead_of(REFS).equals(REFS)


def test_where_native_chunks_were() -> None:
    same = np.arange(8) > 0
    known = Replaced.none(2).joined(Replaced(chunk_keys(REFS), REFS, same))
    native = REFS.take(slice(0, 3))
    places = place_keys(native.object, native.offset, native.length)
    rows, found = known.native_places(known.same)
    assert (rows.tolist(), found.tolist()) == ([1, 2], places[1:].tolist())
    assert known.native_places(~known.same)[1].tolist() == places[:1].tolist()
