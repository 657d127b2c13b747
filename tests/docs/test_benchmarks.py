"""The benchmark suite works: every case runs with both libraries, and the table is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import CASES
from benchmarks.common import QUICK, Case
from benchmarks.report import Result, Samples, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_runs_with_both_libraries(case: Case) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", case.name],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if case.title(QUICK) in line)
    _, _, _, unsynced, _, ratio, unsynced_ratio, memory, _ = (c.strip() for c in row.split("|"))
    assert float(ratio) > 0
    assert bool(unsynced) == bool(unsynced_ratio) == case.commits
    assert all(int(mebibytes) > 1 for mebibytes in memory.split(":"))


def test_unknown_case_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "no-such-case"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "no such case: no-such-case" in done.stderr


def _samples(*seconds: float, peak: int = 2**20) -> Samples:
    return Samples(seconds, (peak,) * len(seconds))


def test_ratios_are_of_medians_and_the_spread_is_shown() -> None:
    icechunk = _samples(0.004, 0.003, 0.005)
    commit = Result("commit", _samples(0.001, 0.002, 0.9), _samples(0.001), icechunk)
    read = Result("read", _samples(120.0, peak=3 * 2**20), None, icechunk)
    assert table([commit, read]).splitlines() == [
        "| case   | Frazil          | no fsync | icechunk      | ratio    | no fsync "
        "| memory, MiB |",
        "|--------|-----------------|----------|---------------|----------|----------"
        "|-------------|",
        "| commit | 2 ms (1 to 900) | 1 ms     | 4 ms (3 to 5) | 0.50     | 0.25     "
        "| 1 : 1       |",
        "| read   | 120 s           |          | 4 ms (3 to 5) | 30000.00 |          "
        "| 3 : 1       |",
    ]
