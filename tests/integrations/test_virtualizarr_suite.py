"""VirtualiZarr's own tests of its writer pass with Frazil in the place of icechunk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "virtualizarr_suite"
TESTS = "virtualizarr.tests.test_writers.test_icechunk"


def test_tests_of_virtualizarr() -> None:
    command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), "-p", "conftest"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", "--pyargs", TESTS],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 35
