"""Where the processors are while small chunks are read and written: two pictures in docs/img.

    python -m benchmarks.profile        with py-spy on the path

Frames of all threads that were busy, by function; below what calls them. Frames of less than one
sample in two hundred are left out, and those of Python's own scaffolding.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs" / "img"
_LEAST = 1 / 200
_WIDTH, _ROW = 1000.0, 17
_SCAFFOLDING = ("asyncio/", "threading.py", "concurrent/", "contextvars", "contextlib.py")
_ASIDE = ("importlib", "cells (")
"""Imports, and making the data."""
_WAITING = ("_worker", "EpollSelector.select", "Condition.wait", "sync (")
_COLOURS = {"frazil": "#f3a35c", "zarr": "#8fb8de", "numpy": "#b5cf8f"}


@dataclass
class Frame:
    """A function, how many samples were in it, and what it called."""

    name: str
    samples: int = 0
    below: dict[str, Frame] = field(default_factory=dict)

    def add(self, names: list[str], samples: int) -> None:
        """One stack, the outermost function first."""
        self.samples += samples
        if names:
            first, *rest = names
            self.below.setdefault(first, Frame(first)).add(rest, samples)


def main() -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for work in ("write", "read"):
            raw = Path(folder) / f"{work}.txt"
            program = [sys.executable, "-m", "benchmarks.profile", work, f"{folder}/repository"]
            command = ["py-spy", "record", "-r", "400", "-f", "raw", "-o", str(raw), "--"]
            subprocess.run([*command, *program], check=True, capture_output=True)
            root = stacks(raw.read_text().splitlines(), "fill" if work == "write" else "read_all")
            (IMAGES / f"profile-{work}.svg").write_text(picture(root))


def work(what: str, folder: Path) -> None:
    """What is looked at."""
    import zarr

    import frazil
    from benchmarks import common, data, selections

    def opened() -> object:
        session = common.open_(frazil, folder).readonly_session("main")
        return zarr.open_array(session.store, path="x", mode="r")

    for _ in range(3):
        if what == "read":
            data.read_all(opened)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            selections.writing(data.small)(frazil, folder, common.FULL)


def stacks(lines: list[str], within: str) -> Frame:
    """The stacks in a record of py-spy: those of pool threads, and those below one function."""
    root = Frame("all")
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        frames = [part.strip() for part in stack.split(";")]
        if frames[-1].startswith(_WAITING):
            continue
        if frames == [""]:  # no Python there
            root.add(["threads outside of Python ()"], int(samples))
            continue
        names = [_name(frame) for frame in frames if not any(s in frame for s in _SCAFFOLDING)]
        start = next((i for i, name in enumerate(names) if name.startswith(f"{within} ")), -1)
        in_thread = any("threading.py" in frame for frame in frames)
        aside = any(part in stack for part in _ASIDE)
        if (start >= 0 or in_thread) and not aside:
            root.add(names[start + 1 :], int(samples))
    return root


def _name(frame: str) -> str:
    """`function (file.py:1)` as `function (package/file.py)`."""
    function, _, place = frame.partition(" (")
    file = place.rstrip(")").rpartition(":")[0].replace("site-packages/", "").removeprefix("src/")
    return f"{function} ({file})"


def picture(root: Frame) -> str:
    """An SVG, the outermost functions at the top."""
    boxes = list(_boxes(root, 0.0, 0, _WIDTH / root.samples, root.samples * _LEAST))
    height = (1 + max(depth for _, _, depth, _ in boxes)) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" '
        'font-family="sans-serif" font-size="11">'
    ]
    for frame, left, depth, width in boxes:
        share = f"{frame.samples / root.samples:.1%}"
        package = frame.name.rpartition("(")[2].partition("/")[0]
        label = frame.name.partition(" (")[0][: int(width / 6)]
        parts.append(
            f'<g><title>{escape(frame.name)}: {share}</title><rect x="{left:.1f}" '
            f'y="{depth * _ROW}" width="{width:.1f}" height="{_ROW - 1}" '
            f'fill="{_COLOURS.get(package, "#ddd")}"/>'
            + (
                f'<text x="{left + 3:.1f}" y="{depth * _ROW + 12}">{escape(label)}</text></g>'
                if width > 30
                else "</g>"
            )
        )
    return "\n".join([*parts, "</svg>\n"])


def _boxes(
    frame: Frame, left: float, depth: int, scale: float, least: float
) -> Iterator[tuple[Frame, float, int, float]]:
    yield frame, left, depth, frame.samples * scale
    for inner in sorted(frame.below.values(), key=lambda one: -one.samples):
        if inner.samples >= least:
            yield from _boxes(inner, left, depth + 1, scale, least)
            left += inner.samples * scale


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
