"""The worked example runs, and its checks notice when the repository is not what it should be."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import xarray as xr

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module
    spec.loader.exec_module(module)
    return module


def test_demo_runs_twice_and_draws_a_picture(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--out", str(tmp_path / "demo")]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "atmosphere is identical to A1B_north_america.nc" in done.stdout
        assert "ocean is identical to the 3 source files" in done.stdout
        assert "differs from it by the correction and nothing else" in done.stdout
        assert "updated chunks: /atmosphere/air_temperature, 4 of 45" in done.stdout
    picture = (tmp_path / "demo" / "changes.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


def test_demo_leaves_foreign_folders_alone(tmp_path: Path) -> None:
    demo = load()
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "thesis.txt").write_text("not a repository")
    with pytest.raises(SystemExit, match="choose another --out"):
        demo.create(folder)
    assert (folder / "thesis.txt").exists()


def test_demo_check_notices_one_wrong_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = load()
    repo = demo.create(tmp_path / "repository")
    demo.import_atmosphere(repo)
    for path in demo.OCEAN_FILES:
        release = demo.append_month(repo, path)
    repo.create_tag(demo.RELEASE, release)
    repo.create_tag(demo.CORRECTED, demo.correct(repo, release))
    demo.check(repo)

    original = demo.atmosphere

    def altered() -> xr.Dataset:
        ds: xr.Dataset = original()
        ds["air_temperature"].values[17, 3, 5] += 0.01
        return ds

    monkeypatch.setattr(demo, "atmosphere", altered)
    with pytest.raises(AssertionError, match="air_temperature"):
        demo.check(repo)
