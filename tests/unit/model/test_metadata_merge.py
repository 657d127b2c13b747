"""Merging two changes of one document by key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.model.metadata_merge import (
    KeyConflict,
    Shift,
    encode,
    keeps_chunks,
    merge_metadata,
)

GRID = {"name": "regular", "configuration": {"chunk_shape": [2, 5]}}


def array(shape: list[int], **members: Any) -> dict[str, Any]:
    return {
        "node_type": "array",
        "shape": shape,
        "chunk_grid": GRID,
        "codecs": [{"name": "bytes"}],
        "fill_value": 0,
        "attributes": {},
    } | members


def attributes(**values: Any) -> dict[str, Any]:
    return {"node_type": "group", "attributes": values}


def test_different_keys_go_together_at_any_depth() -> None:
    base = attributes(units="K", deep={"a": 1, "b": 2, "c": 3}, gone=1)
    ours = attributes(units="K", deep={"a": 9, "b": 2, "c": 3, "ours": 0}, gone=1, new=1)
    theirs = attributes(units="C", deep={"a": 1, "c": 3})
    merged = merge_metadata(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.document == attributes(units="C", deep={"a": 9, "c": 3, "ours": 0}, new=1)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "conflict"),
    [
        (1, 2, 3, KeyConflict(("attributes", "k"), 1, 2, 3)),
        (1, 2, None, KeyConflict(("attributes", "k"), 1, 2, None)),
        (None, 1, 1.0, KeyConflict(("attributes", "k"), None, 1, 1.0)),
        (None, {"a": 1}, {"a": 2}, KeyConflict(("attributes", "k", "a"), None, 1, 2)),
        (None, {"a": 1}, [1], KeyConflict(("attributes", "k"), None, {"a": 1}, [1])),
        ([1], [1, 2], [1, 3], KeyConflict(("attributes", "k"), [1], [1, 2], [1, 3])),
    ],
)
def test_one_key_with_different_values_is_a_conflict(
    base: Any, ours: Any, theirs: Any, conflict: KeyConflict
) -> None:
    documents = [attributes(**({} if v is None else {"k": v})) for v in (base, ours, theirs)]
    assert merge_metadata(*documents).conflicts == (conflict,)


def test_the_same_value_on_both_sides_is_none() -> None:
    nan = float("nan")
    merged = merge_metadata(attributes(a=1, n=nan), attributes(a=2, n=float("nan")), attributes())
    assert merged.conflicts == (KeyConflict(("attributes", "a"), 1, 2, None),)
    assert merge_metadata(attributes(a=1), attributes(a=2), attributes(a=2)).conflicts == ()


def test_members_are_compared_whole() -> None:
    base = array([4, 5])
    ours = array([4, 5], fill_value=1, dimension_names=["y", None])
    theirs = array([4, 5], fill_value=2, attributes={"a": 1})
    merged = merge_metadata(base, ours, theirs)
    assert merged.conflicts == (KeyConflict(("fill_value",), 0, 1, 2),)
    assert merged.document["dimension_names"] == ["y", None]
    assert merged.document["attributes"] == {"a": 1}


def test_members_of_the_layout_belong_together() -> None:
    base = array([4, 5])
    ours, theirs = array([6, 5]), array([4, 5], codecs=[{"name": "gzip"}])
    conflicts = merge_metadata(base, ours, theirs).conflicts
    assert [conflict.key for conflict in conflicts] == [("shape",), ("codecs",)]
    assert merge_metadata(base, ours, ours).conflicts == ()
    assert merge_metadata(base, ours, array([4, 5], attributes={"a": 1})).conflicts == ()


def test_two_new_groups() -> None:
    merged = merge_metadata(None, attributes(a=1, same=0), attributes(b=2, same=0))
    assert merged.conflicts == ()
    assert merged.document == attributes(a=1, b=2, same=0)
    assert merge_metadata(None, attributes(a=1), attributes(a=2)).conflicts


class TestAppends:
    def test_fail_unless_allowed(self) -> None:
        conflicts = merge_metadata(array([4, 5]), array([6, 5]), array([8, 5])).conflicts
        assert conflicts == (KeyConflict(("shape",), [4, 5], [6, 5], [8, 5]),)

    @pytest.mark.parametrize(
        ("ours", "theirs", "shape", "by"),
        [([6, 5], [8, 5], [10, 5], 2), ([6, 5], [6, 5], [8, 5], 1), ([5, 5], [6, 5], [7, 5], 1)],
    )
    def test_mine_go_behind_theirs(
        self, ours: list[int], theirs: list[int], shape: list[int], by: int
    ) -> None:
        merged = merge_metadata(array([4, 5]), array(ours), array(theirs), order_appends=True)
        assert merged.conflicts == ()
        assert merged.document["shape"] == shape
        assert merged.shift == Shift(axis=0, start=2, by=by)

    @pytest.mark.parametrize(
        ("base", "ours", "theirs"),
        [
            (array([3, 5]), array([6, 5]), array([8, 5])),  # the old end lies within a chunk
            (array([4, 5]), array([6, 5]), array([7, 5])),  # so does the new one
            (array([3, 5]), array([6, 5]), array([6, 5])),
            (array([4, 5]), array([6, 10]), array([8, 5])),  # along two dimensions
            (array([4, 5]), array([6, 5]), array([8, 10])),
            (array([4, 5]), array([6, 5], codecs=[]), array([8, 5])),
            (
                array([4, 5], chunk_grid={"name": "rectilinear"}),
                array([6, 5], chunk_grid={"name": "rectilinear"}),
                array([8, 5], chunk_grid={"name": "rectilinear"}),
            ),
        ],
    )
    def test_what_cannot_be_put_in_order_is_a_conflict(
        self, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
    ) -> None:
        merged = merge_metadata(base, ours, theirs, order_appends=True)
        assert ("shape",) in [conflict.key for conflict in merged.conflicts]
        assert merged.shift is None

    def test_along_different_dimensions_nothing_is_ordered(self) -> None:
        merged = merge_metadata(array([4, 5]), array([6, 5]), array([4, 9]), order_appends=True)
        assert [conflict.key for conflict in merged.conflicts] == [("shape",)]


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (array([4, 5], attributes={"a": 1}, dimension_names=["y", "x"]), True),
        (array([6, 5]), True),
        (array([2, 9]), False),
        (array([4]), False),
        (array([4, 5], codecs=[]), False),
        (array([4, 5], chunk_grid={"name": "rectilinear"}), False),
    ],
)
def test_what_leaves_the_meaning_of_chunks_alone(after: dict[str, Any], same: bool) -> None:
    assert keeps_chunks(array([4, 5]), after) is same


def test_a_document_that_is_known_keeps_its_bytes() -> None:
    known = b'{"attributes":{"a":1},   "node_type":"group"}'
    assert encode(attributes(a=1), b"{}", known) == known
    assert json.loads(encode(attributes(a=2), known)) == attributes(a=2)


values = st.recursive(
    st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
documents = st.dictionaries(st.sampled_from("abc"), values).map(lambda d: attributes(**d))


@given(documents, documents)
def test_one_side_alone_changes_nothing_but_its_own(base: Any, changed: Any) -> None:
    assert merge_metadata(base, changed, base).document == changed
    assert merge_metadata(base, base, changed).document == changed
    assert merge_metadata(base, changed, changed).document == changed
    assert merge_metadata(base, changed, base).conflicts == ()


@given(documents, documents, documents)
def test_sides_are_alike(base: Any, ours: Any, theirs: Any) -> None:
    one, other = merge_metadata(base, ours, theirs), merge_metadata(base, theirs, ours)
    assert {c.key for c in one.conflicts} == {c.key for c in other.conflicts}
    if not one.conflicts:
        assert one.document == other.document


flat = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))


@given(flat, flat, flat)
def test_each_key_is_merged_on_its_own(base: Any, ours: Any, theirs: Any) -> None:
    merged = merge_metadata(*(attributes(**values) for values in (base, ours, theirs)))
    expected, conflicts = {}, set()
    for key in "abcd":
        before, mine, other = (values.get(key) for values in (base, ours, theirs))
        if mine != before and other != before and mine != other:
            conflicts.add(("attributes", key))
        expected[key] = mine if other == before else other
    assert {conflict.key for conflict in merged.conflicts} == conflicts
    present = {key: value for key, value in expected.items() if value is not None}
    assert merged.document["attributes"] == present
