"""Conditions as values and in documents."""

import pickle

import pytest

import frazil
from frazil.config import (
    ManifestPreloadCondition,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
)
from frazil.config.conditions import dimension_condition, preload_condition, split_condition

P, S, D = ManifestPreloadCondition, ManifestSplitCondition, ManifestSplitDimCondition

PRELOAD = [
    (P.true(), "true"),
    (P.false(), "false"),
    (P.path_matches('a"'), {"path_matches": {"regex": 'a"'}}),
    (P.name_matches("b"), {"name_matches": {"regex": "b"}}),
    (P.num_refs(1, 5), {"num_refs": {"from": {"Included": 1}, "to": {"Excluded": 5}}}),
    (P.num_refs(None, None), {"num_refs": {"from": "Unbounded", "to": "Unbounded"}}),
    (P.true() & P.false(), {"and": ["true", "false"]}),
    (P.or_conditions([P.true(), P.or_conditions([])]), {"or": ["true", {"or": []}]}),
]
SPLIT = [
    (S.AnyArray(), "any_array"),
    (S.path_matches("a"), {"path_matches": {"regex": "a"}}),
    (S.name_matches("a") & S.AnyArray(), {"and": [{"name_matches": {"regex": "a"}}, "any_array"]}),
    (S.AnyArray() | S.AnyArray(), {"or": ["any_array", "any_array"]}),
]
DIMENSION = [
    (D.Axis(2), {"Axis": 2}),
    (D.DimensionName("x"), {"DimensionName": "x"}),
    (D.Any(), "Any"),
]
ALL = [condition for condition, _ in [*PRELOAD, *SPLIT, *DIMENSION]]


@pytest.mark.parametrize(("condition", "document"), PRELOAD, ids=str)
def test_preload_conditions_in_documents(condition: P, document: object) -> None:
    assert condition.document() == document
    assert preload_condition("x", document) == condition


@pytest.mark.parametrize(("condition", "document"), SPLIT, ids=str)
def test_split_conditions_in_documents(condition: S, document: object) -> None:
    assert condition.document() == document
    assert split_condition("x", document) == condition


@pytest.mark.parametrize(("condition", "document"), DIMENSION, ids=str)
def test_dimension_conditions_in_documents(condition: D, document: object) -> None:
    assert condition.document() == document
    assert dimension_condition("x", document) == condition


@pytest.mark.parametrize("condition", ALL, ids=str)
def test_conditions_are_hashable_values(condition: object) -> None:
    assert pickle.loads(pickle.dumps(condition)) == condition
    assert len({condition, pickle.loads(pickle.dumps(condition))}) == 1
    assert sum(condition == other for other in ALL) == 1


@pytest.mark.parametrize("condition", ALL, ids=str)
def test_conditions_show_the_call_that_makes_them(condition: object) -> None:

    assert eval(repr(condition), {"frazil": frazil}) == condition


def test_the_classes_are_members_of_their_family() -> None:
    assert isinstance(P.num_refs(1, 2), P.NumRefs)
    assert isinstance(P.true(), getattr(P, "True"))
    assert isinstance(P.false(), getattr(P, "False"))
    assert isinstance(S.AnyArray() & S.AnyArray(), S.And)
    assert isinstance(D.Axis(1), D.Axis)
    assert not isinstance(S.path_matches("a"), P)
    assert S.path_matches("a") != P.path_matches("a")


def test_either_spelling_of_truth_and_of_bounds_is_read() -> None:
    assert preload_condition("x", True) == P.true()
    assert preload_condition("x", {"true": None}) == P.true()
    bounds = {"from": {"Excluded": 3}, "to": {"Included": 5}}
    assert preload_condition("x", {"num_refs": bounds}) == P.num_refs(4, 6)
    bounds = {"from": {"Included": 0}, "to": {"Included": 2**32 - 1}}
    assert preload_condition("x", {"num_refs": bounds}) == P.num_refs(0, None)


@pytest.mark.parametrize(
    "document",
    [
        None, 3, [], {}, {"or": "true"}, {"or": 3}, {"and": [3]}, {"a": 1, "b": 2}, "maybe",
        {"path_matches": "a"}, {"path_matches": {}}, {"path_matches": {"regex": 3}},
        {"num_refs": 3}, {"num_refs": {}}, {"num_refs": {"from": {"About": 3}, "to": "Unbounded"}},
        {"num_refs": {"from": {"Included": -1}, "to": "Unbounded"}},
        {"num_refs": {"from": {"Included": 2**32}, "to": "Unbounded"}},
        {"Axis": "x"}, {"Axis": -1}, {"DimensionName": 3}, {"Axis": None},
    ],
    ids=str,
)  # fmt: skip
def test_other_documents_are_refused(document: object) -> None:
    for read in (preload_condition, split_condition, dimension_condition):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            read("x", document)


def test_families_do_not_mix() -> None:
    with pytest.raises(TypeError, match="ManifestPreloadCondition"):
        P.or_conditions([S.AnyArray()])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="ManifestSplitCondition"):
        S.and_conditions([D.Any()])  # type: ignore[list-item]
