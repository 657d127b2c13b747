"""Drawing a history: commits in columns, one column ("lane") for each line of descent.

    rows  --layout-->  places (column, lanes passing by, lanes ending)  --text/svg-->  drawing

A lane starts at a commit that no commit above descends from, goes down through first
parents, and ends where its next commit already has a lane: the leftmost one keeps the
column, the others bend into it.

    ●   7B331Z08 (main) newest
    │
    │ ● ZD80MXS5 (dev) on a branch
    │ │
    ●─╯ YFVV71XS (v1) common ancestor
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GraphRow:
    """One commit: its id and its parent's, the names that point to it, its message."""

    id: str
    parent: str | None
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a commit is drawn.

    column: its lane; colour: the number of its lane's colour; before: whether its lane comes
    from above; joins, passing: the (column, colour) of the lanes that end here and of those
    that go by; after: whether its lane goes on below.
    """

    row: GraphRow
    column: int
    colour: int
    before: bool
    after: bool
    joins: tuple[tuple[int, int], ...]
    passing: tuple[tuple[int, int], ...]


def layout(rows: Sequence[GraphRow]) -> tuple[Place, ...]:
    """Place commits, given so that children come before their parents.

    A parent that is not among the rows ends its lane without a commit.
    """
    known = {row.id for row in rows}
    lanes: list[tuple[str, int] | None] = []  # the commit each column waits for, its colour
    colours = 0
    places = []
    for row in rows:
        waiting = [i for i, lane in enumerate(lanes) if lane is not None and lane[0] == row.id]
        if waiting:
            column, colour = waiting[0], _colour(lanes, waiting[0])
        else:
            column, colour = _free(lanes), colours
            colours += 1
        joins = tuple((i, _colour(lanes, i)) for i in waiting[1:])
        for i, _ in joins:
            lanes[i] = None
        goes_on = row.parent is not None and row.parent in known and row.parent != row.id
        lanes[column] = (row.parent or "", colour) if goes_on else None
        passing = tuple(
            (i, lane[1]) for i, lane in enumerate(lanes) if lane is not None and i != column
        )
        places.append(Place(row, column, colour, bool(waiting), goes_on, joins, passing))
    return tuple(places)


def _colour(lanes: Sequence[tuple[str, int] | None], column: int) -> int:
    lane = lanes[column]
    return 0 if lane is None else lane[1]


def _free(lanes: list[tuple[str, int] | None]) -> int:
    """The leftmost column without a lane, added if there is none."""
    for i, lane in enumerate(lanes):
        if lane is None:
            return i
    lanes.append(None)
    return len(lanes) - 1


def _width(places: Sequence[Place]) -> int:
    """Number of columns."""
    used = [p.column for p in places] + [i for p in places for i, _ in (*p.passing, *p.joins)]
    return 1 + max(used, default=-1)


PALETTE = ("#1f9bcf", "#d9822b", "#4ca64c", "#b565c4", "#c94f4f", "#3aa99f", "#a3842c", "#6f7fd8")
"""Colours of the lanes, told apart on white and on black."""
TAG_COLOUR = "#7a8791"


def short(row: GraphRow) -> str:
    """The first eight characters of the id."""
    return row.id[:8]


def headline(row: GraphRow) -> str:
    """The first line of the message."""
    return _safe(row.message.split("\n", 1)[0])


def _safe(line: str) -> str:
    """A text without characters that could steer a terminal or break XML."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def text(rows: Sequence[GraphRow], *, plain: bool) -> str:
    """The drawing for terminals, with ANSI colours unless `plain`."""
    places = layout(rows)
    width = _width(places)
    paint = _unpainted if plain else _painted
    lines = []
    for number, place in enumerate(places):
        cells = _cells(place, width, paint)
        label = _label(place, paint)
        lines.append("".join(cells) + label)
        if number + 1 < len(places):
            lines.append(_between(place, paint).rstrip())
    return "\n".join(lines) + ("\n" if lines else "")


Paint = Callable[[str, str], str]
"""Dresses a text in a style: any of a colour `#rrggbb`, `bold`, `italic`, `dim`."""


def _unpainted(content: str, style: str) -> str:
    return content


def _painted(content: str, style: str) -> str:
    codes = []
    for word in style.split():
        if word.startswith("#"):
            red, green, blue = (int(word[i : i + 2], 16) for i in (1, 3, 5))
            codes.append(f"38;2;{red};{green};{blue}")
        else:
            codes.append({"bold": "1", "dim": "2", "italic": "3"}[word])
    return f"\x1b[{';'.join(codes)}m{content}\x1b[0m" if codes else content


