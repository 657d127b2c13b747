"""What people write for icechunk runs on Frazil as it is.

`snippets/` holds pieces of Icechunk's own documentation and of advice on it, with only the
names defined that they leave open, and with memory or a folder where they name a bucket. They
run under `install_as_icechunk()`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SNIPPETS = sorted((Path(__file__).parent / "snippets").glob("*.py"))

# Runs each snippet in a folder of its own, all in one process, which has imported zarr and
# xarray once; prints what they printed and how they failed.
RUNNER = """
import contextlib, io, json, os, runpy, sys, traceback
import frazil
frazil.install_as_icechunk()
ends = {}
for path in sys.argv[1:]:
    name = os.path.basename(path).removesuffix(".py")
    os.mkdir(name)
    output, error = io.StringIO(), ""
    with contextlib.chdir(name), contextlib.redirect_stdout(output):
        try:
            runpy.run_path(path, run_name="__main__")
        except Exception:
            error = traceback.format_exc()
    ends[name] = [output.getvalue(), error]
print(json.dumps(ends))
"""

Ends = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """What each snippet printed, and its traceback."""
    command = [sys.executable, "-c", RUNNER, *map(str, SNIPPETS)]
    folder = tmp_path_factory.mktemp("snippets")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: tuple(end) for name, end in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.parametrize("name", [path.stem for path in SNIPPETS])
def test_snippets_run(ends: Ends, name: str) -> None:
    _, error = ends[name]
    assert error == ""


def test_the_real_package_is_not_what_runs(ends: Ends) -> None:
    printed, _ = ends["logging_and_debugging"]
    assert "frazil" in printed
