"""Whether a repository is whole, and mending it, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import frazil
from frazil.cli.exits import Exit
from tests.cli.conftest import Done

Cli = Callable[[str], Done]


@pytest.mark.parametrize("level", ["metadata", "objects", "data"])
@pytest.mark.usefixtures("here")
def test_a_whole_repository(frazil_cli: Cli, level: str) -> None:
    done = frazil_cli(f"frazil verify weather --level {level}")
    assert (done.code, done.out.splitlines()[0]) == (0, "whole")
    document = frazil_cli(f"frazil verify weather --level {level} --json").document
    assert document["is_healthy"]
    assert (document["checked"] > 0) == (level == "data")


def test_a_flipped_byte(frazil_cli: Cli, here: Path) -> None:
    chunks = max((here / "weather" / "chunks").iterdir(), key=lambda file: file.stat().st_size)
    data = bytearray(chunks.read_bytes())
    data[10] ^= 1
    chunks.write_bytes(data)
    assert frazil_cli("frazil verify weather").code == 0
    done = frazil_cli("frazil verify weather --level data")
    assert done.code == Exit.FINDING
    assert f"corrupted: chunks/{chunks.name}" in done.out
    document = frazil_cli("frazil verify weather --level data --json").document
    assert document["findings"][0]["kind"] == "corrupted"


def test_notes_and_a_page(frazil_cli: Cli, here: Path) -> None:
    assert "verified" not in frazil_cli("frazil info weather").out
    command = "frazil verify weather --level data --max-memory 1 --resume notes --html page.html"
    assert frazil_cli(command).code == 0
    assert not (here / "notes").exists()
    assert "Nothing is wrong" in (here / "page.html").read_text()
    assert "level data: whole" in frazil_cli("frazil info weather").out
    assert frazil_cli("frazil info weather --json").document["verified"]["findings"] == 0
    (here / "notes").write_text("{}")
    assert frazil_cli("frazil verify weather --resume notes").code == Exit.USAGE
    assert frazil_cli("frazil verify weather --path /no").code == Exit.NOT_FOUND


@pytest.mark.usefixtures("here")
def test_what_cannot_be_asked(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil verify weather --level all").code == Exit.USAGE
    assert frazil_cli("frazil verify weather --sample 0").code == Exit.USAGE
    assert frazil_cli("frazil verify weather --branch no").code == Exit.NOT_FOUND


def test_a_lost_list_of_commits(frazil_cli: Cli, here: Path) -> None:
    before = frazil_cli("frazil log weather main").out.splitlines()
    assert frazil_cli("frazil repair weather").out.startswith("nothing to repair, as far as")
    assert frazil_cli("frazil repair weather --level data").out == "nothing to repair\n"
    (here / "weather" / "repo").unlink()
    lost = frazil_cli("frazil log weather")
    assert (lost.code, "frazil repair says" in lost.err) == (Exit.NOT_FOUND, True)
    told = frazil_cli("frazil repair weather --dry-run")
    assert (told.code, "repo would be restored from overwritten" in told.out) == (0, True)
    assert not (here / "weather" / "repo").exists()
    assert frazil_cli("frazil repair weather").code == Exit.USAGE  # nobody to ask in a pipe
    done = frazil_cli("frazil repair weather --yes --json").document
    assert not done["dry_run"]
    after = frazil_cli("frazil log weather main").out.splitlines()
    assert after[-1] == before[-1]
    assert len(after) >= len(before) - 1


def test_a_lost_manifest(frazil_cli: Cli, here: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(here / "numbers")))
    with repo.edit("main", "numbers") as tree:
        tree["numbers"] = np.random.default_rng(1).random(3_000)
    (manifest,) = (here / "numbers" / "manifests").iterdir()
    manifest.unlink()
    assert frazil_cli("frazil verify numbers").code == Exit.FINDING
    told = frazil_cli("frazil repair numbers --dry-run")
    assert f"manifest {manifest.name}, " in told.out
    assert "would be built anew (by digest)" in told.out
    assert not manifest.exists()
    assert frazil_cli("frazil repair numbers").code == Exit.USAGE
    assert "is built anew" in frazil_cli("frazil repair numbers --yes").out
    assert frazil_cli("frazil verify numbers --level data").code == 0


def test_lost_chunks(frazil_cli: Cli, here: Path) -> None:
    for chunks in (here / "weather" / "chunks").iterdir():
        chunks.unlink()
    told = frazil_cli("frazil repair weather")
    assert told.out.startswith("nothing can be repaired\n  left: missing: chunks/")
    assert told.out.endswith("given up: frazil repair weather --drop-lost --dry-run\n")
    assert told.code == Exit.FINDING
    told = frazil_cli("frazil repair weather --drop-lost --dry-run")
    assert "would be given up" in told.out
    done = frazil_cli("frazil repair weather --drop-lost --yes --json").document
    assert done["snapshot"] in frazil_cli("frazil log weather main --json").out
    assert frazil_cli("frazil repair weather --level all").code == Exit.USAGE
    assert frazil_cli("frazil repair weather --drop-lost --branch no").code == Exit.NOT_FOUND
