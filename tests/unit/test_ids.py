import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.ids import INITIAL_SNAPSHOT, ChunkId, NodeId, ObjectId, SnapshotId


def test_known_texts() -> None:
    assert str(INITIAL_SNAPSHOT) == "1CECHNKREP0F1RSTCMT0"
    assert str(ChunkId(bytes(12))) == "0" * 20
    assert str(ChunkId(b"\xff" * 12)) == "Z" * 19 + "G"
    assert str(NodeId(b"\xff" * 8)) == "Z" * 12 + "Y"
    assert str(NodeId(bytes(7) + b"\x01")) == "0" * 12 + "2"


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=8, max_size=8))
def test_texts_are_read_back(twelve: bytes, eight: bytes) -> None:
    for id_ in (SnapshotId(twelve), NodeId(eight)):
        kind: type[ObjectId] = type(id_)
        assert kind.parse(str(id_)) == id_
        assert kind.parse(str(id_).lower()) == id_
        assert type(kind.parse(str(id_))) is kind


@pytest.mark.parametrize("text", ["", "0" * 19, "0" * 21, "U" + "0" * 19, "é" + "0" * 19])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="20 characters"):
        SnapshotId.parse(text)


@pytest.mark.parametrize("size", [0, 8, 11, 13])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(InvalidInputError, match="takes 12 bytes"):
        ChunkId(bytes(size))


def test_random_ids_differ() -> None:
    assert len({NodeId.random() for _ in range(1000)}) == 1000
