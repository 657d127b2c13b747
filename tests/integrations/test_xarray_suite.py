"""xarray's own tests of Zarr stores pass with Frazil's: some here, all of them by hand.

In a process of its own, with settings of its own: the tests of another project have marks that
this one does not know.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "xarray_suite"

SOME = "(TestFunctions and (append or region or group or mode)) or test_pickle"


def test_tests_of_xarray() -> None:
    command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), str(FOLDER)]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", "-k", SOME], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 30
