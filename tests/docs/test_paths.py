"""Pages for contributors name files that exist, and the map of the package is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "frazil"
ARCHITECTURE = "docs/architecture.md"
PAGES = [ARCHITECTURE, "CONTRIBUTING.md"]


def paths_in(page: str) -> list[str]:
    """What stands in backticks and is written as a file or folder: `a/b.py`, `a/`, `tests/a`."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.S | re.M)
    spans = re.findall(r"`([^`\n]+)`", text)
    return [s for s in spans if re.fullmatch(r"[\w./-]+(\.py|/)|(tests|docs|examples)/[\w./-]+", s)]


def exists(path: str) -> bool:
    """Whether there is such a path in the repository or the package, or such a name anywhere."""
    if (ROOT / path).exists() or (PACKAGE / path).exists():
        return True
    return "/" not in path.rstrip("/") and any(PACKAGE.rglob(path.rstrip("/")))


MADE = {"snapshots/", "chunks/", "refs/", "out/demo/", "out/site/", "docs/img"}
"""Folders of repositories, and those that a target makes."""


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page: str) -> None:
    paths = paths_in(page)
    assert len(paths) > 20
    assert [path for path in paths if path not in MADE and not exists(path)] == []


def test_the_map_names_all_folders() -> None:
    named = {path.split("/")[0] for path in paths_in(ARCHITECTURE) if "/" in path}
    folders = {file.parent.relative_to(PACKAGE).parts[0] for file in PACKAGE.glob("*/*.py")}
    assert folders - named == set()
