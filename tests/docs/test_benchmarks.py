"""The benchmark suite works: every case runs with both libraries, and the table is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import CASES, QUICK, Case
from benchmarks.report import Result, table

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
    assert float(row.split("|")[-2]) > 0


def test_unknown_case_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "no-such-case"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "no such case: no-such-case" in done.stderr


def test_ratio_is_of_medians_and_the_spread_is_shown() -> None:
    result = Result("copy", frazil=(0.001, 0.002, 0.9), icechunk=(0.004, 0.003, 0.005))
    assert result.ratio == pytest.approx(0.5)
    assert table([result]).splitlines() == [
        "| case | Frazil                | icechunk            | ratio |",
        "|------|-----------------------|---------------------|-------|",
        "| copy | 2 ms (1 ms to 900 ms) | 4 ms (3 ms to 5 ms) | 0.50  |",
    ]
