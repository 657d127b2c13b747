"""Ranges of chunks; and virtual references, which nothing can read yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.engine.reader import ChunkReader, ref_length, resolve_range
from frazil.errors import InvalidInputError
from frazil.format.chunk_refs import InlineRef, NativeRef, VirtualRef
from frazil.ids import ChunkId
from frazil.library.files import Library
from frazil.storage.memory import MemoryBackend

VIRTUAL = VirtualRef("s3://bucket/key", 0, 9)


@given(st.integers(1, 20), st.none() | st.integers(0, 25), st.none() | st.integers(0, 25))
def test_a_range_must_lie_within_the_chunk(length: int, start: int | None, end: int | None) -> None:
    first, last = start or 0, length if end is None else end
    empty_rest = end is None and start is not None and start >= length
    if first <= last <= length and not empty_rest:
        assert resolve_range(length, start, end, None) == (first, last)
    else:
        with pytest.raises(InvalidInputError, match=f"of a chunk of {length} bytes") as caught:
            resolve_range(length, start, end, None)
        assert caught.value.kind == "invalid-byte-range"


@given(st.integers(1, 20), st.integers(0, 25))
def test_a_suffix_must_not_be_longer_than_the_chunk(length: int, suffix: int) -> None:
    if suffix <= length:
        assert resolve_range(length, None, None, suffix) == (length - suffix, length)
    else:
        with pytest.raises(InvalidInputError, match=f"the last {suffix} of a chunk of {length}"):
            resolve_range(length, None, None, suffix)


def test_lengths() -> None:
    assert ref_length(InlineRef(b"abc")) == 3
    assert ref_length(NativeRef(ChunkId(bytes(12)), 5, 7)) == 7
    assert ref_length(VIRTUAL) == 9


def test_a_virtual_chunk_is_never_taken_for_an_empty_one() -> None:
    reader = ChunkReader(Library(MemoryBackend(), spec=2), None)
    assert not reader.is_quick(VIRTUAL, 1)
    with pytest.raises(InvalidInputError, match="s3://bucket/key") as caught:
        reader.read(VIRTUAL, 0, 9)
    assert caught.value.kind == "no-container-for-virtual-chunk"
