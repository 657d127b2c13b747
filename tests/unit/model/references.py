"""References to chunks for property tests: as values by coordinates, the simplest model."""

from __future__ import annotations

from hypothesis import strategies as st

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.ids import ChunkId

Coords = tuple[int, ...]
Model = dict[Coords, Ref]
Edits = dict[Coords, Ref | None]

components = st.one_of(st.integers(0, 6), st.sampled_from([255, 256, 65_536, 2**32 - 2]))


def coordinates(ndim: int) -> st.SearchStrategy[Coords]:
    """Chunks of an array of this rank: mostly near each other, some far away."""
    return st.tuples(*[components] * ndim)


references: st.SearchStrategy[Ref] = st.one_of(
    st.builds(InlineRef, st.binary(min_size=1, max_size=3)),
    st.builds(
        NativeRef,
        st.sampled_from([ChunkId(bytes([i]) * 12) for i in range(3)]),
        st.integers(0, 9),
        st.integers(1, 9),
    ),
    st.builds(
        VirtualRef,
        st.sampled_from(["s3://b/k", "file:///é"]),
        st.integers(0, 9),
        st.integers(1, 9),
        st.sampled_from([None, "tag"]),
        st.sampled_from([None, 7]),
    ),
)


def stored(ndim: int) -> st.SearchStrategy[Model]:
    """References in a manifest."""
    return st.dictionaries(coordinates(ndim), references, max_size=12)


def edits(ndim: int) -> st.SearchStrategy[Edits]:
    """Written and erased chunks."""
    return st.dictionaries(coordinates(ndim), st.none() | references, max_size=12)


def values(refs: ChunkRefs) -> Edits:
    """The columns as a model; rows must be sorted."""
    assert refs.is_sorted()
    return {tuple(map(int, refs.index[i])): refs.row(i) for i in range(len(refs))}


def within(coords: Coords, counts: Coords) -> bool:
    """Whether the chunk lies in a grid of this many chunks along each dimension."""
    return all(c < n for c, n in zip(coords, counts, strict=True))
