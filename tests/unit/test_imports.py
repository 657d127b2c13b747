"""What is imported when: everything that a program does not use costs it a start that is slower."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import frazil

READ_AND_WRITE = """
import sys, zarr, frazil
storage = frazil.local_filesystem_storage(sys.argv[1])
session = frazil.Repository.create(storage).writable_session("main")
zarr.create_array(session.store, name="x", shape=8, chunks=2, dtype="i4")[:] = 1
session.commit("x")
session = frazil.Repository.open(storage).readonly_session("main")
assert zarr.open_array(session.store, path="x", mode="r")[:].sum() == 8
print(*(name for name in sys.modules if name.startswith(("frazil", "obstore", "xarray"))))
"""

USED_ELSEWHERE = (
    "frazil._public",
    "frazil.blaming",
    "frazil.checkup",
    "frazil.conflicts",
    "frazil.credentials",
    "frazil.engine.clone",
    "frazil.engine.collection.collect",
    "frazil.engine.merging",
    "frazil.engine.rebase",
    "frazil.engine.repacking.repack",
    "frazil.engine.sources.kinds",
    "frazil.engine.verification.verify",
    "frazil.files",
    "frazil.findings",
    "frazil.hooks.declared",
    "frazil.hooks.event",
    "frazil.interchange",
    "frazil.notebook",
    "frazil.ops",
    "frazil.retention",
    "frazil.snapshots",
    "frazil.stats",
    "frazil.storage.cloud",
    "frazil.verification",
    "frazil.xarray",
    "obstore",
    "xarray",
)


def run(program: str, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a program has imported that reads and writes an array."""
    return run(READ_AND_WRITE, str(tmp_path_factory.mktemp("program") / "r"))


def test_reading_and_writing_imports_nothing_that_only_other_work_needs(loaded: set[str]) -> None:
    """Import inside the function that needs it what is listed above, and what imports it."""
    assert "frazil.engine.commit" in loaded
    assert sorted(loaded & {*USED_ELSEWHERE}) == []


def in_functions(module: str) -> set[str]:
    """The modules of the package that functions of this one import."""
    file = _file(module)
    assert file is not None
    found = set()
    for function in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    names = (f"{node.module}.{alias.name}" for alias in node.names)
                    found |= {name if _file(name) else str(node.module) for name in names}
    return {name for name in found if name.startswith("frazil.")}


def _file(module: str) -> Path | None:
    path = Path(frazil.__file__).parent.parent.joinpath(*module.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.exists()), None)


def test_an_import_inside_a_function_spares_programs_something(loaded: set[str]) -> None:
    """Where it doesn't, import at the top."""
    ours = {name for name in loaded if name.startswith("frazil")}
    found = {(name, other) for name in ours for other in in_functions(name) if other in loaded}
    # When Zarr opens an array; some programs only look at what there is.
    switch = "frazil.store.pipeline.switch"
    found -= {(switch, "frazil.store.store"), (switch, "frazil.store.pipeline.pipeline")}
    assert found == set()


def test_the_package_alone_imports_neither_zarr_nor_numpy() -> None:
    assert run("import sys, frazil; print(*{'zarr', 'numpy', 'asyncio'} & {*sys.modules})") == set()


@pytest.mark.parametrize("name", sorted(frazil._OFTEN))
def test_names_found_without_the_others_are_the_same_objects(name: str) -> None:
    from frazil import _public

    assert getattr(frazil, name) is getattr(_public, name)


def test_storage_has_all_its_names() -> None:
    from frazil import storage

    assert {*storage.__all__} <= {*dir(storage)}
    assert all(hasattr(storage, name) for name in storage.__all__)
    with pytest.raises(AttributeError, match=r"frazil\.storage.*nowhere"):
        _ = storage.nowhere
