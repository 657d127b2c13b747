"""Patterns for paths of nodes: `*` for anything but `/`, `**` for anything, `?` for one letter."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def compile_glob(pattern: str) -> re.Pattern[str]:
    """The pattern, for `fullmatch` with paths; without a leading `/` it may begin anywhere."""
    anchored = pattern if pattern.startswith("/") else f"/**/{pattern}"
    tokens = _TOKEN.findall(anchored)
    return re.compile("".join(_MEANING.get(one) or re.escape(one) for one in tokens), re.DOTALL)
