"""A process that is killed at each step of what it does: nobody else notices."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import frazil
from frazil.storage import pool
from frazil.storage.local import LocalBackend
from tests.scenario import faults
from tests.scenario.faults import Flow, How, Spoiled, build, seen, stored
from tests.scenario.places import storage_around
from tests.scenario.scheduler import prepare_process

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        prepare_process(patch)
        yield


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    "flow", [faults.rebases, faults.expires_and_collects], ids=lambda flow: flow.__name__
)
def test_on_local_disk(tmp_path: Path, flow: Flow, spec: int) -> None:
    base = tmp_path / "base"
    build(frazil.local_filesystem_storage(str(base)), spec)
    before = seen(frazil.local_filesystem_storage(str(base)))
    clean = tmp_path / "clean"
    shutil.copytree(base, clean)
    spoiled = Spoiled(LocalBackend(clean), -1, None)
    flow(storage_around(spoiled), frazil.local_filesystem_storage(str(clean)))
    done = frazil.local_filesystem_storage(str(clean))
    after = seen(done)
    steps = [i for i, op in enumerate(spoiled.done) if How.KILLED in op.faults()]
    assert len(steps) > 5
    for step in steps:
        folder = tmp_path / f"step-{step}"
        shutil.copytree(base, folder)
        ended = die_at(folder, flow, step)
        assert ended == -signal.SIGKILL
        storage = frazil.local_filesystem_storage(str(folder))
        where = f"killed at step {step}, after {spoiled.done[step]}"
        found = seen(storage)
        if flow is faults.rebases:
            main = [message for message, _ in found.branches["main"]]
            assert main[0] in ("fourth", "rival", "new"), where
            assert found == after or main[0] != "new", where
        else:
            assert found.is_part_of(before), where
        if found != after:
            flow(storage, storage)
            assert seen(storage) == after, where
        if flow is not faults.rebases:
            flow(storage, storage)
            assert stored(storage) == stored(done), where


def die_at(folder: Path, flow: Flow, step: int) -> int:
    """Run the flow in a process that is killed after an operation; how it ended."""
    child = os.fork()
    if child == 0:
        try:
            pool.WORKERS = 1  # the parent has none, and a pool already
            prepare_process(pytest.MonkeyPatch())
            kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            spoiled = Spoiled(LocalBackend(folder), step, How.KILLED, kill)
            flow(storage_around(spoiled), storage_around(LocalBackend(folder)))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
