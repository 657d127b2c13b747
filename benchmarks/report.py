"""Samples of both libraries into a table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module


@dataclass(frozen=True)
class Samples:
    """Seconds and peak memory in bytes of each run, in the order measured."""

    seconds: tuple[float, ...]
    peaks: tuple[int, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def time(self) -> str:
        """Median and spread, as `20 ms (18 to 31)`."""
        scale, unit = _unit(self.median)
        middle, low, high = (
            _digits(value * scale) for value in (self.median, min(self.seconds), max(self.seconds))
        )
        return f"{middle} {unit} ({low} to {high})" if len(self.seconds) > 1 else f"{middle} {unit}"

    def memory(self) -> str:
        """Median of the peaks, in MiB."""
        return f"{statistics.median(self.peaks) / 2**20:.0f}"


@dataclass(frozen=True)
class Result:
    """The runs of one case; `unsynced` where Frazil waits for the disk by default."""

    title: str
    frazil: Samples
    unsynced: Samples | None
    icechunk: Samples

    def row(self) -> tuple[str, ...]:
        """The cells of the table; a ratio below 1 says that Frazil is faster."""
        unsynced, base = self.unsynced, self.icechunk.median
        return (
            self.title,
            self.frazil.time(),
            unsynced.time() if unsynced else "",
            self.icechunk.time(),
            f"{self.frazil.median / base:.2f}",
            f"{unsynced.median / base:.2f}" if unsynced else "",
            f"{self.frazil.memory()} : {self.icechunk.memory()}",
        )


def _unit(seconds: float) -> tuple[float, str]:
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return scale, unit
    return 1.0, "s"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


HEAD = ("case", "Frazil", "no fsync", "icechunk", "ratio", "no fsync", "memory, MiB")


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
    packages = ("frazil", "icechunk", "zarr", "numpy")
    versions = ", ".join(f"{name} {import_module(name).__version__}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} processors; Python {platform.python_version()}; {versions}."
    )


def conditions(repeats: int) -> str:
    """What the figures were measured on, and what they mean."""
    return "\n".join(
        [
            machine(),
            f"Median (fastest to slowest) of {repeats}, one process per run, libraries in turn, "
            "local disk, files in the page cache.",
            "A ratio is Frazil's time over icechunk's: below 1, Frazil is faster. "
            "Memory is the most that a process had, Frazil : icechunk, imports included.",
            "Frazil forces commits to disk, which icechunk does not; "
            "`no fsync` is Frazil with FRAZIL_FSYNC=0, which makes the two alike.",
        ]
    )
