"""Ordinary files on the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import frazil
from frazil.cli.exits import Exit
from tests.cli.conftest import Done

Run = Callable[[str], Done]


def test_from_standard_input_and_out_again(
    frazil_cli: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"piped")))
    done = frazil_cli("frazil files put station - --name p.log --set by=me --set n=2 --json")
    [put] = done.document["files"]
    assert (put["path"], put["size"], put["attributes"]) == ("/p.log", 5, {"by": "me", "n": 2})
    assert frazil_cli("frazil files get station p.log").out == "piped"
    assert frazil_cli("frazil files get station /p.log --to out.bin").out == "wrote out.bin\n"
    assert (here / "out.bin").read_bytes() == b"piped"
    assert frazil_cli("frazil files ls station").out == "/notes/README.md\n/p.log\n"
    assert "text/plain" in frazil_cli("frazil files ls station -l").out


def test_deleting_files(frazil_cli: Run, here: Path) -> None:
    looked = frazil_cli("frazil files rm station /notes/README.md --dry-run --json").document
    assert (looked["dry_run"], looked["snapshot"]) == (True, None)
    assert frazil_cli("frazil files rm station /notes/README.md").code == Exit.USAGE
    assert len(frazil.open("station").at().files("/notes")) == 1
    assert frazil_cli("frazil files rm station /notes/README.md --yes").code == 0
    assert len(frazil.open("station").at().files("/notes")) == 0


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("get station /notes/none", Exit.NOT_FOUND, "there is no file 'none' in /notes"),
        ("rm station /t --yes", Exit.NOT_FOUND, "there is no file 't' in /"),
        ("ls station /none", Exit.NOT_FOUND, "there is no group /none"),
        ("put station none.txt", Exit.NOT_FOUND, "there is no file none.txt"),
        ("put station may.nc --to /t", Exit.USAGE, "/t is an array"),
        ("put station may.nc june.nc --name x", Exit.USAGE, "for one file"),
        ("put station -", Exit.USAGE, "--name"),
        ("put station may.nc --set x", Exit.USAGE, "KEY=VALUE"),
    ],
)
def test_what_cannot_be_done(
    frazil_cli: Run, here: Path, line: str, code: int, reason: str
) -> None:
    done = frazil_cli(f"frazil files {line}")
    assert done.code == code
    assert reason in done.err
