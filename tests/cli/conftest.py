"""The command line on real repositories."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iris_sample_data
import numpy as np
import pytest
import typer
import xarray as xr
import zarr

import frazil
from frazil.cli.app import application
from frazil.cli.demo import make_demo
from frazil.hooks import Hook

CHECK = """
import os, sys, frazil
session = frazil.open(os.environ["FRAZIL_URL"], snapshot=os.environ["FRAZIL_SNAPSHOT"])
print("looking at", os.environ["FRAZIL_SNAPSHOT"])
sys.exit("rain/total" in session)
"""
SAMPLES = Path(iris_sample_data.path)


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def program() -> typer.Typer:
    return application()


@pytest.fixture
def frazil_cli(program: typer.Typer, capfd: pytest.CaptureFixture[str]) -> Callable[[str], Done]:
    """Runs a command line in this process, as in a pipe."""

    def run(line: str) -> Done:
        capfd.readouterr()
        try:
            program(shlex.split(line)[1:], prog_name="frazil")
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repositories that tests copy: the demo's, and one of real data."""
    folder = tmp_path_factory.mktemp("repositories")
    make_demo(str(folder / "weather"))
    with xr.open_dataset(SAMPLES / "A1B_north_america.nc", decode_times=False) as opened:
        data = opened[["air_temperature"]].isel(time=slice(0, 40)).load()
    for name, spec in (("old", 1), ("observations", 2)):
        place = frazil.local_filesystem_storage(str(folder / name))
        frazil.Repository.create(place, spec_version=spec)
    zarr.save_array(folder / "archive.zarr", np.arange(100))
    for name, first in (("may", 0), ("june", 31)):
        days = {"time": np.arange(first, first + 5)}
        month = xr.Dataset({"sst": (("time", "x"), np.ones((5, 3)))}, coords=days)
        month.to_netcdf(folder / f"{name}.nc")
    station = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "station")))
    with station.edit("main", "Say what this is") as tree:
        tree.files("/notes").put_text("README.md", "# A station\n")
        tree["t"] = np.arange(10)
    (folder / "check.py").write_text(CHECK)
    hooks = frazil.open(str(folder / "observations")).hooks
    hooks.add(Hook(name="units", validator="cf"))
    hooks.add(Hook(name="chat", webhook="https://chat.example/", on=["tag"]))
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "climate")))
    for start, message in ((0, "First twenty years"), (20, "Twenty more")):
        session = repo.writable_session("main")
        part = data.isel(time=slice(start, start + 20))
        mode: dict[str, Any] = {"append_dim": "time"} if start else {"zarr_format": 3}
        part.to_zarr(session.store, consolidated=False, **mode)
        session.commit(message)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with copies of them."""
    for place in made.iterdir():
        (shutil.copytree if place.is_dir() else shutil.copy)(place, tmp_path / place.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAZIL_CONFIG_HOME", str(tmp_path / "settings"))
    folders = Path(sys.executable).parent, os.environ["PATH"]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    return tmp_path
