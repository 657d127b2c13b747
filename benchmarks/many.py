"""Commits of many arrays, appends to many arrays, and many that commit at once."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Case, Clock, Goal, Lib, Sizes, checked, create, open_
from tests.servers.process import NotInstalled, find
from tests.servers.s3 import S3, ministack

_CELLS = 2_048
"""Cells of float32 in a chunk of 8 KiB."""
_APPENDED_ARRAYS = 200
_TURNS = 10
"""Commits of each committer."""


def commit_arrays(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """The commit alone, of arrays of one chunk each."""
    session = create(lib, folder).writable_session("main")
    root = zarr.create_group(session.store)
    data = np.random.default_rng(0).random(_CELLS, dtype="f4")
    for number in range(sizes.arrays):
        root.create_array(f"a{number}", data=data, chunks=_CELLS, compressors=None)
    clock = Clock()
    with clock.running():
        session.commit("arrays")
    group = zarr.open_group(open_(lib, folder).readonly_session("main").store, mode="r")
    return checked(clock, group.nmembers(), sizes.arrays, "arrays")


def append(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """One step to each array in each commit, as a model does that runs."""
    repo, clock = create(lib, folder), Clock()
    names = [f"a{number}" for number in range(_APPENDED_ARRAYS)]
    with repo.transaction("main", message="create") as store:
        root = zarr.create_group(store)
        for name in names:
            root.create_array(name, shape=(0, 256), chunks=(1, 256), dtype="f4", compressors=None)
    with clock.running():
        for step in range(sizes.steps):
            session = repo.writable_session("main")
            root = zarr.open_group(session.store)
            for name in names:
                array: Any = root[name]
                array.append(np.full((1, 256), step, "f4"))
            session.commit(f"step {step}")
    session = open_(lib, folder).readonly_session("main")
    last = zarr.open_array(session.store, path=names[-1], mode="r")
    return checked(clock, last.shape[0], sizes.steps, "steps")


# Many at once -------------------------------------------------------------------------------


@contextmanager
def _committer(lib: Lib, place: str, number: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.many", lib.__name__, place, str(number)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def commit_at_once(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """On an object store of this machine: local disks are not safe for this with icechunk."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ministack(place))
        repo = lib.Repository.create(server.storage(lib, "many"))
        with repo.transaction("main", message="create") as store:
            for number in range(sizes.committers):
                zarr.create_array(store, name=f"a{number}", shape=_TURNS, chunks=1, dtype="i4")
        processes = [
            stack.enter_context(_committer(lib, server.address, number))
            for number in range(sizes.committers)
        ]
        clock = Clock()
        with clock.running():
            for process in processes:
                assert process.stdin is not None
                process.stdin.close()
            failed = [process.wait() for process in processes]
        found = len(list(lib.Repository.open(server.storage(lib, "many")).ancestry(branch="main")))
        folder.mkdir()
    if any(failed):
        raise AssertionError("a committer failed: the error is above")
    return checked(clock, found - 2, sizes.committers * _TURNS, "commits")


def _commit_in_turn(lib: Lib, server: S3, number: int) -> None:
    """Each commit is of an array that nobody else changes; begins when the input ends."""
    repo = lib.Repository.open(server.storage(lib, "many"))
    print("ready", flush=True)
    sys.stdin.read()
    for turn in range(_TURNS):
        session = repo.writable_session("main")
        zarr.open_array(session.store, path=f"a{number}")[turn] = turn + 1
        session.commit(f"{number}: {turn}", rebase_with=lib.BasicConflictSolver())


def has_server() -> bool:
    try:
        find("ministack", ".venv-servers-ministack/bin")
    except NotInstalled:
        return False
    return True


_AT_ONCE = Case(
    "committers",
    lambda s: f"{s.committers} processes commit {_TURNS} times each to one branch on S3",
    commit_at_once,
)
CASES = (
    Case(
        "commit-arrays",
        lambda s: f"commit {s.arrays:,} arrays of one chunk each",
        commit_arrays,
        commits=True,
        goal=Goal(5),
    ),
    Case(
        "append-many",
        lambda s: f"append one step to {_APPENDED_ARRAYS} arrays, {s.steps} times",
        append,
        commits=True,
        goal=Goal(4),
    ),
    *((_AT_ONCE,) if has_server() else ()),
)


if __name__ == "__main__":
    _lib = importlib.import_module(sys.argv[1])
    _lib.set_logs_filter("error")
    _commit_in_turn(_lib, S3("", sys.argv[2]), int(sys.argv[3]))
