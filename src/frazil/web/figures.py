"""Pictures of arrays: heat maps and lines with axes, as SVG with the map in it as PNG."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from frazil.web.axes import Axis
from frazil.web.markup import element, text_of
from frazil.web.png import (
    DIVERGING,
    DIVERGING_DARK,
    MISSING,
    SEQUENTIAL,
    Stops,
    coloured,
    png,
    scale,
)
from frazil.web.quantities import Quantity
from frazil.web.sampling import Positions
from frazil.web.values import Numbers

LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 50
BAR = 70
"""Pixels around the picture, more at the left for long numbers, and of the bar below it."""
FONT: Final = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', sans-serif"


@dataclass(frozen=True, slots=True)
class Look:
    """How wide a picture is, in pixels, and for which background."""

    width: int
    dark: bool

    @property
    def ink(self) -> str:
        """The colour of text."""
        return "#b9c6ce" if self.dark else "#4a5963"

    @property
    def rule(self) -> str:
        """The colour of thin lines."""
        return "#2d3a43" if self.dark else "#dbe3e8"

    def stops(self, *, diverging: bool) -> Stops:
        """The colours of numbers."""
        if diverging:
            return DIVERGING_DARK if self.dark else DIVERGING
        return SEQUENTIAL

    @property
    def line(self) -> str:
        """The colour of what is drawn."""
        return "#7cc4de" if self.dark else "#17607f"


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in a picture its middle part is, in pixels."""

    left: int
    inner: int
    height: int
    look: Look

    @classmethod
    def beside(cls, labels: Sequence[str], height: int, look: Look) -> Frame:
        """One with room for these words at its left."""
        left = max(LEFT, 30 + round(6.8 * max(map(len, labels), default=0)))
        return cls(left, look.width - left - RIGHT, height, look)


