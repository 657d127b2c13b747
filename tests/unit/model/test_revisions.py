"""Names for versions."""

from __future__ import annotations

import pytest

from frazil.errors import InvalidInputError
from frazil.ids import SnapshotId
from frazil.model.revisions import by_id, named, split_steps

ONE = SnapshotId.parse("1CECHNKREP0F1RSTCMT0")
OTHER = SnapshotId.parse("1CECZZKREP0F1RSTCMT0")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("main", ("main", 0)),
        ("main~2", ("main", 2)),
        ("main~", ("main", 1)),
        ("main~~3", ("main", 4)),
        ("~", ("~", 0)),
        ("a~b", ("a~b", 0)),
        ("a~b~0", ("a~b", 0)),
    ],
)
def test_steps_back(text: str, parts: tuple[str, int]) -> None:
    assert split_steps(text) == parts


def test_branches_go_before_tags() -> None:
    assert named("x", {"x": ONE}, {"x": OTHER}) == ONE
    assert named("y", {"x": ONE}, {"y": OTHER}) == OTHER
    assert named("z", {"x": ONE}, {"y": OTHER}) is None


def test_the_beginning_of_an_id() -> None:
    ids = [ONE, OTHER]
    assert by_id("1cech", ids) == ONE
    assert by_id(str(OTHER), ids) == OTHER
    assert by_id("ZZZZ", ids) is None
    assert by_id("1CE", ids) is None, "too short to be meant as an id"
    with pytest.raises(InvalidInputError, match="2 snapshots"):
        by_id("1CEC", ids)
