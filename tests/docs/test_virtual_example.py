"""VirtualiZarr writes to Frazil in place of icechunk, and checks what it writes to."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("virtualizarr") is None, reason="VirtualiZarr is not installed"
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "virtual.py"

WITHOUT_CONTAINER = """
import sys
sys.path.insert(0, {folder!r})
import virtual, frazil
repo = frazil.Repository.create(frazil.in_memory_storage())
try:
    virtual.one_dataset_of_many_files(repo)
except ValueError as error:
    print("refused:", error)
"""


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_runs(tmp_path: Path) -> None:
    printed = run(str(EXAMPLE), "--out", str(tmp_path / "out"))
    assert "ocean: (3, 330, 360) values of 3 files, not copied" in printed
    assert "1,809,861 bytes there, 0 here" in printed
    assert "rain: {'time': 120, 'y': 40, 'x': 60} in 5 commits" in printed
    assert "is_healthy: True" in printed


def test_virtualizarr_finds_that_a_container_is_missing() -> None:
    printed = run("-c", WITHOUT_CONTAINER.format(folder=str(EXAMPLE.parent)))
    assert printed.startswith("refused:")
    assert "ontainer" in printed
