"""The benchmark suite works: every case runs with all libraries, and the table is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import storage, storage_worker
from benchmarks.cases import CASES
from benchmarks.common import QUICK, Goal
from benchmarks.many import has_server
from benchmarks.report import Result, Sample, table, verdicts, wanted
from benchmarks.scaling import AXES

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def cells(page: str, title: str) -> list[str]:
    """Of the line that begins with a title."""
    rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines())
    return next(row for row in rows if row and row[0] == title)


def test_all_cases_run_and_are_in_the_report(tmp_path: Path) -> None:
    done = benchmarks("--quick", "--save", str(tmp_path / "results.md"))
    assert done.returncode == 0, done.stderr

    page = (tmp_path / "results.md").read_text()
    assert done.stdout in page
    assert str(tmp_path) not in page
    for case in CASES:
        _, goal, reached, ratio, unsynced, peer, *_, memory, runs = cells(page, case.title(QUICK))
        assert bool(goal) == bool(reached) == (case.goal is not None)
        assert float(ratio) > 0
        assert bool(unsynced) == case.commits
        assert bool(peer) == bool(case.peers)
        assert (peer == "–") == (bool(case.peers) and not any(p.is_there for p in case.peers))
        assert all(int(mebibytes) > 1 for mebibytes in memory.split(":"))
        assert runs == "1"
    if has_server():
        for name, title in storage_worker.titles(quick=True).items():
            _, goal, reached, ratio, *_ = cells(page, title)
            assert bool(goal) == bool(reached) == (name in storage_worker.GOALS)
            assert float(ratio) > 0


def test_pictures_of_time_and_memory_against_sizes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = benchmarks("scaling", "--quick", "chunks", "--folder", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scaling-chunks.png").read_bytes().startswith(b"\x89PNG")


def test_every_size_that_grows_is_one_of_the_cases() -> None:
    for axis in AXES:
        assert getattr(axis.at(7, QUICK), axis.field) == 7


@pytest.mark.parametrize("arguments", [(), ("storage",), ("scaling",)])
def test_unknown_case_is_refused(arguments: tuple[str, ...]) -> None:
    done = benchmarks(*arguments, "--quick", "no-such-case")
    assert done.returncode == 2
    assert "no-such-case" in done.stderr


def _runs(*seconds: float, mebibytes: int = 1) -> list[Sample]:
    return [Sample(one, mebibytes * 2**20) for one in seconds]


def test_ratios_are_of_runs_side_by_side_and_the_spread_is_shown() -> None:
    frazil, icechunk = _runs(0.001, 0.002, 0.004), _runs(0.004, 0.004, 0.004)
    fast, slow = _runs(0.001, 0.001, 0.001), _runs(9, 9, 9)
    peers = {"slow": (frazil, slow), "fast": (frazil, fast), "not there": None}
    commit = Result("commit", Goal(1.5, peers=0.8), frazil, fast, icechunk, peers)
    single, large = _runs(120, mebibytes=3), _runs(60, mebibytes=4)
    read = Result("read", Goal(2, memory=0.8), single, None, large, {"not there": None})
    plain = Result("list", Goal(), single, None, large, {})
    rows = [line.split("|")[1:-1] for line in table([commit, read, plain]).splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [
            *("commit", "1.5x, 0.8x peers", "yes, no: 0.5"),
            *("2 (1 to 4)", "4 (4 to 4)", "0.5 (0.25 to 1), fast"),
            *("2 ms", "1 ms", "4 ms", "1 ms", "1 : 1 : 1", "3"),
        ],
        [
            *("read", "2x, 0.8 of memory", "no: 0.5, yes", "0.5", "", "–"),
            *("120 s", "", "60 s", "–", "3 : 4", "1"),
        ],
        ["list", "", "", "0.5", "", "", "120 s", "", "60 s", "", "3 : 4", "1"],
    ]


def test_goals_that_were_not_measured_are_dashes() -> None:
    assert verdicts(Goal(10, peers=1.3), icechunk=12) == "yes, –"
    goal = Goal(10, requests=0.02, unsynced=True)
    assert wanted(goal) == "10x without fsync, 2% of requests"
    assert verdicts(goal, icechunk=10, requests=0.021) == "yes, no: 0.021"


def test_traffic_of_several_runs_is_one_row() -> None:
    ours = [storage.Traffic(4, 2, 0, 1024, seconds) for seconds in (1.0, 2.0, 3.0)]
    theirs = [storage.Traffic(400, 40, 0, 2048, seconds) for seconds in (20.0, 24.0, 60.0)]
    page = storage.table({"read-all": list(zip(ours, theirs, strict=True))}, quick=True)
    assert cells(page, "open, read 50 chunks") == [
        *("open, read 50 chunks", "10x, 2% of requests", "yes, yes", "20 (12 to 20)"),
        *("4 (2)", "0.0", "1.0", "2.00", "400 (40)", "0.0", "2.0", "24.00", "3"),
    ]
