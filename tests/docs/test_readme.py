"""What the documentation shows works: README code runs, its output is as claimed, links lead
somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M)


@pytest.mark.parametrize("page", ["README.md", "docs/storage.md", "docs/virtual.md"])
def test_code_runs_and_prints_what_it_claims(tmp_path: Path, page: str) -> None:
    """All blocks as one program; `print(...)  # text` claims exactly that line of output."""
    program = "\n".join(python_blocks(ROOT / page))
    claims = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.M)
    script = tmp_path / "readme.py"
    script.write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == claims
    assert len(claims) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    relative = [link for link in links if not link.startswith("https://")]
    missing = [link for link in relative if not (page.parent / link).exists()]
    assert missing == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    notes = [note.name for note in folder.glob("[0-9]*.md")]
    assert notes
    assert [note for note in notes if f"]({note})" not in index] == []
