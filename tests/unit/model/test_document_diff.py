"""Differences between documents of nested maps."""

from __future__ import annotations

from typing import Any

import pytest

from frazil.model.document_diff import document_diff

CASES: list[tuple[Any, Any, dict[str, tuple[Any, Any]]]] = [
    (None, None, {}),
    ({}, None, {}),
    ({"a": 1}, {"a": 1, "b": None}, {}),
    (None, {"a": 1}, {"a": (None, 1)}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a.c": (2, 3)}),
    ({"a": {"b": 1}}, {"a": None}, {"a.b": (1, None)}),
    ({"a": [1]}, {"a": [1, 2]}, {"a": ([1], [1, 2])}),
    ({"a": None}, {"a": {}}, {"a": (None, {})}),
]


@pytest.mark.parametrize(("old", "new", "wanted"), CASES)
def test_differences(old: Any, new: Any, wanted: dict[str, tuple[Any, Any]]) -> None:
    assert document_diff(old, new) == wanted
    assert document_diff(new, old) == {path: (b, a) for path, (a, b) in wanted.items()}
