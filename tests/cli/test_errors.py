"""What goes wrong is one line on standard error, and a code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import frazil
from frazil.cli import interrupts, main
from frazil.cli.exits import Exit, code_of
from frazil.storage.osfiles import storage_error
from tests.cli.conftest import Done

Cli = Callable[[str], Done]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("frazil log nowhere", Exit.NOT_FOUND, "there is no repository at nowhere"),
        ("frazil log weather nope", Exit.NOT_FOUND, "no branch, tag or snapshot 'nope'"),
        ("frazil log weather main~99", Exit.NOT_FOUND, "commits before it"),
        ("frazil ls weather /nope", Exit.NOT_FOUND, "no node at '/nope'"),
        ("frazil tag weather v1", Exit.FINDING, "already exists"),
        ("frazil squash weather calibrated -m x", Exit.USAGE, "not in the history"),
        ("frazil info s3://bucket/prefix?x=y", Exit.USAGE, "option 'x' is unknown"),
        ("frazil info ftp://host/x", Exit.USAGE, "ftp"),
        ("frazil info check.py", Exit.NOT_FOUND, "which is a file"),
        ("frazil init weather", Exit.FINDING, "there is a repository at weather already"),
        ("frazil branch weather main", Exit.FINDING, "frazil reset moves it"),
        ("frazil import weather nowhere.zarr", Exit.NOT_FOUND, "no file or folder nowhere.zarr"),
        ("frazil export weather archive.zarr", Exit.FINDING, "--overwrite"),
        ("frazil squash weather main -m x --yes", Exit.USAGE, "no commits after main"),
    ],
)
@pytest.mark.usefixtures("here")
def test_one_line(frazil_cli: Cli, line: str, code: Exit, text: str) -> None:
    done = frazil_cli(line)
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith("frazil: ")
    assert done.err.count("\n") == 1
    assert text in done.err


def test_a_broken_file(frazil_cli: Cli, here: Path) -> None:
    repo = here / "weather" / "repo"
    repo.write_bytes(repo.read_bytes()[:100])
    done = frazil_cli("frazil log weather")
    assert done.code == Exit.DAMAGED
    assert done.err.count("\n") == 1


def test_a_lost_file(frazil_cli: Cli, here: Path) -> None:
    for file in (here / "weather" / "snapshots").iterdir():
        file.unlink()
    done = frazil_cli("frazil ls weather")
    assert done.code == Exit.DAMAGED
    assert done.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(frazil_cli: Cli, here: Path) -> None:
    (here / "weather" / "repo").chmod(0)
    assert frazil_cli("frazil log weather").code == Exit.DENIED


def test_a_repository_that_takes_no_changes(frazil_cli: Cli, here: Path) -> None:
    assert frazil_cli("frazil status weather --set read-only --reason moving").code == 0
    assert frazil_cli("frazil status weather").out.startswith("read-only: moving\n")
    assert frazil_cli("frazil tag weather v2").code == Exit.DENIED


def test_an_archived_repository(frazil_cli: Cli, here: Path) -> None:
    assert frazil_cli("frazil status weather --set archived --reason old").code == 0
    done = frazil_cli("frazil log weather")
    assert (done.code, done.err.count("\n")) == (Exit.DENIED, 1)
    assert "--set online" in done.err
    assert frazil_cli("frazil status weather").out.startswith("archived: old\n")
    assert frazil_cli("frazil status weather --set online").code == 0
    assert frazil_cli("frazil log weather").code == 0


@pytest.fixture
def of_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Interrupts as Python handles them, and none that was seen."""
    monkeypatch.setattr(interrupts, "_seen", False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("of_python")
def test_an_interrupt_before_a_command_runs_ends_the_process() -> None:
    with interrupts.ending_the_process():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("of_python")
def test_an_interrupt_that_an_import_swallowed() -> None:
    failed = RecursionError("maximum recursion depth exceeded")
    with interrupts.ending_the_process():
        pass
    assert code_of(interrupts.cause_of(failed)) == Exit.DEFECT
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert code_of(interrupts.cause_of(failed)) == Exit.INTERRUPTED


def test_characters_that_the_output_cannot_show(here: Path) -> None:
    repo = frazil.open("weather")
    repo.create_branch("\N{SNOWMAN}", repo.lookup_branch("main"))
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}

    def run(*line: str) -> str:
        command = [sys.executable, "-m", "frazil", *line]
        return subprocess.run(
            command, env=environment, capture_output=True, check=True, encoding="ascii"
        ).stdout

    assert "?" in run("branch", "weather")
    assert "\N{SNOWMAN}" in json.loads(run("branch", "weather", "--json"))


def test_without_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "frazil.cli.app")
    with pytest.raises(SystemExit, match="pip install typer rich"):
        main()


def test_without_a_package_that_only_some_need(
    frazil_cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    done = frazil_cli("frazil import weather may.nc")
    assert done.code == Exit.USAGE
    assert done.err == "frazil: this needs xarray, which is not installed: pip install xarray\n"
    assert code_of(ModuleNotFoundError(name="frazil.nothing")) == Exit.DEFECT


def test_where_it_comes_from_on_request(
    frazil_cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in frazil_cli("frazil log nowhere").err
    monkeypatch.setenv("FRAZIL_DEBUG", "1")
    assert "Traceback" in frazil_cli("frazil log nowhere").err


def test_codes() -> None:
    kinds = frazil.ErrorKind
    assert code_of(frazil.ConflictError()) == Exit.FINDING
    assert code_of(frazil.StorageError("x", kinds.OBJECT_STORE)) == Exit.STORAGE
    assert code_of(frazil.StorageError("x", kinds.OBJECT_NOT_FOUND)) == Exit.DAMAGED
    assert code_of(PermissionError("x")) == Exit.DENIED
    denied = storage_error(PermissionError(errno.EACCES, "denied"), "read", "x")
    assert code_of(denied) == Exit.DENIED
    assert code_of(frazil.InternalError("x")) == Exit.DEFECT
    assert code_of(RuntimeError("x")) == Exit.DEFECT
    assert code_of(KeyboardInterrupt()) == Exit.INTERRUPTED
