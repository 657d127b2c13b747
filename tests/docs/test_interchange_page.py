"""The page on data in and out: its code runs as one program."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import zarr

from tests.docs.test_readme import ROOT, python_blocks


def test_its_code_runs(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = zarr.open_group(tmp_path / "archive.zarr", mode="w", zarr_format=2)
        archive.create_array("t", shape=(100,), chunks=(10,), dtype="f4")[...] = np.arange(100)
        zarr.consolidate_metadata(tmp_path / "archive.zarr")
    script = tmp_path / "page.py"
    script.write_text("\n".join(python_blocks(ROOT / "docs" / "interchange.md")), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "arrays: 1" in done.stdout
    copy = zarr.open_group(tmp_path / "copy.zarr", mode="r")
    assert copy["t"][:].tolist() == list(range(100))  # type: ignore[index,union-attr]
    assert (tmp_path / "nemo.nc").stat().st_size > 100_000


def test_the_example_runs(tmp_path: Path) -> None:
    example = ROOT / "examples" / "migrate_from_zarr.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(example), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "is the archive, value by value" in done.stdout
