"""Commands that change repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from tests.cli.conftest import Done

Cli = Callable[[str], Done]
FILES = ("chunks", "manifests", "snapshots", "transaction_logs")
pytestmark = pytest.mark.usefixtures("here")


def values(place: str, path: str, version: str = "main") -> np.ndarray:
    repo = frazil.open(place)
    session = repo.readonly_session(snapshot_id=repo.resolve(version))
    return np.asarray(zarr.open_array(session.store, path=path, mode="r")[...])


def test_branches_tags_and_resets(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil branch weather experiment main~1").code == 0
    assert frazil_cli("frazil branch weather --json").document.keys() == {
        *("main", "calibrated", "experiment")
    }
    assert frazil_cli("frazil tag weather v2 experiment").code == 0
    tags = frazil_cli("frazil tag weather --json").document
    assert tags["v1"] == tags["v2"]
    done = frazil_cli("frazil reset weather main v1 --yes --json").document
    assert done["to"] == tags["v1"]
    assert done["lost"] == [done["from"]]
    assert frazil_cli("frazil log weather --json").document[0]["id"] == tags["v1"]


def test_a_conflict_is_listed_and_can_be_settled(frazil_cli: Cli) -> None:
    with frazil.open("weather").transaction("main", message="colder") as store:
        zarr.open_array(store, path="t2m")[120:130] = 1.0
    done = frazil_cli("frazil merge weather calibrated")
    assert done.code == 1
    assert done.err.count("\n") == 3
    assert "/t2m: Chunk double update (1 chunk)" in done.err
    assert "--prefer" in done.err
    assert frazil_cli("frazil merge weather calibrated --prefer ours").code == 0
    assert (values("weather", "t2m")[120:130] == 1).all()
    frazil_cli("frazil reset weather main main~1 --yes")
    assert frazil_cli("frazil merge weather calibrated --prefer theirs").code == 0
    assert (values("weather", "t2m") == values("weather", "t2m", "calibrated")).all()


def test_revert_and_cherry_pick(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil cherry-pick weather calibrated").code == 0
    assert (values("weather", "t2m") == values("weather", "t2m", "calibrated")).all()
    assert frazil_cli("frazil revert weather main -m Undo").code == 0
    assert (values("weather", "t2m") == values("weather", "t2m", "v1")).all()
    assert frazil_cli("frazil show weather --json").document["message"] == "Undo"


def test_squash_asks(frazil_cli: Cli) -> None:
    before = frazil_cli("frazil log weather --json").document
    assert frazil_cli('frazil squash weather main~3 -m "all"').code == 2
    assert frazil_cli('frazil squash weather main~3 -m "all" --dry-run --json').document == {
        "branch": "main",
        "commits": 3,
        "dry_run": True,
    }
    assert frazil_cli("frazil log weather --json").document == before
    assert frazil_cli('frazil squash weather main~3 -m "all" --yes').code == 0
    assert len(frazil_cli("frazil log weather --json").document) == len(before) - 2


def test_expiring_and_collecting(frazil_cli: Cli) -> None:
    looked = frazil_cli("frazil expire weather --older-than 0s --dry-run --json").document
    assert len(looked["snapshots"]) == 2
    assert len(frazil_cli("frazil log weather --json").document) == 5
    assert frazil_cli("frazil expire weather --older-than 0s").code == 2, "nobody said yes"
    done = frazil_cli("frazil expire weather --older-than 0s --yes --json").document
    assert done["snapshots"] == looked["snapshots"]
    later = "2100-01-01"
    would = frazil_cli(f"frazil gc weather --older-than {later} --dry-run --json").document
    assert would["snapshots_deleted"] == 2
    assert frazil_cli(f"frazil gc weather --older-than {later}").code == 2
    assert frazil_cli(f"frazil gc weather --older-than {later} --yes").out.startswith(
        f"{sum(would[f'{kind}_deleted'] for kind in FILES)} files"
    )
    again = frazil_cli(f"frazil gc weather --older-than {later} --dry-run --json").document
    assert again["bytes_deleted"] == 0
    assert not [name for name in again if name.startswith("_")]
    assert values("weather", "t2m").shape == (360, 12, 24)


@pytest.mark.parametrize("spec", [1, 2])
def test_a_dry_expiration_changes_nothing(spec: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec)
    for number in range(3):
        with repo.transaction("main", message=str(number)) as store:
            zarr.open_group(store).attrs["n"] = number
    cutoff = next(repo.ancestry(branch="main")).written_at
    would = repo.expire_snapshots(cutoff, dry_run=True)
    assert len(list(repo.ancestry(branch="main"))) == 4
    assert repo.expire_snapshots(cutoff) == would != set()


def test_settings(frazil_cli: Cli) -> None:
    done = frazil_cli("frazil config set weather inline_chunk_threshold_bytes 64 --json").document
    assert (done["before"], done["after"]) == (None, 64)
    assert frazil.open("weather").config.inline_chunk_threshold_bytes == 64
    shown = frazil_cli("frazil config get weather inline_chunk_threshold_bytes")
    assert shown.out == "64\n"
    history = frazil_cli("frazil config history weather --json").document
    assert ("inline_chunk_threshold_bytes", None, 64) in [
        (change["key"], change["before"], change["after"]) for change in history
    ]
    assert frazil_cli("frazil config set weather inline_chunk_threshold_bytes soon").code == 2
    assert frazil_cli("frazil config set weather no.such.thing 1").code == 2
    assert frazil_cli("frazil config get weather no.such.thing").code == 3


def test_migration(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil ops old").code == 5, "format 1 has no log of operations"
    assert frazil_cli("frazil migrate old").code == 2, "nobody said yes"
    assert frazil_cli("frazil migrate old --yes").code == 0
    assert frazil_cli("frazil info old --json").document["spec_version"] == 2
    assert frazil_cli("frazil migrate weather --yes").code == 2


def test_in_and_out(frazil_cli: Cli, here: Path) -> None:
    done = frazil_cli("frazil import observations archive.zarr --to raw --json").document
    assert done["arrays"] == 1
    assert values("observations", "raw").tolist() == list(range(100))
    assert frazil_cli("frazil export observations copy.zarr --from raw").code == 0
    assert zarr.open_array("copy.zarr", mode="r")[:].tolist() == list(range(100))
    assert frazil_cli("frazil export observations copy.zarr --from raw").code == 1
    assert frazil_cli("frazil import observations may.nc --to m --append-dim time").code == 0
    assert frazil_cli("frazil export observations again.nc --from m").code == 0
    assert frazil_cli("frazil export observations again.nc --from m").code == 1
    done = frazil_cli("frazil export observations all.nc")
    assert done.code == 2, "an array without names of dimensions"
    assert "dimension_names" in done.err
    again = frazil_cli("frazil import observations archive.zarr --to raw")
    assert (again.code, again.out) == (0, "main has all of archive.zarr already\n")


def test_copies(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil clone weather backup --json").document["branches"] == [
        *("calibrated", "main")
    ]
    assert frazil_cli("frazil clone weather backup").code == 1
    assert frazil_cli("frazil sync weather backup").out == "backup has all files already\n"
    with frazil.open("weather").transaction("main", message="more") as store:
        zarr.open_group(store).attrs["more"] = True
    assert frazil_cli("frazil sync weather backup --json").document["branches"] == ["main"]
    tips = [frazil_cli(f"frazil branch {r} --json").document for r in ("weather", "backup")]
    assert tips[0] == tips[1]


def test_files(frazil_cli: Cli, here: Path) -> None:
    shown = frazil_cli("frazil inspect weather snapshots/main").document
    manifest = shown["manifests"][0]["id"]
    assert frazil_cli(f"frazil inspect weather manifests/{manifest}").document["id"] == manifest
    assert frazil_cli("frazil inspect weather repo").document["branches"].keys() == {
        *("calibrated", "main")
    }
    assert frazil_cli(f"frazil cat weather manifests/{manifest[::-1]}").code == 3
    assert frazil_cli("frazil inspect weather chunks/main").code == 2
    assert frazil_cli("frazil cat weather ../secret").code in (2, 3)


def test_storage_of_the_history(frazil_cli: Cli, here: Path) -> None:
    newest = frazil_cli("frazil stats weather --by snapshot --limit 1").out.splitlines()
    assert len(newest) == 2
    assert "Add rain" in newest[1]
    arrays = frazil_cli("frazil stats weather --by array --json").document
    assert [row["path"] for row in arrays][:2] == ["/t2m", "/rain/total"]
    assert arrays[0]["native"] > arrays[0]["newest"] > 0
    whole = frazil_cli("frazil stats weather --objects --json --plot g.svg").document
    assert whole["objects"]["dead_bytes"] == 0
    assert (here / "g.svg").exists()
    assert "dead in them" in frazil_cli("frazil stats weather --by kind --objects").out
    assert frazil_cli("frazil stats weather --branch none").code == 3
    assert frazil_cli("frazil stats weather --plot g.gif").code == 2


def test_storage_by_array(frazil_cli: Cli) -> None:
    found = frazil_cli("frazil stats weather --arrays --json").document
    total = frazil_cli("frazil stats climate --json").document
    assert found["/t2m"]["native_bytes"] > found["/time"]["native_bytes"]
    assert total["native_bytes"] > 100_000
