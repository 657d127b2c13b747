"""A picture of how a repository grew: bytes by kind over the time of commits."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.errors import InvalidInputError
from frazil.notebook import readable

KINDS: Final = ("own objects", "in manifests", "elsewhere")
"""What chunks are called that are native, inline and virtual."""
COLOURS: Final = ("#2a7aa6", "#d9822b", "#55aeb5")
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 74, 16, 34, 30, 240
"""Pixels around the picture, and of its height."""
_STEPS: Final = (
    ("s", 1), ("s", 15), ("m", 1), ("m", 5), ("m", 15), ("h", 1), ("h", 3), ("h", 12),
    ("D", 1), ("D", 2), ("D", 7), ("D", 14), ("M", 1), ("M", 3), ("M", 6), ("Y", 1), ("Y", 2),
    ("Y", 5), ("Y", 10), ("Y", 50),
)  # fmt: skip
"""Distances between the marks of a time axis."""
_FORMATS: Final = {
    "s": "%H:%M:%S",
    "m": "%H:%M",
    "h": "%d %b %H:%M",
    "D": "%d %b %Y",
    "M": "%b %Y",
    "Y": "%Y",
}
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SECOND: Final = np.timedelta64(1_000_000, "us")


class Ink(NamedTuple):
    """The colours of text and of thin lines."""

    text: str
    rule: str


NEUTRAL: Final = Ink("#7f7f7f", "#7f7f7f40")
"""Grey reads on any background: an image cannot know the one that it is on."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """time: datetime64[n], in any order; sizes: int64[3, n], all bytes of each kind by then."""

    time: npt.NDArray[np.datetime64]
    sizes: npt.NDArray[np.int64]

    def steps(self, columns: int) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.int64]]:
        """At most so many times, increasing, and what there was then."""
        # Clocks differ: what was added by a commit was there when the later ones were made.
        time = np.maximum.accumulate(self.time)
        last = np.ones(len(time), np.bool_)
        if len(time) > 1:
            span = max(1, int((time[-1] - time[0]).astype(np.int64)))
            column = (time - time[0]).astype(np.int64) * float(columns - 1) // span
            np.not_equal(column[1:], column[:-1], out=last[:-1])
        return time[last], self.sizes[:, last]

    def svg(self, *, width: int = 760, ink: Ink = NEUTRAL) -> str:
        """As SVG: areas one upon the other, and what they are."""
        inner = width - _LEFT - _RIGHT
        time, sizes = self.steps(inner)
        start, stop = _extent(time)
        most = max(1, int(sizes.sum(axis=0).max(initial=0)))
        marks = _size_marks(most)
        top = max(most, marks[-1][0])
        span = int((stop - start).astype(np.int64))
        x = _LEFT + inner * (time - start).astype(np.int64) / span
        legend, more = _legend(sizes, ink, width)
        body: list[str] = []
        for size, label in marks:
            y = _TOP + _HEIGHT * (1 - size / top)
            body.append(_line(_LEFT, y, _LEFT + inner, y, ink.rule))
            body.append(_text(_LEFT - 8, y + 4, label, ink.text, "end"))
        below = np.zeros(len(time))
        for colour, kind in zip(COLOURS, sizes, strict=True):
            if kind.any():
                above = below + kind
                path = _area(x, _y(below, top), _y(above, top), _LEFT + inner)
                body.append(f'<path d="{path}" fill="{colour}" fill-opacity="0.85"/>')
                below = above
        bottom = _TOP + _HEIGHT
        body.append(_line(_LEFT, bottom, _LEFT + inner, bottom, ink.text))
        for moment, label in _time_marks(start, stop, max(2, inner // 130)):
            at = _LEFT + inner * int((moment - start).astype(np.int64)) / span
            body.append(_line(at, bottom, at, bottom + 4, ink.text))
            anchor = "end" if at > width - 50 else "middle"
            body.append(_text(at, bottom + 19, label, ink.text, anchor))
        height = bottom + _BOTTOM + more
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="ui-sans-serif, system-ui, sans-serif" '
            f'font-size="12" role="img"><title>Bytes of chunks over time</title>'
            f'{legend}<g transform="translate(0 {more})">{"".join(body)}</g></svg>'
        )


def draw(growth: Growth, path: Path, *, dark: bool, report: Callable[[], str]) -> Path:
    """Write the picture; report: what an HTML page shows, the picture included."""
    kind = path.suffix.lower()
    if kind == ".png":
        _png(growth, path, dark=dark)
    elif kind == ".svg":
        path.write_text(growth.svg(), "utf-8")
    elif kind in (".html", ".htm"):
        path.write_text(_PAGE.replace("REPORT", report()), "utf-8")
    else:
        raise InvalidInputError(f"a picture is a .png, .svg or .html file, not {path.name!r}")
    return path


_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Statistics of a repository</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; font-variant-numeric: tabular-nums; }
svg { display: block; max-width: 100%; height: auto; margin: 1.5rem 0; }
summary { cursor: pointer; }
</style>
REPORT
</html>
"""


