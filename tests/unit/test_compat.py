"""Standing in for icechunk; each program in a process of its own, for imports leave traces."""

import subprocess
import sys

import pytest

SETUP = "import frazil; frazil.install_as_icechunk(); frazil.install_as_icechunk()\n"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


# Each in the same process as those before it, first of all what works before any import.
STATEMENTS = """
import importlib.util as u; assert u.find_spec("icechunk.config") is not None
import importlib.util as u; assert u.find_spec("icechunk") is not None
import importlib.util as u; assert u.find_spec("icechunk.nowhere") is None
import icechunk; assert icechunk.Session is frazil.Session and icechunk.xarray is frazil.xarray
import icechunk; assert dir(icechunk) == dir(frazil) and icechunk.__all__ == frazil.__all__
import icechunk; assert icechunk.__version__ == "2.3.0" and frazil.__version__ != "2.3.0"
import icechunk; assert not hasattr(icechunk, "nothing") and icechunk.__name__ == "icechunk"
from icechunk import *; assert Repository is frazil.Repository
import icechunk.config; assert icechunk.config is frazil.config
from icechunk.storage import StorageSettings as S; assert S is frazil.StorageSettings
from icechunk import Diff; from icechunk.snapshots import Diff as D; assert D is Diff
from icechunk._icechunk_python import Diff; assert Diff is frazil.Diff
from icechunk._icechunk_python import RepoUpdateRetryConfig as R; assert R.__name__ in repr(R())
assert frazil.__spec__.name == "frazil" and frazil.config.__spec__.name == "frazil.config"
import importlib, icechunk.config; assert importlib.reload(icechunk.config) is frazil.config
import sys; assert sum("frazil" in type(f).__module__ for f in sys.meta_path) == 1
"""


def test_imports() -> None:
    result = run(SETUP + STATEMENTS)
    assert result.returncode == 0, result.stderr


def test_what_this_package_lacks_is_missing() -> None:
    result = run(SETUP + "import icechunk.nowhere")
    assert "ModuleNotFoundError" in result.stderr
    assert "icechunk.nowhere" in result.stderr


def test_pickles_that_name_icechunk_classes_load() -> None:
    # Written as protocol 0 by hand: a global of the module `icechunk`, called with a text.
    program = SETUP + (
        "import pickle\n"
        "error = pickle.loads(b\"cicechunk\\nIcechunkError\\n(S'gone'\\ntR.\")\n"
        "assert type(error) is frazil.IcechunkError and error.message == 'gone'\n"
        "solver = pickle.loads(b'cicechunk.conflicts\\nConflictDetector\\n(tR.')\n"
        "assert solver == frazil.ConflictDetector()\n"
    )
    result = run(program)
    assert result.returncode == 0, result.stderr


def test_without_installing_nothing_stands_in() -> None:
    program = "import frazil, sys; assert not any(m.startswith('icechunk') for m in sys.modules)"
    result = run(program)
    assert result.returncode == 0, result.stderr


def test_it_comes_too_late_after_the_real_one() -> None:
    pytest.importorskip("icechunk", reason="the real icechunk is not installed")
    result = run("import icechunk, frazil; frazil.install_as_icechunk()")
    assert result.returncode == 1
    assert "RuntimeError: the icechunk package has already been imported" in result.stderr
