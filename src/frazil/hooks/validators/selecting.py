"""Which nodes a pattern names."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def is_pattern(path: str) -> bool:
    """Whether a text stands for more than one path."""
    return any(character in path for character in "*?[")


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns names the path: `/t2m`, `t2m`, `/ocean/*`; * matches / too."""
    return any(fnmatchcase(path, absolute(pattern)) for pattern in patterns)


def absolute(pattern: str) -> str:
    """With one / in front."""
    return "/" + pattern.strip("/")
