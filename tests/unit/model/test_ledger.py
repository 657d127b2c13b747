"""Distinct ranges of bytes in columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.ids import ChunkId
from frazil.model import ledger
from frazil.model.ledger import Ledger, object_words, owners, ranges_of, sums_by_part


def object_id(number: int) -> ChunkId:
    return ChunkId(number.to_bytes(12, "little"))


natives = st.builds(
    NativeRef, st.integers(0, 3).map(object_id), st.integers(0, 2), st.integers(1, 3)
)
virtuals = st.builds(
    VirtualRef, st.sampled_from(["s3://a/b", "s3://a/c"]), st.integers(0, 2), st.integers(1, 3)
)
inlines = st.binary(min_size=1, max_size=3).map(InlineRef)
manifests = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.one_of(natives, virtuals, inlines)),
    max_size=12,
)
"""Of each reference the snapshot, the array in it, and the reference."""


def columns(refs: list[Ref]) -> ChunkRefs:
    return ChunkRefs.of(1, {(i,): ref for i, ref in enumerate(refs)})


def key_of(ref: Ref) -> tuple[object, int, int] | None:
    match ref:
        case NativeRef():
            return ref.object, ref.offset, ref.length
        case VirtualRef():
            return ref.location, ref.offset, ref.length
        case InlineRef():
            return None


@given(st.lists(manifests, max_size=6), st.booleans())
def test_each_range_once_with_its_first_owner(
    files: list[list[tuple[int, int, Ref]]], eager: bool
) -> None:
    found = Ledger()
    expected: dict[object, tuple[int, int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_MERGE", 0 if eager else 1 << 20)
        for rows in files:
            owner = owners(
                np.array([rank for rank, _, _ in rows], np.int64),
                np.array([node for _, node, _ in rows], np.int64),
            )
            found.add(ranges_of(columns([ref for _, _, ref in rows]), owner)[0])
            for rank, node, ref in rows:
                key = key_of(ref)
                if key is not None:
                    expected[key] = min(expected.get(key, (99, 0)), (rank, node))
    ranges = found.ranges()
    assert bool((ranges.key[1:] > ranges.key[:-1]).all())
    got = zip(ranges.rank.tolist(), ranges.node.tolist(), ranges.size.tolist(), strict=True)
    wanted = [(*owner, key[2]) for key, owner in expected.items()]  # type: ignore[index]
    assert sorted(got) == sorted(wanted)
    own = {key[0] for key in expected if isinstance(key[0], bytes)}  # type: ignore[index]
    assert set(ranges.object[ranges.native].tolist()) == set(
        object_words(np.frombuffer(b"".join(own), np.uint8).reshape(-1, 12)).tolist()
    )


@given(manifests)
def test_sums_by_part(rows: list[tuple[int, int, Ref]]) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    part = np.array([number for _, number, _ in rows], np.int64)
    sums = sums_by_part(columns([ref for _, _, ref in rows]), part, 3)
    for number in range(3):
        mine = [ref for _, at, ref in rows if at == number]
        once = {key_of(ref): ref for ref in mine if not isinstance(ref, InlineRef)}.values()
        assert sums[number].tolist() == [
            sum(ref.length for ref in once if isinstance(ref, NativeRef)),
            sum(len(ref.data) for ref in mine if isinstance(ref, InlineRef)),
            sum(ref.length for ref in once if isinstance(ref, VirtualRef)),
        ]


def test_ranges_that_look_alike_are_told_apart() -> None:
    """Neighbours in one object, objects that differ in a bit, offset and length exchanged."""
    refs: list[Ref] = [
        NativeRef(ChunkId(bytes([*raw])), offset, length)
        for raw in ([0] * 12, [0] * 11 + [1], [1] + [0] * 11, [0] * 8 + [1] + [0] * 3)
        for offset in range(60)
        for length in range(1, 61)
    ]
    refs += [VirtualRef("s3://a/b", offset, 7) for offset in range(100)]
    found, rows = ranges_of(columns(refs), np.zeros(len(refs), np.int64))
    assert len(np.unique(found.key)) == len(refs) == len(rows)
