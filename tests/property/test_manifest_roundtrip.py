"""What is written is what is read, for any references and any table shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.format import flatbuf_writer as fb
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, VirtualRef
from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot, read_root
from frazil.format.manifest import (
    LocationCompression,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from frazil.ids import ChunkId, ManifestId, NodeId

U64 = st.integers(0, 2**64 - 1)
NUMBER = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 2))
REF = st.one_of(
    st.builds(InlineRef, st.binary(max_size=40)),
    st.builds(NativeRef, st.binary(min_size=12, max_size=12).map(ChunkId), U64, U64),
    st.builds(
        VirtualRef,
        st.text(max_size=60),
        U64,
        U64,
        st.none() | st.text(max_size=5),
        st.none() | st.integers(1, 2**32 - 1),
    ),
)


@st.composite
def chunk_refs(draw: st.DrawFn, min_size: int = 0) -> ChunkRefs:
    ndim = draw(st.integers(0, 5))
    coords = st.tuples(*[NUMBER] * ndim)
    return ChunkRefs.of(ndim, draw(st.dictionaries(coords, REF, min_size=min_size, max_size=30)))


NODES = st.binary(min_size=8, max_size=8).map(NodeId)
MANIFESTS = st.builds(
    Manifest,
    st.binary(min_size=12, max_size=12).map(ManifestId),
    st.dictionaries(NODES, chunk_refs(min_size=1), max_size=4),
)


@pytest.mark.usefixtures("each_writer")
@settings(max_examples=150, deadline=None)
@given(MANIFESTS, st.sampled_from([1, 2]), st.sampled_from([1, 1000]))
def test_manifests(manifest: Manifest, spec: int, compress_from: int) -> None:
    how = LocationCompression(min_num_chunks=compress_from)
    file = encode_manifest(manifest, spec=spec, location_compression=how)
    found = decode_manifest(file, where="file")
    assert found.id == manifest.id
    assert list(found.arrays) == sorted(manifest.arrays)
    assert all(refs.equals(manifest.arrays[node]) for node, refs in found.arrays.items())


@settings(max_examples=150, deadline=None)
@given(chunk_refs(), st.data())
def test_every_row_is_found_and_nothing_else(refs: ChunkRefs, data: st.DataObject) -> None:
    coords = [tuple(row) for row in refs.index.tolist()]
    assert [refs.find(c) for c in coords] == list(range(len(refs)))
    other = data.draw(st.tuples(*[NUMBER] * refs.ndim))
    expected = coords.index(other) if other in coords else -1
    assert refs.find(other) == expected
    assert refs.find_many(np.array([other], np.uint32).reshape(1, refs.ndim)).tolist() == [expected]


@settings(max_examples=100, deadline=None)
@given(chunk_refs(min_size=1), st.randoms(use_true_random=False))
def test_sorting_undoes_shuffling(refs: ChunkRefs, random: Any) -> None:
    order = list(range(len(refs)))
    random.shuffle(order)
    shuffled = refs.take(np.array(order))
    assert shuffled.sorted().equals(refs)
    assert shuffled.is_sorted() == (order == sorted(order))


FIELDS = st.one_of(
    st.tuples(st.just("scalar"), st.sampled_from(["u1", "<u2", "<u4", "<i4", "<u8"])),
    st.tuples(st.just("struct"), st.integers(1, 13)),
    st.tuples(st.just("string"), st.just(None)),
    st.tuples(st.just("blob"), st.just(None)),
    st.tuples(st.just("items"), st.sampled_from(["u1", "<u2", "<u4", "<u8"])),
    st.tuples(st.just("embed"), st.integers(0, 4)),
)


@pytest.mark.usefixtures("each_writer")
@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.integers(0, 5), st.integers(20, 40)),
    st.lists(st.tuples(st.booleans(), FIELDS), max_size=7),
    st.integers(0, 2**32),
)
def test_tables(n: int, fields: list[tuple[bool, tuple[str, Any]]], seed: int) -> None:
    """Any mix of fields, each written or left out, comes back row by row."""
    random = np.random.default_rng(seed)
    block = fb.table_block(n)
    checks = []
    for number, (write, (kind, detail)) in enumerate(fields):
        slot = Slot(number, f"Thing.{number}")
        if not write:
            continue
        some = random.random(n) < 0.7
        if kind == "scalar":
            info = np.iinfo(detail)
            values = random.integers(info.min, info.max, n, dtype=detail, endpoint=True)
            block.scalar(slot, detail, values)
            checks.append((slot, kind, detail, values.tolist()))
        elif kind == "struct":
            raw = random.integers(0, 256, (n, detail), dtype=np.uint8)
            block.struct(slot, raw, some)
            checks.append((slot, kind, detail, np.where(some[:, None], raw, 0).tolist()))
        elif kind == "items":
            counts = np.where(some, random.integers(0, 4, n), -1)
            items = random.integers(0, 200, int(np.maximum(counts, 0).sum())).astype(detail)
            block.refer(slot, fb.items(items, counts, align=8))
            checks.append((slot, kind, detail, (items.tolist(), counts.tolist())))
        elif kind == "embed":
            numbers = random.integers(0, 2**32, (n, detail), dtype=np.uint32)
            block.embed(slot, numbers)
            checks.append((slot, "items", "<u4", (numbers.reshape(-1).tolist(), [detail] * n)))
        else:
            texts = ["ä€x"[i % 3] * int(k) for i, k in enumerate(random.integers(0, 9, n))]
            column = [t.encode() if s else None for t, s in zip(texts, some, strict=True)]
            write_column = fb.strings if kind == "string" else fb.blobs
            block.refer(slot, write_column(ByteColumn.of(column)))
            checks.append((slot, kind, detail, column))
    root = fb.table_block(1)
    root.refer(Slot(0, "root"), fb.vectors(block))

    tables = read_root(bytes(fb.finish(root)), where="file").tables(Slot(0, "root"))

    assert len(tables) == n
    for slot, kind, detail, expected in checks:
        if kind == "scalar":
            assert tables.scalar(slot, detail).tolist() == expected
        elif kind == "struct":
            assert tables.struct(slot, detail, required=False).tolist() == expected
        elif kind == "items":
            items, counts = tables.items(slot, detail, required=False)
            assert (items.tolist(), counts.tolist()) == expected
        else:
            read = tables.string if kind == "string" else tables.blob
            found = read(slot, required=False)
            assert [found[i] for i in range(n)] == expected
