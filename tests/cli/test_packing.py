"""Gathering small objects on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import frazil
from frazil.cli.exits import Exit
from tests.cli.conftest import Done

Cli = Callable[[str], Done]


def chunk_objects(here: Path) -> int:
    return sum(1 for _ in (here / "weather" / "chunks").iterdir())


def test_a_dry_run_changes_nothing(frazil_cli: Cli, here: Path) -> None:
    before, line = chunk_objects(here), frazil_cli("frazil log weather").out
    done = frazil_cli("frazil pack weather --history --dry-run")
    assert done.code == 0
    assert "would be copied" in done.out
    assert chunk_objects(here) == before
    document = frazil_cli("frazil pack weather --history --dry-run --json").document
    assert document["dry_run"]
    assert document["objects_before"] == before > document["objects_after"] > 0
    assert frazil_cli("frazil log weather").out == line


def test_it_asks_before(frazil_cli: Cli, here: Path) -> None:
    before = chunk_objects(here)
    done = frazil_cli("frazil pack weather --history")
    assert done.code == Exit.USAGE
    assert "will be copied into" in done.err
    assert chunk_objects(here) == before


def test_all_of_the_history(frazil_cli: Cli, here: Path) -> None:
    before = {id_: tree(id_) for id_ in ("main", "main~1")}
    done = frazil_cli("frazil pack weather --history --yes -m 'Fewer objects'")
    assert done.code == 0
    assert " copied, " in done.out
    assert "older snapshots" in done.out
    assert "Fewer objects" in frazil_cli("frazil log weather").out
    assert {"main": tree("main~1"), "main~1": tree("main~2")} == before
    again = frazil_cli("frazil pack weather --history --yes")
    assert (again.code, again.out) == (0, "nothing to pack\n")
    assert frazil_cli("frazil verify weather --level data").code == 0


def tree(version: str) -> dict[str, bytes]:
    repo = frazil.open("weather")
    found = repo.at(snapshot_id=repo.resolve(version))
    return {path: found[path][...].tobytes() for path in found if hasattr(found[path], "shape")}


@pytest.mark.parametrize(
    "options",
    ["--smaller-than much", "--dead 2", "--before never", "--recompress 0", "--regex ("],
)
@pytest.mark.usefixtures("here")
def test_what_cannot_be_asked(frazil_cli: Cli, options: str) -> None:
    assert frazil_cli(f"frazil pack weather {options}").code in (Exit.USAGE, 1)


@pytest.mark.usefixtures("here")
def test_sizes(frazil_cli: Cli) -> None:
    for size in ("1048576", "1024K", "1MiB", "1 m"):
        assert frazil_cli(f"frazil pack weather -n --smaller-than '{size}'").code == 0
