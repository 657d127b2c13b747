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
class Result:
    """Seconds per run of one case, by library, in the order measured."""

    title: str
    frazil: tuple[float, ...]
    icechunk: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Frazil's median time over icechunk's: below 1, Frazil is faster."""
        return statistics.median(self.frazil) / statistics.median(self.icechunk)


def seconds(value: float) -> str:
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if value < limit:
            return f"{value * scale:.3g} {unit}"
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def spread(samples: Sequence[float]) -> str:
    median = seconds(statistics.median(samples))
    return f"{median} ({seconds(min(samples))} to {seconds(max(samples))})"


def table(results: Sequence[Result]) -> str:
    """Markdown, padded so that it reads well as it is."""
    rows = [
        ("case", "Frazil", "icechunk", "ratio"),
        *((r.title, spread(r.frazil), spread(r.icechunk), f"{r.ratio:.2f}") for r in results),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def conditions(repeats: int) -> str:
    """The machine, the versions and the date, which figures mean nothing without."""
    packages = ("frazil", "icechunk", "zarr", "numpy")
    versions = ", ".join(f"{name} {import_module(name).__version__}" for name in packages)
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}; {platform.system()} {platform.machine()}, "
            f"{os.cpu_count()} processors; Python {platform.python_version()}; {versions}.",
            f"Median (fastest to slowest) of {repeats}, one process per run, libraries in turn, "
            "local disk, files in the page cache.",
            "The ratio is Frazil's time over icechunk's: below 1, Frazil is faster.",
        ]
    )
