"""Pictures of arrays: heat maps and lines with axes, as SVG with the map in it as PNG."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from frazil.web.axes import Axis, round_numbers, texts
from frazil.web.markup import element, text_of
from frazil.web.png import DIVERGING, DIVERGING_DARK, SEQUENTIAL, Stops, coloured, png, scale
from frazil.web.values import Numbers

LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 50
BAR = 52
"""Pixels around the picture, and of the bar of colours below it."""
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


def heat_map(
    values: Numbers,
    rows: Axis,
    columns: Axis,
    look: Look,
    *,
    notes: str,
    extent: tuple[float, float],
    diverging: bool = False,
) -> str:
    """float64[row, column] in colours from the low to the high end of the extent.

    diverging: of differences, around zero.
    """
    if rows.ascends:
        values = values[::-1]
    low, high = extent
    inner = look.width - LEFT - RIGHT
    ratio = rows.length / max(1, columns.length)
    height = round(inner * min(max(ratio, 0.42), 0.8))
    stops = look.stops(diverging=diverging)
    picture = png(coloured(values, low, high, stops))
    blocky = max(values.shape) < inner / 3
    body = [
        element(
            "image", x=LEFT, y=TOP, width=inner, height=height, preserveAspectRatio="none",
            href="data:image/png;base64," + base64.b64encode(picture).decode(),
            **({"image-rendering": "pixelated"} if blocky else {}),
        ),
        _frame(inner, height, look),
        *_across(columns, inner, height, look),
        *_upright(rows, height, look),
    ]  # fmt: skip
    top = TOP + height + BOTTOM
    body += _bar(low, high, inner, top, look, diverging=diverging)
    body.append(_notes(notes, top + 44, look))
    return _svg(body, look.width, top + BAR)


def line_plot(
    values: Numbers,
    axis: Axis,
    at: Sequence[int],
    look: Look,
    *,
    notes: str,
    extent: tuple[float, float],
) -> str:
    """float64[n] at these positions of the axis, as a line with gaps."""
    inner, height = look.width - LEFT - RIGHT, round(min(340, 0.5 * look.width + 40))
    low, high = extent
    pad = (high - low) * 0.04 or 1.0
    low, high = low - pad, high + pad
    x = LEFT + inner * (np.asarray(at, np.float64) + 0.5) / max(1, axis.length)
    y = TOP + height * (high - values) / (high - low)
    body = []
    ticks = round_numbers(low, high, 5)
    for value, label in zip(ticks, texts(ticks), strict=True):
        level = TOP + height * (high - value) / (high - low)
        body.append(_rule(LEFT, level, LEFT + inner, level, look))
        body.append(_text(LEFT - 8, level + 4, label, look, anchor="end"))
    body.append(
        element(
            "path", d=_path(x, y), fill="none", stroke=look.line,
            **{"stroke-width": 1.5, "stroke-linejoin": "round", "stroke-linecap": "round"},
        )
    )  # fmt: skip
    body += [_frame(inner, height, look), *_across(axis, inner, height, look)]
    body.append(_notes(notes, TOP + height + 62, look))
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


def notes_of(values: Numbers, units: str, *, whole: bool) -> str:
    """The extent of the numbers, and whether they are all."""
    known = values[np.isfinite(values)]
    parts = []
    if len(known):
        numbers = [float(known.min()), float(known.mean()), float(known.max())]
        labels = [f"{n:.4g}".replace("-", "\N{MINUS SIGN}") for n in numbers]
        parts += [f"{n} {t}" for n, t in zip(("min", "mean", "max"), labels, strict=True)]
        parts[-1] += f" {units}" if units else ""
    missing = 1 - known.size / values.size if values.size else 0.0
    if missing:
        parts.append(f"{missing:.0%} missing" if missing >= 0.005 else "few missing")
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


def _across(axis: Axis, inner: int, height: int, look: Look) -> list[str]:
    bottom, found = TOP + height, []
    last = -1e9
    for position, label in axis.ticks(max(2, inner // 90)):
        x = LEFT + inner * _share(position, axis)
        half = 3.4 * len(label)
        if x - half < last:
            continue
        last = x + half + 6
        anchor = "end" if x + half > look.width else "middle"
        found.append(_rule(x, bottom, x, bottom + 4, look))
        found.append(_text(x, bottom + 18, label, look, anchor=anchor))
    found.append(_text(LEFT + inner / 2, bottom + 37, axis.title, look, anchor="middle"))
    return found


def _upright(axis: Axis, height: int, look: Look) -> list[str]:
    found = []
    for position, label in axis.ticks(max(2, height // 60)):
        share = _share(position, axis)
        y = TOP + height * (1 - share if axis.ascends else share)
        found.append(_rule(LEFT - 4, y, LEFT, y, look))
        found.append(_text(LEFT - 8, y + 4, label, look, anchor="end"))
    middle = TOP + height / 2
    title = text_of(_cut(axis.title, height // 7))
    found.append(
        element(
            "text", title, x=12, y=f"{middle:.1f}", fill=look.ink,
            transform=f"rotate(-90 12 {middle:.1f})",
            **{"text-anchor": "middle", "font-size": 12},
        )
    )  # fmt: skip
    return found


def _share(position: float, axis: Axis) -> float:
    """Where in the picture the middle of an element is."""
    return (position + 0.5) / max(1, axis.length)


def _bar(
    low: float, high: float, inner: int, top: int, look: Look, *, diverging: bool
) -> list[str]:
    width = min(inner, 260)
    picture = png(scale(width, look.stops(diverging=diverging))[None])
    middle = [0.0] if diverging else [(low + high) / 2]
    numbers = [low, *middle, high]
    found = [
        element(
            "image", x=LEFT, y=top, width=width, height=8, preserveAspectRatio="none",
            href="data:image/png;base64," + base64.b64encode(picture).decode(),
        )
    ]  # fmt: skip
    for share, anchor, number in zip((0, 0.5, 1), ("start", "middle", "end"), numbers, strict=True):
        label = f"{number:.4g}".replace("-", "\N{MINUS SIGN}")
        y = top + 22
        found.append(_text(LEFT + width * share, y, label, look, anchor=anchor, size=11))
    return found


def _frame(inner: int, height: int, look: Look) -> str:
    return element("rect", x=LEFT, y=TOP, width=inner, height=height, fill="none", stroke=look.rule)


def _rule(x1: float, y1: float, x2: float, y2: float, look: Look) -> str:
    return element("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", stroke=look.rule, fill="none")


def _text(x: float, y: float, words: str, look: Look, *, anchor: str, size: int = 12) -> str:
    return element(
        "text", text_of(words), x=f"{x:.1f}", y=f"{y:.1f}", fill=look.ink,
        **{"text-anchor": anchor, "font-size": size},
    )  # fmt: skip


def _notes(words: str, y: float, look: Look) -> str:
    return _text(LEFT, y, _cut(words, (look.width - LEFT) // 6), look, anchor="start", size=11)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(1, most - 1)] + "…"


def _svg(body: Sequence[str], width: int, height: int) -> str:
    return element(
        "svg", "\n".join(body), xmlns="http://www.w3.org/2000/svg", width=width, height=height,
        viewBox=f"0 0 {width} {height}", **{"font-family": FONT},
    )  # fmt: skip
