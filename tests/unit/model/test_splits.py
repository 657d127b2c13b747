"""Which split sizes the rules of a configuration give an array."""

import pytest

from frazil.config import ManifestSplitCondition as Array
from frazil.config import ManifestSplitDimCondition as Dimension
from frazil.config import ManifestSplittingConfig
from frazil.config.manifests import UNSPLIT
from frazil.errors import ErrorKind, InvalidInputError
from frazil.model.splits import split_sizes


def sizes(rules: object, path: str = "/grp/temp", ndim: int = 2) -> tuple[int, ...]:
    names = ("time", "lat", "lon")[:ndim]
    return split_sizes(ManifestSplittingConfig(rules), path, names, (10,) * ndim)  # type: ignore[arg-type]


def test_without_rules_nothing_is_split() -> None:
    assert split_sizes(None, "/a", None, (3, 4)) == (UNSPLIT, UNSPLIT)
    assert split_sizes(ManifestSplittingConfig(), "/a", None, (3,)) == (UNSPLIT,)
    assert sizes([]) == (UNSPLIT, UNSPLIT)
    assert sizes([(Array.AnyArray(), [(Dimension.Any(), 3)])], ndim=0) == ()


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Array.AnyArray(), True),
        (Array.path_matches("grp"), True),
        (Array.path_matches("^/grp/temp$"), True),
        (Array.path_matches("^temp"), False),
        (Array.name_matches("^temp$"), True),
        (Array.name_matches("grp"), False),
        (Array.name_matches("temp") & Array.path_matches("nowhere"), False),
        (Array.name_matches("temp") | Array.path_matches("nowhere"), True),
        (Array.or_conditions([]), False),
        (Array.and_conditions([]), True),
    ],
    ids=str,
)
def test_array_conditions(condition: Array, holds: bool) -> None:
    expected = (7, 7) if holds else (UNSPLIT, UNSPLIT)
    assert sizes([(condition, [(Dimension.Any(), 7)])]) == expected


@pytest.mark.parametrize(
    ("dimensions", "expected"),
    [
        ([(Dimension.Axis(1), 3)], (UNSPLIT, 3)),
        ([(Dimension.Axis(5), 3)], (UNSPLIT, UNSPLIT)),
        ([(Dimension.DimensionName("^t"), 4)], (4, UNSPLIT)),
        ([(Dimension.DimensionName("a"), 4), (Dimension.Any(), 5)], (5, 4)),
        ([(Dimension.Any(), 5), (Dimension.Axis(0), 4)], (5, 5)),
    ],
)
def test_dimension_conditions(dimensions: object, expected: tuple[int, ...]) -> None:
    assert sizes([(Array.AnyArray(), dimensions)]) == expected


def test_an_axis_that_one_rule_leaves_out_is_for_the_next() -> None:
    rules = [
        (Array.name_matches("temp"), [(Dimension.Axis(0), 2)]),
        (Array.AnyArray(), [(Dimension.Any(), 9)]),
    ]
    assert sizes(rules) == (2, 9)


def test_unnamed_dimensions_have_no_name_to_match() -> None:
    config = ManifestSplittingConfig([(Array.AnyArray(), [(Dimension.DimensionName(""), 2)])])
    assert split_sizes(config, "/a", None, (4,)) == (UNSPLIT,)
    assert split_sizes(config, "/a", (None, "x"), (4, 4)) == (UNSPLIT, 2)


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="/grp/temp") as caught:
        sizes([(Array.AnyArray(), [(Dimension.Any(), 0)])])
    assert caught.value.kind == ErrorKind.INVALID_MANIFEST_SPLIT_INDEX


def test_a_pattern_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="regular expression"):
        sizes([(Array.path_matches("("), [(Dimension.Any(), 1)])])
