"""Hooks on the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import frazil
from frazil.cli.exits import Exit
from frazil.hooks import Hook
from tests.cli.conftest import Done

Cli = Callable[[str], Done]


@pytest.mark.usefixtures("here")
def test_hooks_are_listed_and_say_for_whom_they_run(frazil_cli: Cli) -> None:
    lines = frazil_cli("frazil hooks list observations").out.splitlines()
    assert lines[0].split() == ["HOOK", "RUNS", "ON", "ALLOWED", "DOES"]
    assert lines[1].endswith("no       webhook https://chat.example/")
    assert " ".join(lines[2].split()) == "units before commit, merge * yes validator cf"
    assert lines[3].startswith("chat: sha256:")
    assert "hooks       chat, units\n" in frazil_cli("frazil info observations").out
    assert "frazil.hooks" not in frazil_cli("frazil info observations").out
    assert frazil_cli("frazil info observations --json").document["hooks"] == ["chat", "units"]
    assert frazil_cli("frazil hooks list old").out == "no hooks are stored\n"


@pytest.mark.usefixtures("here")
def test_adding_is_consent_and_others_are_asked(frazil_cli: Cli) -> None:
    frazil_cli(
        f"frazil hooks add weather test --command '{sys.executable} -c \"exit(3)\"' --on tag"
    )
    done = frazil_cli("frazil tag weather v2")
    assert done.code == Exit.FINDING
    assert done.err == "frazil: to create tag 'v2' was refused\n  test: ended with 3\n"
    found = frazil_cli("frazil hooks list weather --json").document
    assert [(hook["name"], hook["allowed"]) for hook in found] == [("test", True)]
    other = frazil.open("weather")
    other.hooks.add(Hook(name="test", command=["true"], on=["tag"]))
    assert "did not allow" in frazil_cli("frazil tag weather v2").err
    asked = frazil_cli("frazil hooks allow weather")
    assert asked.code == Exit.USAGE
    assert asked.out == "test: command true\n"
    assert "nobody is there to confirm" in asked.err
    looked = frazil_cli("frazil hooks allow weather --dry-run")
    assert looked.out == "test: command true\nwould allow test\n"
    assert "did not allow" in frazil_cli("frazil tag weather v2").err
    done = frazil_cli("frazil hooks allow weather test --yes")
    assert done.out == "test: command true\nallowed test\n"
    assert frazil_cli("frazil tag weather v2").code == 0


def test_what_they_find_is_listed(frazil_cli: Cli, here: Path) -> None:
    with frazil.open("observations").edit("main", "x") as tree:
        tree["t"] = [1.0]
    rules = '{"t": {"dtype": "int8"}, "u": {}, "v": {}, "w": {}}'
    frazil_cli(f"frazil hooks add observations rules --validator schema --option 'arrays={rules}'")
    done = frazil_cli("frazil hooks run observations")
    assert done.code == Exit.FINDING
    assert done.out == (
        "rules: /t: its type is float64, not int8\n"
        "rules: /u: the array is missing\n"
        "rules: /v: the array is missing\n"
        "rules: /w: the array is missing\n"
    )
    assert frazil_cli("frazil hooks run observations units").out == "nothing found\n"
    picked = frazil_cli("frazil revert observations main")
    assert picked.code == Exit.FINDING
    assert picked.err.splitlines()[:2] == [
        "frazil: revert to branch 'main' was refused",
        "  rules: /t: the array is missing",
    ]
    assert picked.err.count("\n") == 5


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("frazil hooks remove weather nope", Exit.USAGE, "there is no hook 'nope'"),
        ("frazil hooks allow weather nope --yes", Exit.USAGE, "there is no hook 'nope'"),
        ("frazil hooks add weather x --validator y", Exit.USAGE, "no validator 'y'"),
        ("frazil hooks add weather x --validator cf --option y", Exit.USAGE, "NAME=VALUE"),
        ("frazil hooks add weather x --webhook file:///x", Exit.USAGE, "http or https"),
        ("frazil hooks add old x --validator cf", Exit.DAMAGED, "needs a spec 2"),
    ],
)
def test_what_cannot_be(frazil_cli: Cli, line: str, code: Exit, text: str) -> None:
    done = frazil_cli(line)
    assert done.code == code
    assert text in " ".join(done.err.split())
