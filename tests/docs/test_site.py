"""The documentation as a site: the reference is complete, and everything named in it is there."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import frazil
from tests.docs.test_readme import ROOT

NAV = re.findall(r"([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M)


def documented() -> list[Any]:
    """The objects that pages of the reference show."""
    found = []
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M):
            module, _, attribute = name.rpartition(".")
            found.append(getattr(importlib.import_module(module), attribute))
    return found


def test_the_reference_has_all_public_classes_and_functions() -> None:
    shown = documented()
    missing = [
        name
        for name in frazil.__all__
        if (inspect.isclass(item := getattr(frazil, name)) or inspect.isfunction(item))
        if item not in shown and not name.endswith("_async")
    ]
    assert shown
    assert missing == []


def test_nothing_is_shown_twice() -> None:
    names = [f"{item.__module__}.{item.__qualname__}" for item in documented()]
    assert sorted(set(names)) == sorted(names)


def test_the_navigation_names_pages() -> None:
    assert len(NAV) > 20
    assert [name for name in NAV if not (ROOT / "docs" / name).exists()] == []


@pytest.mark.skipif(find_spec("material") is None, reason="made by `make docs` only")
def test_it_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(
        build,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted(tmp_path.glob("**/*.html"))
    assert len(pages) > 30
    loads = re.compile(
        r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)"
    )
    assert {
        page.name: found for page in pages if (found := loads.findall(page.read_text("utf-8")))
    } == {}