def _png(growth: Growth, path: Path, *, dark: bool) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidInputError(
            "a PNG picture needs matplotlib (pip install matplotlib); .svg and .html do not"
        ) from error
    paper, text = ("#10171c", "#b9c6ce") if dark else ("#ffffff", "#4a5963")
    time, sizes = growth.steps(1000)
    start, stop = _extent(time)
    figure: Any = Figure(figsize=(8, 3.6), dpi=150, facecolor=paper, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=paper)
    below = np.zeros(len(time) + 1)
    ends = np.append(time, stop)
    for colour, name, kind in zip(COLOURS, KINDS, sizes, strict=True):
        if kind.any():
            above = below + np.append(kind, kind[-1])
            label = f"{name} {readable(int(kind[-1]))}"
            axes.fill_between(ends, below, above, step="post", color=colour, label=label, lw=0)
            below = above
    top = max(1, int(sizes.sum(axis=0).max(initial=0)))
    marks = _size_marks(top)
    axes.set_yticks([size for size, _ in marks], [label for _, label in marks])
    axes.set_ylim(0, top * 1.03)
    axes.set_xlim(start, stop)
    axes.grid(axis="y", color=text, alpha=0.2)
    axes.set_axisbelow(True)
    axes.tick_params(colors=text)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(text)
    if below.any():
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, labelcolor=text
        )
    figure.savefig(path)


def _extent(time: npt.NDArray[np.datetime64]) -> tuple[np.datetime64, np.datetime64]:
    """From before the first to after the last, however many there are."""
    if not len(time):
        zero = np.datetime64(0, "us")
        return zero, zero + _SECOND
    pad = max((time[-1] - time[0]) // 25, _SECOND)
    return time[0], time[-1] + pad


def _size_marks(most: int) -> list[tuple[int, str]]:
    """Round numbers of bytes from zero to the largest or somewhat more, few of them, in words."""
    power = max(0, min(len(_UNITS) - 1, (most.bit_length() - 1) // 10))
    unit: int = 1 << (10 * power)
    smallest = 1.0 if power == 0 else 0.1
    steps = [smallest * factor * ten for ten in (1, 10, 100, 1000, 10_000) for factor in (1, 2, 5)]
    step = next(step for step in steps if 5 * step * unit >= most or step == steps[-1])
    count = math.ceil(most / (step * unit))
    return [
        (round(number * step * unit), f"{number * step:.10g} {_UNITS[power]}")
        for number in range(count + 1)
    ]


def _time_marks(
    start: np.datetime64, stop: np.datetime64, most: int
) -> list[tuple[np.datetime64, str]]:
    """Round times between two, at most so many, and what they are called."""
    found: list[np.datetime64] = []
    unit = "s"
    for unit, number in _STEPS:
        # Months and years are counted from 1970, all else from midnight.
        first = int(start.astype(f"M8[{unit}]").astype(np.int64)) // number * number
        last = int(stop.astype(f"M8[{unit}]").astype(np.int64))
        if (last - first) // number > most:
            continue
        numbers = np.arange(first, last + 1, number)
        found = list(numbers.astype(f"M8[{unit}]").astype("M8[us]"))
        found = [moment for moment in found if start <= moment <= stop]
        break
    texts = [_moment(moment).strftime(_FORMATS[unit]) for moment in found]
    if texts and unit in ("s", "m"):  # nothing else says of which day they are
        texts[0] = f"{_moment(found[0]):%d %b %Y} {texts[0]}"
    return list(zip(found, texts, strict=True))


def _moment(time: np.datetime64) -> datetime:
    value: datetime = time.astype("M8[us]").item()
    return value.replace(tzinfo=UTC)


def _y(sizes: npt.NDArray[Any], top: int) -> npt.NDArray[np.float64]:
    return np.asarray(_TOP + _HEIGHT * (1 - sizes / top), np.float64)


def _area(
    x: npt.NDArray[np.float64],
    below: npt.NDArray[np.float64],
    above: npt.NDArray[np.float64],
    end: float,
) -> str:
    """Steps along the top, to the end, and back along the bottom."""
    there = [f"M{x[0]:.1f} {below[0]:.1f}V{above[0]:.1f}"]
    there += [f"H{a:.1f}V{b:.1f}" for a, b in zip(x[1:], above[1:], strict=True)]
    back = [f"H{end:.1f}V{below[-1]:.1f}"]
    back += [f"H{a:.1f}V{b:.1f}" for a, b in zip(x[:0:-1], below[-2::-1], strict=True)]
    return "".join([*there, *back, "Z"])


def _legend(sizes: npt.NDArray[np.int64], ink: Ink, width: int) -> tuple[str, int]:
    """What the colours are, and pixels that it takes below its first line."""
    found, at, y = [], float(_LEFT), 0
    for colour, name, kind in zip(COLOURS, KINDS, sizes, strict=True):
        if kind.any():
            words = f"{name} {readable(int(kind[-1]))}"
            room = 17 + 6.6 * len(words)
            if at > _LEFT and at + room > width:
                at, y = float(_LEFT), y + 18
            found.append(f'<rect x="{at:.0f}" y="{y + 9}" width="11" height="11" fill="{colour}"/>')
            found.append(_text(at + 17, y + 19, words, ink.text, "start"))
            at += room + 22
    return "".join(found) or _text(_LEFT, 19, "no chunks yet", ink.text, "start"), y


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" fill="none"/>'


def _text(x: float, y: float, words: str, colour: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">'
        f"{html.escape(words)}</text>"
    )
