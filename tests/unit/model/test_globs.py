"""Patterns for paths."""

from __future__ import annotations

import pytest

from frazil.model.globs import compile_glob


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("/a", ["/a"], ["/b", "/a/b", "/ba"]),
        ("/*", ["/a", "/abc"], ["/a/b"]),
        ("/*/t?", ["/a/t2", "/b/tt"], ["/t2", "/a/t", "/a/b/t2"]),
        ("/**", ["/a", "/a/b/c"], []),
        ("/a/**", ["/a/b", "/a/b/c"], ["/ab", "/b/a/c"]),
        ("/**/t", ["/t", "/a/t", "/a/b/t"], ["/at", "/t/a"]),
        ("t*", ["/t2m", "/a/b/t"], ["/a", "/t/a"]),
        ("a/b", ["/a/b", "/x/a/b"], ["/xa/b", "/a/x/b"]),
        ("/a.b+c[1]", ["/a.b+c[1]"], ["/axb+c[1]", "/a.bbc1"]),
        ("", [], ["/a"]),
    ],
)
def test_what_fits(pattern: str, fits: list[str], others: list[str]) -> None:
    compiled = compile_glob(pattern)
    assert [path for path in fits if not compiled.fullmatch(path)] == []
    assert [path for path in others if compiled.fullmatch(path)] == []
