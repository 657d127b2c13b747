"""What differs between two documents of nested maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def document_diff(
    old: dict[str, Any] | None, new: dict[str, Any] | None
) -> dict[str, tuple[Any, Any]]:
    """The value before and after of each leaf that differs, by its path joined with dots.

    Lists are leaves. A name that is missing and one without a value are the same: None.
    """
    before, after = dict(_leaves(old or {}, "")), dict(_leaves(new or {}, ""))
    paths = sorted(before.keys() | after.keys())
    pairs = {path: (before.get(path), after.get(path)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(document: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
