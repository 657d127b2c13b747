"""What shells are offered, through the variables with which they ask."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import frazil
from frazil.cli.app import application

Ask = Callable[[str], list[str]]


@pytest.fixture
def ask(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ask:
    """What bash is offered for the last word of a line."""
    program = application(completing=True)

    def offered(line: str) -> list[str]:
        words = shlex.split(line) + [""] * line.endswith(" ")
        monkeypatch.setenv("_FRAZIL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        capfd.readouterr()
        with pytest.raises(SystemExit) as done:
            program([], prog_name="frazil")
        out, err = capfd.readouterr()
        assert (done.value.code or 0) == 0
        assert err == ""
        return out.split()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("frazil branch weather ", ["calibrated", "main"]),
        ("frazil merge weather cal", ["calibrated"]),
        ("frazil merge weather calibrated --into m", ["main"]),
        ("frazil tag weather v", ["v1"]),
        ("frazil log weather ", ["calibrated", "main", "v1"]),
        ("frazil ls weather --at v", ["v1"]),
        ("frazil reset weather main v", ["v1"]),
        ("frazil verify weather --tag ", ["v1"]),
        ("frazil clone weather copy --branch ca", ["calibrated"]),
        ("frazil ls weather /ra", ["/rain", "/rain/total"]),
        ("frazil ls weather /rain/", ["/rain/total"]),
        ("frazil blame weather t2", ["t2m"]),
        ("frazil hooks run observations u", ["units"]),
        ("frazil hooks remove observations ", ["chat", "units"]),
        ("frazil info wea", ["weather"]),
        ("frazil info weather/sn", ["weather/snapshots"]),
        ("frazil info nope/", []),
        ("frazil log nowhere ", []),
        ("frazil log s3://bucket/prefix ", []),
        ("frazil log check.py ", []),
        ("frazil ls weather --at nope /", []),
        ("frazil hooks l", ["list"]),
    ],
)
def test_what_is_offered(ask: Ask, line: str, offered: list[str]) -> None:
    assert ask(line) == offered


def test_only_what_a_shell_cannot_misunderstand(ask: Ask, here: Path) -> None:
    repo = frazil.open("weather")
    for name in ("$(touch owned)", "a'b", "x;y", "fine-1.0"):
        repo.create_branch(name, repo.lookup_branch("main"))
    assert ask("frazil log weather ") == ["calibrated", "fine-1.0", "main", "v1"]


def test_damaged_repositories_offer_nothing(ask: Ask, here: Path) -> None:
    (here / "weather" / "repo").write_bytes(b"x")
    assert ask("frazil log weather ") == []


def test_other_places_are_asked_only_if_that_is_wanted(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(frazil, "open", lambda url: asked.append(url))
    assert ask("frazil log s3://bucket/prefix ") == []
    assert asked == []
    monkeypatch.setenv("FRAZIL_COMPLETE_REMOTE", "1")
    assert ask("frazil log s3://bucket/prefix ") == []
    assert asked == ["s3://bucket/prefix"]


def test_the_program_itself(here: Path) -> None:
    line = "frazil log weather v"
    asking = {"_FRAZIL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}
    command = [sys.executable, "-m", "frazil"]
    done = subprocess.run(command, env=os.environ | asking, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["v1"], "")
