"""Measure the cases with both libraries in turn and print the ratios."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import storage
from benchmarks.cases import BY_NAME, CASES
from benchmarks.common import FULL, QUICK, Case
from benchmarks.report import Result, Samples, conditions, table

RESULTS = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True)
class Variant:
    """A library, and how it is set."""

    name: str
    lib: str
    environment: Mapping[str, str] = field(default_factory=dict)


FRAZIL, ICECHUNK = Variant("frazil", "frazil"), Variant("icechunk", "icechunk")
UNSYNCED = Variant("no fsync", "frazil", {"FRAZIL_FSYNC": "0"})


def call(variant: Variant, part: str, case: str, folder: Path, quick: bool) -> tuple[float, int]:
    """The seconds that a part of a case took, and the most memory it had in bytes."""
    command = [sys.executable, "-m", "benchmarks.worker", variant.lib, part, case, str(folder)]
    environment = {k: v for k, v in os.environ.items() if k != "FRAZIL_FSYNC"}
    done = subprocess.run(
        [*command, "--quick"] if quick else command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment | variant.environment,
    )
    if done.returncode:
        raise SystemExit(f"{case} failed with {variant.name}: the error is above")
    measured = json.loads(done.stdout.splitlines()[-1])
    return measured["seconds"], measured["peak"]


def measure(case: Case, work: Path, repeats: int, quick: bool) -> Result:
    """A prepared repository is kept for the cases that share it; others get a new folder."""
    owner = BY_NAME[case.shares] if case.shares else case
    variants = (FRAZIL, UNSYNCED, ICECHUNK) if case.commits else (FRAZIL, ICECHUNK)
    runs: dict[str, list[tuple[float, int]]] = {variant.name: [] for variant in variants}
    if owner.prepare is not None:
        for variant in (FRAZIL, ICECHUNK):
            folder = work / f"{owner.name}-{variant.lib}"
            if not folder.exists():
                note(f"  preparing with {variant.lib}")
                call(variant, "prepare", owner.name, folder, quick)
    for turn in range(repeats):
        for variant in variants if turn % 2 == 0 else variants[::-1]:
            if owner.prepare is not None:
                folder = work / f"{owner.name}-{variant.lib}"
                run = call(variant, "run", case.name, folder, quick)
            else:
                folder = work / f"{case.name}-{variant.lib}-{turn}"
                run = call(variant, "run", case.name, folder, quick)
                shutil.rmtree(folder)
            runs[variant.name].append(run)
            note(f"  {variant.name:<8} {run[0]:.4f} s, {run[1] / 2**20:.0f} MiB")
    samples = {name: Samples(*zip(*taken, strict=True)) for name, taken in runs.items()}
    return Result(
        case.title(QUICK if quick else FULL),
        samples[FRAZIL.name],
        samples.get(UNSYNCED.name),
        samples[ICECHUNK.name],
    )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    if sys.argv[1:2] == ["storage"]:
        storage.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="Requests to an object store: python -m benchmarks storage --help",
    )
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(BY_NAME)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one run each")
    parser.add_argument("--repeats", type=int, default=5, help="runs per case and library")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name} as well")
    given = parser.parse_args()
    if unknown := set(given.cases) - set(BY_NAME):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    repeats = 1 if given.quick else given.repeats

    results = []
    with tempfile.TemporaryDirectory(dir=given.folder) as work:
        for case in CASES:
            if not given.cases or case.name in given.cases:
                note(case.name)
                results.append(measure(case, Path(work), repeats, given.quick))
    text = f"{table(results)}\n\n{conditions(repeats)}"
    print(text)
    if given.save:
        RESULTS.write_text(f"# Frazil against icechunk\n\n{text}\n")


if __name__ == "__main__":
    main()
