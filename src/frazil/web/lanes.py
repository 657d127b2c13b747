"""The lines beside a page of commits: one small SVG for each, which join to one drawing."""

from __future__ import annotations

from frazil.graph import PALETTE, Place
from frazil.web.markup import element

STEP, HEIGHT, RADIUS = 16, 56, 5
"""Pixels: between columns, of a row, of a commit."""
COLUMNS = 16
"""Lines further to the right are not drawn."""


def lanes(place: Place, columns: int) -> str:
    """The lines that pass, end and begin at a commit, and the commit; markup."""
    middle, x = HEIGHT / 2, _x(place.column)
    body = []
    for column, colour in place.passing:
        body.append(_line(f"M{_x(column)} 0V{HEIGHT}", colour))
    if place.before:
        body.append(_line(f"M{x} 0V{middle}", place.colour))
    if place.after:
        body.append(_line(f"M{x} {middle}V{HEIGHT}", place.colour))
    for column, colour in place.joins:
        end = _x(column)
        body.append(_line(f"M{end} 0C{end} {middle} {end} {middle} {x} {middle}", colour))
    for column, colour in (*place.opens, *place.meets):
        end = _x(column)
        body.append(_line(f"M{x} {middle}C{end} {middle} {end} {middle} {end} {HEIGHT}", colour))
    body.append(element("circle", cx=x, cy=middle, r=RADIUS, fill=_hue(place.colour)))
    width = STEP * min(columns, COLUMNS)
    return element(
        "svg", "".join(body), width=width, height=HEIGHT, viewBox=f"0 0 {width} {HEIGHT}",
        **{"aria-hidden": "true", "class": "lanes"},
    )  # fmt: skip


def columns_of(places: list[Place]) -> int:
    """How many columns these rows take."""
    used = [place.column for place in places]
    used += [i for p in places for i, _ in (*p.passing, *p.joins, *p.opens)]
    return 1 + max(used, default=0)


def _x(column: int) -> float:
    return STEP * column + STEP / 2


def _hue(colour: int) -> str:
    return PALETTE[colour % len(PALETTE)]


def _line(path: str, colour: int) -> str:
    return element("path", d=path, stroke=_hue(colour), fill="none", **{"stroke-width": 2})
