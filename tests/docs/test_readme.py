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


RUNNING = [
    "README.md",
    "docs/coming-from.md",
    "docs/concepts.md",
    "docs/guides/files.md",
    "docs/guides/hooks.md",
    "docs/guides/notebook.md",
    "docs/guides/operations.md",
    "docs/guides/pipelines.md",
    "docs/guides/providers.md",
    "docs/index.md",
    "docs/storage.md",
    "docs/tutorial.md",
    "docs/virtual.md",
]
"""Pages that are one program each."""


def claims_of(page: Path) -> list[str]:
    """The lines that a page says its program prints.

    `print(...)  # text` claims one line, a block of text after the code all of its lines. In them
    "…" stands for whatever differs from run to run.
    """
    found = []
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M)
    for language, block in blocks:
        if language == "text":
            found += block.splitlines()
        else:
            found += re.findall(r"^ *print\(.*\)  # (.*)$", block, re.M)
    return found


def is_as_claimed(line: str, claim: str) -> bool:
    return re.fullmatch(re.escape(claim).replace("…", ".+"), line) is not None


@pytest.mark.parametrize("page", RUNNING)
def test_code_runs_and_prints_what_it_claims(tmp_path: Path, page: str) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(python_blocks(ROOT / page)), "utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", script.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    claims = claims_of(ROOT / page)
    printed = done.stdout.splitlines()
    assert len(printed) == len(claims), done.stdout
    wrong = [pair for pair in zip(printed, claims, strict=True) if not is_as_claimed(*pair)]
    assert wrong == []
    assert len(claims) >= 2


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
