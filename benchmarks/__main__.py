"""Measure the cases with both libraries in turn and print the ratios."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import BY_NAME, CASES, FULL, QUICK, Case
from benchmarks.report import Result, conditions, table

LIBRARIES = ("frazil", "icechunk")
RESULTS = Path(__file__).parent / "RESULTS.md"


def call(lib: str, part: str, case: str, folder: Path, quick: bool) -> float:
    command = [sys.executable, "-m", "benchmarks.worker", lib, part, case, str(folder)]
    done = subprocess.run(
        [*command, "--quick"] if quick else command, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{case} failed with {lib}: the error is above")
    seconds: float = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return seconds


def measure(case: Case, work: Path, repeats: int, quick: bool) -> Result:
    """A prepared repository is kept for the cases that share it; others get a new folder."""
    owner = BY_NAME[case.shares] if case.shares else case
    samples: dict[str, list[float]] = {lib: [] for lib in LIBRARIES}
    if owner.prepare is not None:
        for lib in LIBRARIES:
            folder = work / f"{owner.name}-{lib}"
            if not folder.exists():
                note(f"  preparing with {lib}")
                call(lib, "prepare", owner.name, folder, quick)
    for turn in range(repeats):
        for lib in LIBRARIES if turn % 2 == 0 else LIBRARIES[::-1]:
            if owner.prepare is not None:
                seconds = call(lib, "run", case.name, work / f"{owner.name}-{lib}", quick)
            else:
                folder = work / f"{case.name}-{lib}-{turn}"
                seconds = call(lib, "run", case.name, folder, quick)
                shutil.rmtree(folder)
            samples[lib].append(seconds)
            note(f"  {lib:<8} {seconds:.4f} s")
    return Result(
        case.title(QUICK if quick else FULL), tuple(samples["frazil"]), tuple(samples["icechunk"])
    )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
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
