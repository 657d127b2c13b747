"""Time and memory against sizes, for Frazil and icechunk, as pictures.

    python -m benchmarks scaling            some minutes; writes docs/img/scaling-*.png
    python -m benchmarks scaling --quick    tiny sizes: shows that it works

Each point is one run in a process of its own; committers are on an object store of this machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import BY_NAME
from benchmarks.common import QUICK, SHORT, Sizes
from benchmarks.report import Sample, machine
from benchmarks.run import FRAZIL, ICECHUNK, Runs, Variant

IMAGES = Path(__file__).parents[1] / "docs" / "img"
LIBRARIES = {FRAZIL: ("Frazil", "#0b6fb8"), ICECHUNK: ("icechunk", "#d9822b")}


@dataclass(frozen=True)
class Axis:
    """What grows, at which sizes, and the cases that are measured with it."""

    name: str
    label: str
    sizes: tuple[int, ...]
    field: str
    cases: tuple[tuple[str, str], ...]

    def at(self, size: int, base: Sizes) -> Sizes:
        return dataclasses.replace(base, **{self.field: size})


AXES = (
    Axis(
        "chunks",
        "chunks of 8 KiB, zstd",
        (100, 1_000, 5_000, 20_000),
        "small_chunks",
        (("write-zstd", "write and commit"), ("read-zstd", "open and read")),
    ),
    Axis(
        "references",
        "virtual references",
        (1_000, 10_000, 100_000, 1_000_000),
        "references",
        (("virtual-set", "set and commit all"), ("virtual-change", "change one and commit")),
    ),
    Axis(
        "nodes",
        "nodes",
        (1_000, 10_000, 100_000),
        "many_nodes",
        (("wide-commit", "open, commit one attribute"), ("wide-list", "open and list")),
    ),
    Axis(
        "snapshots",
        "snapshots",
        (2_000, 10_000, 100_000),
        "snapshots",
        (("long-commit", "open and commit one chunk"), ("long-ancestry", "open and list all")),
    ),
    Axis(
        "committers",
        "processes that commit to one branch",
        (1, 2, 4, 8),
        "committers",
        (("committers", "10 commits each, S3"),),
    ),
)

Points = dict[str, dict[Variant, list[Sample]]]
"""Of each case, for each library, in the order of sizes."""


def measure(axis: Axis, sizes: Sequence[int], base: Sizes) -> Points:
    """One run of each case at each size."""
    points: Points = {case: {lib: [] for lib in LIBRARIES} for case, _ in axis.cases}
    for size in sizes:
        with tempfile.TemporaryDirectory() as work:
            runs = Runs(Path(work), axis.at(size, base))
            for case, _ in axis.cases:
                for variant in LIBRARIES:
                    sample = runs.one(BY_NAME[case], variant)
                    points[case][variant].append(sample)
                    print(f"{case} {size:,} {variant.name} {sample}", file=sys.stderr, flush=True)
    return points


def draw(axis: Axis, sizes: Sequence[int], points: Points, file: Path) -> None:
    """Time on the left, memory on the right, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (time, memory) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for style, (case, title) in zip(("-o", "--s"), axis.cases, strict=False):
        for variant, (library, color) in LIBRARIES.items():
            runs = points[case][variant]
            look = {"color": color, "label": f"{library}: {title}"}
            time.plot(sizes, [run.seconds for run in runs], style, **look)
            memory.plot(sizes, [run.peak / 2**20 for run in runs], style, **look)
    for plot, label in ((time, "seconds"), (memory, "most memory of a process, MiB")):
        plot.set(xscale="log", yscale="log", xlabel=axis.label, ylabel=label)
        plot.grid(alpha=0.3)
    time.legend(fontsize="small")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks scaling", description=(__doc__ or "").partition("\n")[0]
    )
    known = [axis.name for axis in AXES]
    parser.add_argument("axes", nargs="*", help=f"some of: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="two tiny sizes")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where pictures go")
    given = parser.parse_args(arguments)
    if unknown := set(given.axes) - set(known):
        parser.error(f"no such axis: {', '.join(sorted(unknown))}")
    given.folder.mkdir(parents=True, exist_ok=True)
    for axis in AXES:
        if given.axes and axis.name not in given.axes:
            continue
        if missing := {case for case, _ in axis.cases} - set(BY_NAME):
            print(f"Left out {axis.name}: {', '.join(sorted(missing))} can't be measured here")
            continue
        sizes = _tiny(axis) if given.quick else axis.sizes
        points = measure(axis, sizes, QUICK if given.quick else SHORT)
        file = given.folder / f"scaling-{axis.name}.png"
        draw(axis, sizes, points, file)
        print(file.name)
    print(machine())


def _tiny(axis: Axis) -> tuple[int, ...]:
    return axis.sizes[0], 2 * axis.sizes[0]
