"""Many ids at once: reading, writing, gathering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.ids import ALPHABET, SnapshotId
from frazil.model import keys as module
from frazil.model.keys import Keys, KeySet, format_ids, parse_ids, raw_ids

IDS = st.binary(min_size=12, max_size=12) | st.integers(0, 255).map(
    lambda n: bytes([n] * 3 + [0] * 9)
)


def column(ids: list[bytes]) -> Keys:
    return np.frombuffer(b"".join(ids), "S12")


def is_id(text: str) -> bool:
    try:
        return str(SnapshotId.parse(text)) == text
    except InvalidInputError:
        return False


@given(
    st.lists(
        IDS.map(lambda raw: str(SnapshotId(raw)))
        | st.text(ALPHABET + "abcIL01é", min_size=19, max_size=21)
        | st.text(max_size=25)
    )
)
def test_names_that_are_ids(names: list[str]) -> None:
    ids, valid = parse_ids(names)
    assert valid.tolist() == [is_id(name) for name in names]
    for name, raw in zip(np.array(names, object)[valid], ids[valid], strict=True):
        assert SnapshotId(raw.tobytes()) == SnapshotId.parse(name)
    spelled = [name.encode("utf-8", "surrogatepass") for name in names]
    again, plain = parse_ids(spelled)
    assert plain.tolist() == valid.tolist()
    assert again[plain].tobytes() == ids[valid].tobytes()


@given(st.lists(IDS))
def test_texts_are_those_of_single_ids(ids: list[bytes]) -> None:
    assert format_ids(column(ids)) == [str(SnapshotId(raw)) for raw in ids]
    assert raw_ids(column(ids)) == ids


def test_many_are_done_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 3)
    ids = [bytes([n]) * 12 for n in range(10)]
    names = format_ids(column(ids))
    assert names == [str(SnapshotId(raw)) for raw in ids]
    assert parse_ids(names)[0].tobytes() == b"".join(ids)


@given(st.lists(st.lists(IDS)), st.sampled_from([1, 1000]))
def test_a_set_has_each_key_once(parts: list[list[bytes]], merge: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MERGE", merge)
        found = KeySet()
        for part in parts:
            found.add(column(part))
        assert raw_ids(found.keys()) == sorted({raw for part in parts for raw in part})
