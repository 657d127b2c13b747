"""Samples of Frazil, icechunk and the peers into a table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.common import Goal

MISSING = "–"


@dataclass(frozen=True)
class Sample:
    """One run: seconds, and the most memory in bytes."""

    seconds: float
    peak: int = 0


Runs = Sequence[Sample]


def _middle(runs: Runs) -> float:
    return statistics.median(run.seconds for run in runs)


def times_faster(ours: Runs, theirs: Runs) -> list[float]:
    """How many times faster ours are, for each turn."""
    return [their.seconds / our.seconds for our, their in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest, as `12 (10 to 14)`."""
    middle = _digits(statistics.median(values))
    return f"{middle} ({_digits(min(values))} to {_digits(max(values))})" if values[1:] else middle


def _time(runs: Runs) -> str:
    middle = _middle(runs)
    scale, unit = _unit(middle)
    return f"{_digits(middle * scale)} {unit}"


def _memory(runs: Runs) -> float:
    return statistics.median(run.peak for run in runs) / 2**20


@dataclass(frozen=True)
class Result:
    """The runs of one case, in the order of turns.

    unsynced: Frazil without waiting for the disk, where it does so by default; peers: by name,
    what they are to be compared with and their runs; None of those that are not installed.
    """

    title: str
    goal: Goal
    frazil: Runs
    unsynced: Runs | None
    icechunk: Runs
    peers: Mapping[str, tuple[Runs, Runs] | None]

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        best = self._best_peer()
        unsynced = self.unsynced
        return (
            self.title,
            wanted(self.goal),
            self._reached(best),
            spread(times_faster(self.frazil, self.icechunk)),
            spread(times_faster(unsynced, self.icechunk)) if unsynced else "",
            f"{spread(times_faster(*best[1]))}, {best[0]}" if best else self._no_peer(),
            _time(self.frazil),
            _time(unsynced) if unsynced else "",
            _time(self.icechunk),
            _time(best[1][1]) if best else self._no_peer(),
            self._memories(best),
            str(len(self.frazil)),
        )

    def _memories(self, best: tuple[str, tuple[Runs, Runs]] | None) -> str:
        runs = [self.frazil, self.icechunk, *([best[1][1]] if best else [])]
        return " : ".join(f"{_memory(one):.0f}" for one in runs)

    def _no_peer(self) -> str:
        return MISSING if self.peers else ""

    def _best_peer(self) -> tuple[str, tuple[Runs, Runs]] | None:
        there = [(name, runs) for name, runs in self.peers.items() if runs is not None]
        return min(there, key=lambda one: _middle(one[1][1]), default=None)

    def _reached(self, best: tuple[str, tuple[Runs, Runs]] | None) -> str:
        ours = self.unsynced if self.goal.unsynced and self.unsynced else self.frazil
        return verdicts(
            self.goal,
            icechunk=statistics.median(times_faster(ours, self.icechunk)),
            peers=statistics.median(times_faster(*best[1])) if best else None,
            memory=_memory(self.frazil) / _memory(self.icechunk),
        )


def wanted(goal: Goal) -> str:
    """A goal in words."""
    parts = [
        f"{goal.icechunk:g}x{' without fsync' if goal.unsynced else ''}" if goal.icechunk else "",
        f"{goal.peers:g}x peers" if goal.peers else "",
        f"{goal.memory:g} of memory" if goal.memory else "",
        f"{goal.requests:.0%} of requests" if goal.requests else "",
    ]
    return ", ".join(filter(None, parts))


def verdicts(
    goal: Goal,
    *,
    icechunk: float,
    peers: float | None = None,
    memory: float | None = None,
    requests: float | None = None,
) -> str:
    """For each part of a goal whether it is reached; a dash if that was not measured."""

    def verdict(value: float | None, is_reached: bool) -> str:
        return MISSING if value is None else "yes" if is_reached else f"no: {_digits(value)}"

    return ", ".join(
        verdict(value, value is not None and (value >= goal if more else value <= goal))
        for value, goal, more in (
            (icechunk, goal.icechunk, True),
            (peers, goal.peers, True),
            (memory, goal.memory, False),
            (requests, goal.requests, False),
        )
        if goal is not None
    )


def _unit(seconds: float) -> tuple[float, str]:
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return scale, unit
    return 1.0, "s"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


HEAD = (
    *("case", "goal", "reached", "times icechunk", "no fsync", "times best peer"),
    *("Frazil", "no fsync", "icechunk", "best peer", "memory, MiB", "runs"),
)


def table(results: Sequence[Result]) -> str:
    """Markdown, padded so that it reads well as it is."""
    return aligned([HEAD, *(result.row() for result in results)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> str:
    """The machine, the versions and the date, which figures mean nothing without."""
    packages = ("frazil", "icechunk", "zarr", "numpy", "zstandard", "tensorstore", "zarrs")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} processors, "
        f"{memory:.0f} GiB; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}; {versions}."
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def _processor() -> str:
    """Its name, where the system tells it."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "processor of unknown name")


NOTES = """\
Local disk, files in the page cache; libraries in turn, a process for each run. How many times
faster Frazil is: the median over the runs (lowest to highest), each compared with the run of the
other beside it. Seconds are medians. Frazil forces commits to disk, which icechunk does not; `no
fsync` is Frazil with FRAZIL_FSYNC=0, which makes the two alike. Memory is the most that a process
had, Frazil : icechunk : best peer, imports included. Goals are about the default, if not said
otherwise.

Peers: TensorStore, zarrs and Zarr itself read what Zarr has written into files; OCDBT is
TensorStore's database of versions, written in one transaction and forced to disk as Frazil's; bare
zstandard is compression or decompression in as many threads as processors, and one copy, not forced
to disk and compared with Frazil as such."""
