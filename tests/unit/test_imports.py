"""What is imported when: everything that a program does not use costs it a start that is slower."""

from __future__ import annotations

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


def test_reading_and_writing_imports_nothing_that_only_other_work_needs(tmp_path: Path) -> None:
    """Import inside the function that needs it what is listed above, and what imports it."""
    loaded = run(READ_AND_WRITE, str(tmp_path / "r"))
    assert "frazil.engine.commit" in loaded
    assert sorted(loaded & {*USED_ELSEWHERE}) == []


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
