"""Common ancestors, where merges join lines of descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.history import SnapshotRecord
from frazil.ids import SnapshotId
from frazil.model.descent import common_ancestor, merge_parents, parents, with_own


def id_of(number: int) -> SnapshotId:
    return SnapshotId(number.to_bytes(12, "big"))


def record(number: int, *above: int) -> SnapshotRecord:
    metadata = with_own({}, merge_parents=[str(id_of(n)) for n in above[1:]])
    parent = id_of(above[0]) if above else None
    return SnapshotRecord(id_of(number), parent, number, "", metadata, ())


def lookup(graph: dict[int, list[int]]) -> Callable[[SnapshotId], SnapshotRecord | None]:
    return {id_of(n): record(n, *above) for n, above in graph.items()}.get


def common(graph: dict[int, list[int]], one: int, other: int) -> int | None:
    found = common_ancestor(lookup(graph), id_of(one), id_of(other))
    return None if found is None else int.from_bytes(found, "big")


@pytest.mark.parametrize(
    ("graph", "one", "other", "expected"),
    [
        ({0: [], 1: [0], 2: [0]}, 1, 2, 0),
        ({0: [], 1: [0], 2: [1]}, 2, 1, 1),
        ({0: []}, 0, 0, 0),
        ({0: [], 1: []}, 0, 1, None),
        ({0: [], 1: [0], 2: [0], 3: [1, 2], 4: [2]}, 3, 4, 2),  # through a merge
        ({0: [], 1: [0], 2: [0], 3: [1, 2], 4: [2, 1], 5: [3], 6: [4]}, 5, 6, 2),  # crosswise
        ({1: [0], 2: [1, 9], 3: [1]}, 2, 3, 1),  # what has expired is passed over
        ({1: [0], 2: [0]}, 1, 2, None),
    ],
)
def test_common_ancestors(
    graph: dict[int, list[int]], one: int, other: int, expected: int | None
) -> None:
    assert common(graph, one, other) == common(graph, other, one) == expected


@given(st.data())
def test_no_common_ancestor_is_below_another(data: st.DataObject) -> None:
    graph: dict[int, list[int]] = {0: []}
    for n in range(1, data.draw(st.integers(1, 12))):
        above = st.lists(st.integers(0, n - 1), min_size=1, max_size=3, unique=True)
        graph[n] = data.draw(above)

    def history(n: int) -> set[int]:
        return {n}.union(*map(history, graph[n]))

    one, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
    found = common(graph, one, other)
    both = history(one) & history(other)
    assert found in both
    assert not any(found in history(n) for n in both - {found})


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"frazil": 1},
        {"frazil": {}},
        {"frazil": {"merge_parents": "x"}},
        {"frazil": {"merge_parents": [1, None, "no id"]}},
    ],
)
def test_metadata_of_others(metadata: dict[str, Any]) -> None:
    assert merge_parents(metadata) == ()


def test_parents_come_in_order() -> None:
    assert list(parents(record(5, 4, 3, 2))) == [id_of(4), id_of(3), id_of(2)]
    assert list(parents(record(0))) == []


def test_what_callers_put_there_stays() -> None:
    assert with_own({"a": 1, "frazil": {"b": 2}}, c=3) == {"a": 1, "frazil": {"b": 2, "c": 3}}
    assert with_own({"frazil": 1}, c=3) == {"frazil": {"c": 3}}
    assert with_own(None, c=3) == {"frazil": {"c": 3}}
