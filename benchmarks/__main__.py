"""Measure the cases with the libraries in turn, and print how many times faster Frazil is."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks import repack, scaling, storage
from benchmarks.cases import BY_NAME, CASES
from benchmarks.common import FULL, QUICK, SHORT, Case, Goal, Sizes
from benchmarks.many import has_server
from benchmarks.report import NOTES, Result, Sample, machine, table
from benchmarks.run import FRAZIL, ICECHUNK, UNSYNCED, Runs, Variant
from benchmarks.storage_worker import GOALS

RESULTS = Path(__file__).parent / "RESULTS.md"

Taken = dict[str, list[Sample]]
"""The runs of a case, by the name of the variant or peer."""


def turn(case: Case, runs: Runs, number: int, taken: Taken) -> None:
    """Run everything once, every other time in the opposite order."""
    variants = [FRAZIL, UNSYNCED, ICECHUNK] if case.commits else [FRAZIL, ICECHUNK]
    plan = [(variant, None) for variant in variants] + [
        (Variant(peer.name, peer.name), peer) for peer in case.peers if peer.is_there
    ]
    for variant, peer in plan if number % 2 == 0 else plan[::-1]:
        sample = runs.one(case, variant, peer)
        taken[variant.name].append(sample)
        note(f"  {variant.name:<14} {sample.seconds:.4f} s, {sample.peak / 2**20:.0f} MiB")


def result(case: Case, taken: Taken, sizes: Sizes) -> Result:
    """The runs, put in order for the table."""

    def against(waits: bool) -> list[Sample]:
        return taken[FRAZIL.name if waits or not case.commits else UNSYNCED.name]

    return Result(
        case.title(sizes),
        case.goal or Goal(),
        taken[FRAZIL.name],
        taken[UNSYNCED.name] if case.commits else None,
        taken[ICECHUNK.name],
        {
            peer.name: (against(peer.waits), taken[peer.name]) if peer.is_there else None
            for peer in case.peers
        },
    )


def measure(
    cases: Sequence[Case], sizes: Sizes, repeats: int, until: float, folder: Path | None
) -> list[Result]:
    """All cases once, then again, and no more from a moment on."""
    taken: dict[str, Taken] = {case.name: defaultdict(list) for case in cases}
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work:
        runs = Runs(Path(work), sizes, shared=sizes is QUICK)
        for number in range(repeats):
            for case in cases:
                if number == 0 or time.monotonic() < until:
                    note(f"{case.name}, {number + 1} of {repeats}")
                    turn(case, runs, number, taken[case.name])
        runs.end()
    return [result(case, taken[case.name], sizes) for case in cases]


def is_in_short(case: Case) -> bool:
    return case.goal is not None and not case.slow


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    start = time.monotonic()
    for name, module in (("storage", storage), ("scaling", scaling), ("repack", repack)):
        if sys.argv[1:2] == [name]:
            module.main(sys.argv[2:])
            return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="Requests to an object store: python -m benchmarks storage --help. "
        "Plots of time and memory against sizes: python -m benchmarks scaling --help. "
        "Many small objects before and after repacking: python -m benchmarks repack --help.",
    )
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(BY_NAME)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="tiny sizes, one run each: no figures")
    size.add_argument(
        "--short", action="store_true", help="cases with a goal, some of them smaller"
    )
    parser.add_argument("--repeats", type=int, default=5, help="runs per case and library")
    parser.add_argument("--minutes", type=float, help="repeat nothing after so long")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    parser.add_argument(
        "--save", type=Path, nargs="?", const=RESULTS, help=f"write {RESULTS.name}, or a file"
    )
    given = parser.parse_args()
    if unknown := set(given.cases) - set(BY_NAME):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    sizes = QUICK if given.quick else SHORT if given.short else FULL
    repeats = 1 if given.quick else given.repeats
    until = start + given.minutes * 60 if given.minutes else float("inf")
    cases = [
        case
        for case in CASES
        if (case.name in given.cases if given.cases else is_in_short(case) or not given.short)
    ]

    remote = ""
    if not given.cases and has_server():
        some = GOALS if given.short else storage.CASES
        delay = 5 if given.quick else 30
        measured = storage.measure(some, delay, repeats, given.quick)
        remote = f"\n\n## S3\n\n{storage.table(measured, given.quick)}\n\n{storage.notes(delay)}"
    elif not given.cases:
        note("Without S3, whose server `make servers` installs")
    local = table(measure(cases, sizes, repeats, until, given.folder))
    text = f"{machine()}\n\n## Local disk\n\n{local}\n\n{NOTES}{remote}"
    print(text)
    if given.save:
        given.save.write_text(f"# Frazil beside icechunk and others\n\n{text}\n")


if __name__ == "__main__":
    main()
