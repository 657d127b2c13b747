"""The enumerations are integers that show themselves by name."""

import pickle

import pytest

from frazil.types import (
    ChunkType,
    RepoAvailability,
    SessionMode,
    SpecVersion,
    spec_version,
    supported_spec_versions,
)


def test_spec_versions_compare_with_integers() -> None:
    assert SpecVersion.v1 == 1
    assert SpecVersion.v1 < 2
    assert SpecVersion.v1 < SpecVersion.v2
    assert SpecVersion.current() is SpecVersion.v2
    assert spec_version() is SpecVersion.v2
    assert supported_spec_versions() == [SpecVersion.v2, SpecVersion.v1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SpecVersion.v1, "SpecVersion.v1"),
        (SpecVersion.v2, "SpecVersion.v2 (current)"),
        (SessionMode.rearrange, "SessionMode.rearrange"),
        (ChunkType.inline, "ChunkType.inline"),
        (RepoAvailability.read_only, "RepoAvailability.read_only"),
    ],
)
def test_members_show_their_name(value: object, shown: str) -> None:
    assert repr(value) == str(value) == shown
    assert pickle.loads(pickle.dumps(value)) is value


def test_chunk_types_have_the_numbers_of_the_format() -> None:
    assert [kind.value for kind in ChunkType] == [0, 1, 2, 3]
    assert ChunkType(2) is ChunkType.virtual
