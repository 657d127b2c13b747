"""Removing something from all of history, by somebody who has to answer for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import frazil
from frazil.cli.exits import Exit
from tests.cli.conftest import Done

Cli = Callable[[str], Done]
BAND = "frazil purge climate /air_temperature --region :,10:14"


def temperatures() -> list[np.ndarray]:
    repo = frazil.open("climate")
    tips = (repo.resolve(version) for version in ("main", "main~1"))
    return [np.asarray(repo.at(snapshot_id=tip)["air_temperature"][...]) for tip in tips]


def test_a_band_of_latitudes(frazil_cli: Cli, here: Path) -> None:
    expected = temperatures()
    for values in expected:
        values[:, 10:14] = np.nan
    look = frazil_cli(f"{BAND} --dry-run")
    assert look.code == 0
    assert "elements [0:40, 10:14, 0:49] of /air_temperature: to be removed from 2 comm" in look.out
    assert "chunks written anew" in look.out
    assert "note: its shape differs between versions: (20, 37, 49) in 1, (40, 37, 4" in look.out
    assert "nothing has changed" in look.out
    foretold = frazil_cli(f"{BAND} --dry-run --json").document
    asked = frazil_cli(BAND)
    assert asked.code == Exit.USAGE
    assert "to be removed from 2 commits" in asked.err
    assert "its shape differs" in asked.err
    before = frazil_cli("frazil log climate").out
    done = frazil_cli(f"{BAND} --yes")
    assert done.code == 0, done
    assert "elements [0:40, 10:14, 0:49] of /air_temperature: removed from 2 commits" in done.out
    assert "chunks decoded" in done.out
    assert "nothing in the repository tells of it any more" in done.out
    for old in foretold["snapshots"]:
        assert old in before
        assert f"{old} is " in done.out
    for found, values in zip(temperatures(), expected, strict=True):
        np.testing.assert_array_equal(found, values)
    again = frazil_cli(f"{BAND} --yes")
    assert again.code == 0
    assert again.out.startswith("nothing in the repository tells of elements [0:40, 10:14, 0:49]")
    assert frazil_cli("frazil verify climate --level data").code == 0


def test_for_programs(frazil_cli: Cli, here: Path) -> None:
    foretold = frazil_cli(f"{BAND} --dry-run --json").document
    assert (foretold["dry_run"], foretold["is_clean"]) == (True, False)
    done = frazil_cli(f"{BAND} --yes --json").document
    assert done["is_clean"]
    assert done["chunks_checked"] == done["chunks_rewritten"] > 0
    for name in ("target", "chunks", "chunks_rewritten", "bytes_rewritten", "objects_rewritten"):
        assert done[name] == foretold[name]


def test_whole_chunks(frazil_cli: Cli, here: Path) -> None:
    done = frazil_cli(f"{BAND} --whole-chunks --yes --json").document
    assert done["target"].endswith("of /air_temperature, with the rest of their chunks")
    assert done["chunks_rewritten"] == 0 < done["chunks"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--region x", "'x' is no region"),
        ("--region 0:1 --attribute units", "not both"),
        ("--whole-chunks", "goes with --region"),
    ],
)
def test_what_makes_no_sense(frazil_cli: Cli, here: Path, options: str, complaint: str) -> None:
    done = frazil_cli(f"frazil purge climate /air_temperature {options}")
    assert done.code == Exit.USAGE
    assert complaint in done.err


def test_format_1_is_migrated_first(frazil_cli: Cli, here: Path) -> None:
    done = frazil_cli("frazil purge old /t --region 0:1 --dry-run")
    assert done.code != 0
    assert "frazil migrate" in done.err