def _hue(colour: int) -> str:
    return PALETTE[colour % len(PALETTE)]


def _cells(place: Place, width: int, paint: Paint) -> list[str]:
    """The line of a commit up to its text: two characters for each column."""
    cells = [" "] * (2 * width)
    for column, colour in place.passing:
        cells[2 * column] = paint("│", _hue(colour))
    crossed = {column for column, _ in place.passing}
    ends = [column for column, _ in place.joins]
    for column, colour in place.joins:
        start = max([place.column, *(end for end in ends if end < column)])
        for i in range(2 * start + 1, 2 * column):
            cells[i] = paint("┼" if i % 2 == 0 and i // 2 in crossed else "─", _hue(colour))
        cells[2 * column] = paint("╯" if column == max(ends) else "┴", _hue(colour))
    cells[2 * place.column] = paint("●", _hue(place.colour))
    return cells


def _between(place: Place, paint: Paint) -> str:
    """The line below a commit: the lanes that go on."""
    lanes = dict(place.passing) | ({place.column: place.colour} if place.after else {})
    return "".join(
        (paint("│", _hue(lanes[i])) if i in lanes else " ") + " "
        for i in range(max(lanes, default=-1) + 1)
    )


def _label(place: Place, paint: Paint) -> str:
    row = place.row
    names = [paint(_safe(name), f"bold {_hue(place.colour)}") for name in row.branches]
    names += [paint(_safe(name), f"bold italic {TAG_COLOUR}") for name in row.tags]
    parts = [paint(short(row), "dim")]
    if names:
        parts.append("(" + ", ".join(names) + ")")
    parts.append(paint(headline(row), ""))
    return " ".join(part for part in parts if part)


_COLUMN, _LINE, _MARGIN, _RADIUS, _CHARACTER = 20, 28, 15, 5, 8
"""Pixels: between columns, between commits, around, of a commit, of one character."""


_INK = "#7f7f7f"
"""Notebooks show SVG as an image that cannot know their theme: grey reads on any."""


def svg(rows: Sequence[GraphRow]) -> str:
    """The drawing for notebooks."""
    places = layout(rows)
    left = _MARGIN + _width(places) * _COLUMN
    longest = max((_columns(_label(place, _unpainted)) for place in places), default=0)
    width = left + longest * _CHARACTER + _MARGIN
    height = 2 * _MARGIN + max(len(places) - 1, 0) * _LINE
    body = [*_lines(places), *(_commit(i, place, left) for i, place in enumerate(places))]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="monospace" font-size="13">',
            *(f"  {element}" for element in body),
            "</svg>",
        ]
    )


def _columns(line: str) -> int:
    """Width of a text in a fixed-width font."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide


def _x(column: int) -> int:
    return _MARGIN + column * _COLUMN


def _y(number: int) -> int:
    return _MARGIN + number * _LINE


def _lines(places: Sequence[Place]) -> list[str]:
    """One path for each link from a commit to its parent, in the colour of its lane."""
    number_of = {place.row.id: i for i, place in enumerate(places)}
    paths = []
    for child, place in enumerate(places):
        if not place.after or place.row.parent is None:
            continue
        parent = number_of[place.row.parent]
        x, end_x = _x(place.column), _x(places[parent].column)
        path = f"M{x} {_y(child)}"
        if x == end_x:
            path += f"V{_y(parent)}"
        else:
            bend, end = _y(parent - 1), _y(parent)
            middle = (bend + end) // 2
            path += f"V{bend}C{x} {middle} {end_x} {middle} {end_x} {end}"
        paths.append(
            f'<path d="{path}" fill="none" stroke="{_hue(place.colour)}" stroke-width="2"/>'
        )
    return paths


def _commit(number: int, place: Place, left: int) -> str:
    y = _y(number)
    return (
        f'<circle cx="{_x(place.column)}" cy="{y}" r="{_RADIUS}" fill="{_hue(place.colour)}"/>'
        f'<text x="{left}" y="{y + 4}" fill="{_INK}" xml:space="preserve">'
        f"{_label(place, _styled)}</text>"
    )


_SVG_STYLES = {"bold": 'font-weight="bold"', "italic": 'font-style="italic"', "dim": 'opacity=".8"'}


def _styled(content: str, style: str) -> str:
    words = [_SVG_STYLES.get(word, f'fill="{word}"') for word in style.split()]
    escaped = html.escape(content)
    return f"<tspan {' '.join(words)}>{escaped}</tspan>" if words else escaped
