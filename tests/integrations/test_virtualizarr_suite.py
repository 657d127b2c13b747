"""VirtualiZarr's own tests of reading and writing repositories pass, Frazil as `icechunk`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import virtualizarr

PLUGIN = "virtualizarr_fixtures"
FOLDER = Path(__file__).parent / "virtualizarr_suite"
TESTS = Path(virtualizarr.__file__).parent / "tests"
WRITER = TESTS / "test_writers" / "test_icechunk.py"
READER = TESTS / "test_parsers" / "test_icechunk"
"""Newer versions have it."""


def test_tests_of_virtualizarr() -> None:
    command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), "-p", PLUGIN]
    tests = [str(path) for path in (WRITER, READER) if path.exists()]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *tests],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 35