def heat_map(
    values: Numbers,
    rows: Axis,
    columns: Axis,
    at: tuple[Positions, Positions],
    look: Look,
    *,
    what: Quantity,
    notes: str,
    extent: tuple[float, float],
    diverging: bool = False,
) -> str:
    """float64[row, column] in colours from the low to the high end of the extent.

    at: where along rows and columns the numbers are. diverging: of differences, around zero.
    """
    ratio = rows.length / max(1, columns.length)
    height = round((look.width - LEFT - RIGHT) * min(max(ratio, 0.42), 0.8))
    marks = rows.ticks(max(2, height // 60))
    frame = Frame.beside([label for _, label in marks], height, look)
    values = values[nearest(at[0], rows.length, height)]
    values = values[:, nearest(at[1], columns.length, frame.inner)]
    if rows.ascends:
        values = values[::-1]
    low, high = extent
    stops = look.stops(diverging=diverging)
    picture = png(coloured(values, low, high, stops))
    blocky = min(values.shape) < frame.inner / 3
    body = [
        element(
            "image", x=frame.left, y=TOP, width=frame.inner, height=height,
            preserveAspectRatio="none",
            href="data:image/png;base64," + base64.b64encode(picture).decode(),
            **({"image-rendering": "pixelated"} if blocky else {}),
        ),
        _frame(frame),
        *_across(columns, frame),
        *_upright(marks, rows, frame),
    ]  # fmt: skip
    top = TOP + height + BOTTOM
    missing = not bool(np.isfinite(values).all())
    body += _bar(extent, what, top, frame, diverging=diverging, missing=missing)
    body.append(_notes(notes, top + 62, frame))
    return _svg(body, look.width, top + BAR)


def nearest(at: Positions, length: int, most: int) -> Positions:
    """intp[n]: the number of the nearest position, for each of n <= most equal parts of a length.

    So what is drawn stands where it belongs, also where the positions are not equally far apart.
    """
    if len(at) == length:
        return np.arange(length)
    count = min(most, length)
    middles = (np.arange(count) + 0.5) * (length / count) - 0.5
    return np.searchsorted((at[1:] + at[:-1]) / 2, middles)


def line_plot(
    values: Numbers,
    axis: Axis,
    at: Sequence[int],
    look: Look,
    *,
    what: Quantity,
    notes: str,
    extent: tuple[float, float],
) -> str:
    """float64[n] at these positions of the axis, as a line with gaps."""
    height = round(min(340, 0.5 * look.width + 40))
    low, high = extent
    pad = (high - low) * 0.04 or 1.0
    low, high = low - pad, high + pad
    ticks = what.ticks(low, high, 5)
    labels = what.texts(ticks)
    frame = Frame.beside(labels, height, look)
    x = frame.left + frame.inner * (np.asarray(at, np.float64) + 0.5) / max(1, axis.length)
    y = TOP + height * (high - values) / (high - low)
    body = []
    for value, label in zip(ticks, labels, strict=True):
        level = TOP + height * (high - value) / (high - low)
        body.append(_rule(frame.left, level, frame.left + frame.inner, level, look))
        body.append(_text(frame.left - 8, level + 4, label, look, anchor="end"))
    body.append(_title(what.title, frame))
    body.append(
        element(
            "path", d=_path(x, y), fill="none", stroke=look.line,
            **{"stroke-width": 1.5, "stroke-linejoin": "round", "stroke-linecap": "round"},
        )
    )  # fmt: skip
    body += [_frame(frame), *_across(axis, frame)]
    body.append(_notes(notes, TOP + height + 62, frame))
    return _svg(body, look.width, TOP + height + 70)


def message(sentence: str, look: Look) -> str:
    """A picture that says why there is none."""
    words, lines, line = sentence.split(), [], ""
    for word in words:
        if len(line) + len(word) > look.width // 9:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    lines.append(line)
    body = [
        _text(look.width // 2, 40 + 20 * i, line, look, anchor="middle", size=14)
        for i, line in enumerate(lines)
    ]
    return _svg(body, look.width, 60 + 20 * len(lines))


def notes_of(values: Numbers, what: Quantity, *, whole: bool) -> str:
    """The extent of the numbers, and whether they are all."""
    known = values[np.isfinite(values)]
    parts = []
    if len(known):
        numbers = [float(known.min()), float(known.mean()), float(known.max())]
        if numbers[0] == numbers[2]:
            parts.append(f"everywhere {what.text(numbers[0])}")
        else:
            labels = what.texts(numbers)
            parts += [f"{n} {t}" for n, t in zip(("min", "mean", "max"), labels, strict=True)]
            parts[-1] += f" {what.units}" if what.units and not what.is_time else ""
    for name, count in (("missing", np.isnan(values).sum()), ("infinite", np.isinf(values).sum())):
        if count:
            share = float(count) / values.size
            parts.append(f"{share:.0%} {name}" if share >= 0.005 else f"few {name}")
    if not whole:
        parts.append("sampled")
    return " · ".join(parts)


def extent_of(values: Numbers, *, diverging: bool) -> tuple[float, float]:
    """The lowest and highest number; of differences, as far above zero as below."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    if diverging:
        most = float(np.abs(known).max()) or 1.0
        return -most, most
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _path(x: Numbers, y: Numbers) -> str:
    parts, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if b != b:  # NaN: lift the pen
            pen = "M"
            continue
        parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L"
    # A move alone draws nothing: a single value among gaps is a dot.
    return "".join(
        part + "h0" if part[0] == "M" and (i + 1 == len(parts) or parts[i + 1][0] == "M") else part
        for i, part in enumerate(parts)
    )


def _across(axis: Axis, frame: Frame) -> list[str]:
    look, bottom, found = frame.look, TOP + frame.height, []
    last = -1e9
    for position, label in axis.ticks(max(2, frame.inner // 90)):
        x = frame.left + frame.inner * _share(position, axis)
        half = 3.4 * len(label)
        if x - half < last:
            continue
        last = x + half + 6
        anchor = "end" if x + half > look.width else "middle"
        found.append(_rule(x, bottom, x, bottom + 4, look))
        found.append(_text(x, bottom + 18, label, look, anchor=anchor))
    middle = frame.left + frame.inner / 2
    found.append(_text(middle, bottom + 37, axis.title, look, anchor="middle"))
    return found


def _upright(marks: Sequence[tuple[float, str]], axis: Axis, frame: Frame) -> list[str]:
    found = []
    for position, label in marks:
        share = _share(position, axis)
        y = TOP + frame.height * (1 - share if axis.ascends else share)
        found.append(_rule(frame.left - 4, y, frame.left, y, frame.look))
        found.append(_text(frame.left - 8, y + 4, label, frame.look, anchor="end"))
    return [*found, _title(axis.title, frame)]


def _title(words: str, frame: Frame) -> str:
    """Upright, at the left."""
    middle = TOP + frame.height / 2
    return element(
        "text", text_of(_cut(words, frame.height // 7)), x=12, y=f"{middle:.1f}",
        fill=frame.look.ink, transform=f"rotate(-90 12 {middle:.1f})",
        **{"text-anchor": "middle", "font-size": 12},
    )  # fmt: skip


def _share(position: float, axis: Axis) -> float:
    """Where in the picture the middle of an element is."""
    return (position + 0.5) / max(1, axis.length)


def _bar(
    extent: tuple[float, float],
    what: Quantity,
    top: int,
    frame: Frame,
    *,
    diverging: bool,
    missing: bool,
) -> list[str]:
    look, left, (low, high) = frame.look, frame.left, extent
    width = min(frame.inner - 90 * missing, 260)
    picture = png(scale(width, look.stops(diverging=diverging))[None])
    title = _cut(what.title, frame.inner // 7)
    found = [
        _text(left, top + 6, title, look, anchor="start"),
        element(
            "image", x=left, y=top + 15, width=width, height=8, preserveAspectRatio="none",
            href="data:image/png;base64," + base64.b64encode(picture).decode(),
        ),
    ]  # fmt: skip
    labels = what.texts([low, 0.0 if diverging else (low + high) / 2, high])
    for share, anchor, label in zip((0, 0.5, 1), ("start", "middle", "end"), labels, strict=True):
        found.append(_text(left + width * share, top + 38, label, look, anchor=anchor, size=11))
    if missing:
        at = left + width + 18
        grey = f"#{MISSING:06x}"
        found.append(element("rect", x=at, y=top + 14, width=10, height=10, rx=1, fill=grey))
        found.append(_text(at + 16, top + 23, "no number", look, anchor="start", size=11))
    return found


def _frame(frame: Frame) -> str:
    return element(
        "rect", x=frame.left, y=TOP, width=frame.inner, height=frame.height, fill="none",
        stroke=frame.look.rule,
    )  # fmt: skip


def _rule(x1: float, y1: float, x2: float, y2: float, look: Look) -> str:
    return element("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", stroke=look.rule, fill="none")


def _text(x: float, y: float, words: str, look: Look, *, anchor: str, size: int = 12) -> str:
    return element(
        "text", text_of(words), x=f"{x:.1f}", y=f"{y:.1f}", fill=look.ink,
        **{"text-anchor": anchor, "font-size": size},
    )  # fmt: skip


def _notes(words: str, y: float, frame: Frame) -> str:
    few = _cut(words, (frame.inner + RIGHT) // 6)
    return _text(frame.left, y, few, frame.look, anchor="start", size=11)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(1, most - 1)] + "…"


def _svg(body: Sequence[str], width: int, height: int) -> str:
    return element(
        "svg", "\n".join(body), xmlns="http://www.w3.org/2000/svg", width=width, height=height,
        viewBox=f"0 0 {width} {height}", **{"font-family": FONT},
    )  # fmt: skip
