"""Many committers at once, again and again, some of them killed: see `committers`.

    python -m tests.scenario.stress              ten runs of each kind and spec version
    python -m tests.scenario.stress --runs 50 --folder /somewhere/on/a/real/disk
    python -m tests.scenario.stress --runs 1 --kind crowd
    python -m tests.scenario.stress --runs 1 --kind crowd --on ministack

A crowd is 100 writers with 5 commits each; it may not write twice as many bytes as one writer
who makes the same 500 commits.

It is no part of the tests, which do one short run of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.scenario.committers import Ground, Result, crowd, deadly, undisturbed
from tests.servers.fixtures import CLOUDS, Cloud

KINDS = ("undisturbed", "deadly", "crowd")


def crowded(ground: Ground, spec: int) -> Result:
    """A crowd; too many bytes are a fault."""
    result, ratio = crowd(ground, spec)
    print(f"a crowd wrote {ratio:.2f} times the bytes of one writer")
    faults = list(result.faults)
    if ratio >= 2:
        faults.append("it wrote twice as much as one writer")
    if (result.reported, result.in_history) != (500, 500):
        faults.append("not all 500 commits are there")
    return Result(result.reported, result.in_history, faults)


def main() -> int:
    """Run everything as often as asked; the number of runs with faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where the repositories are made")
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind of run")
    parser.add_argument("--on", choices=CLOUDS, help="an object store, instead of a folder")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        cloud = None
        if arguments.on:
            server = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            cloud = stack.enter_context(CLOUDS[arguments.on](server))
        return run_all(arguments, cloud)


def run_all(arguments: argparse.Namespace, cloud: Cloud | None) -> int:
    """The number of runs with faults."""
    bad = 0
    for run in range(arguments.runs):
        for spec in (1, 2):
            for kind in arguments.kind or KINDS:
                with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
                    ground = Ground(Path(name), cloud)
                    began = time.monotonic()
                    if kind == "undisturbed":
                        result = undisturbed(ground, spec, writers=arguments.writers)
                    elif kind == "crowd":
                        result = crowded(ground, spec)
                    else:
                        result = deadly(ground, spec, kills=arguments.kills)
                seconds = time.monotonic() - began
                print(
                    f"run {run + 1:3}  spec {spec}  {kind:11}  {result.reported:4} reported  "
                    f"{result.in_history:4} in the history  {len(result.faults)} faults  "
                    f"{seconds:.1f} s",
                    flush=True,
                )
                for fault in result.faults:
                    print("    ", fault)
                bad += bool(result.faults)
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
