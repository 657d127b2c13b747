"""Drawing a history: commits in columns, one column ("lane") for each line of descent.

    rows  --layout-->  places (column, lanes passing by, lanes ending)  --text/svg-->  drawing

A lane starts at a commit that no commit above descends from, goes down through first
parents, and ends where its next commit already has a lane: the leftmost one keeps the
column, the others bend into it. From a merge another lane starts to each further parent,
unless there is one to it already.

    ●─╮ 7B331Z08 (main) newest, a merge
    │ │
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
    """One commit: its id and its parent's, the names that point to it, its message.

    merged: further parents, of which a merge knows.
    """

    id: str
    parent: str | None
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    message: str = ""
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a commit is drawn.

    column: its lane; colour: the number of its lane's colour; before: whether its lane comes
    from above; joins, passing: the (column, colour) of the lanes that end here and of those
    that go by; after: whether its lane goes on below; opens: the lanes that start here, to a
    merged parent each; meets: the passing lanes that lead to one.
    """

    row: GraphRow
    column: int
    colour: int
    before: bool
    after: bool
    joins: tuple[tuple[int, int], ...]
    passing: tuple[tuple[int, int], ...]
    opens: tuple[tuple[int, int], ...] = ()
    meets: tuple[tuple[int, int], ...] = ()


def layout(rows: Sequence[GraphRow]) -> tuple[Place, ...]:
    """Place commits, given so that children come before their parents.

    A parent that is not among the rows ends its lane without a commit.
    """
    known = {row.id: number for number, row in enumerate(rows)}
    lanes: list[tuple[str, int] | None] = []  # the commit each column waits for, its colour
    colours = 0
    places = []
    for number, row in enumerate(rows):
        waiting = [i for i, lane in enumerate(lanes) if lane is not None and lane[0] == row.id]
        if waiting:
            column, colour = waiting[0], _colour(lanes, waiting[0])
        else:
            column, colour = _free(lanes, range(len(lanes))), colours
            colours += 1
        joins = tuple((i, _colour(lanes, i)) for i in waiting[1:])
        for i, _ in joins:
            lanes[i] = None
        goes_on = row.parent is not None and row.parent in known and row.parent != row.id
        lanes[column] = (row.parent or "", colour) if goes_on else None
        passing = tuple(
            (i, lane[1]) for i, lane in enumerate(lanes) if lane is not None and i != column
        )
        opens, meets = [], []
        for parent in dict.fromkeys(row.merged):
            if known.get(parent, -1) <= number or parent == row.parent:
                continue
            there = [(i, _colour(lanes, i)) for i, _ in passing if _leads_to(lanes, i, parent)]
            if there:
                meets.append(there[0])
                continue
            # To the right, and not where another lane ends in this row.
            ended = {i for i, _ in joins}
            new = _free(lanes, [i for i in range(column + 1, len(lanes)) if i not in ended])
            lanes[new] = (parent, colours)
            opens.append((new, colours))
            colours += 1
        links = tuple(opens), tuple(meets)
        places.append(Place(row, column, colour, bool(waiting), goes_on, joins, passing, *links))
    return tuple(places)


def _leads_to(lanes: Sequence[tuple[str, int] | None], column: int, commit: str) -> bool:
    lane = lanes[column]
    return lane is not None and lane[0] == commit


def _colour(lanes: Sequence[tuple[str, int] | None], column: int) -> int:
    lane = lanes[column]
    return 0 if lane is None else lane[1]


def _free(lanes: list[tuple[str, int] | None], columns: Sequence[int]) -> int:
    """The first of the columns without a lane; a new one if there is none."""
    for i in columns:
        if lanes[i] is None:
            return i
    lanes.append(None)
    return len(lanes) - 1


def _width(places: Sequence[Place]) -> int:
    """Number of columns."""
    used = [p.column for p in places]
    used += [i for p in places for i, _ in (*p.passing, *p.joins, *p.opens)]
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


_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_BOXES = {
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _UP | _LEFT: "╯",
    _DOWN | _LEFT: "╮",
    _UP | _LEFT | _RIGHT: "┴",
    _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}
"""Characters by the sides from which lines come together in them."""


def _cells(place: Place, width: int, paint: Paint) -> list[str]:
    """The line of a commit up to its text: two characters for each column."""
    sides = [0] * (2 * width)
    hues = [0] * (2 * width)
    for lanes, vertical in (
        (place.passing, _UP | _DOWN),
        (place.joins, _UP),
        (place.opens, _DOWN),
    ):
        for column, colour in lanes:
            sides[2 * column], hues[2 * column] = vertical, colour
    linked = sorted([*place.joins, *place.opens, *place.meets])
    right = [lane for lane in linked if lane[0] > place.column]
    left = [lane for lane in reversed(linked) if lane[0] < place.column]
    for ends, step, here, back in ((right, 1, _RIGHT, _LEFT), (left, -1, _LEFT, _RIGHT)):
        at = 2 * place.column
        for column, colour in ends:
            # Each piece of the line has the colour of the lane at its end.
            while at != 2 * column:
                sides[at] |= here
                at += step
                sides[at] |= back
                hues[at] = colour
    sides[2 * place.column] = 0
    cells = [
        paint(_BOXES[side], _hue(hue)) if side else " "
        for side, hue in zip(sides, hues, strict=True)
    ]
    cells[2 * place.column] = paint("●", _hue(place.colour))
    return cells


def _between(place: Place, paint: Paint) -> str:
    """The line below a commit: the lanes that go on."""
    lanes = dict([*place.passing, *place.opens])
    if place.after:
        lanes[place.column] = place.colour
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
    """One path for each link from a commit to a parent, in the colour of its lane."""
    number_of = {place.row.id: i for i, place in enumerate(places)}
    paths = []
    for child, place in enumerate(places):
        if place.after and place.row.parent is not None:
            lane = place.column, place.colour
            paths.append(_line(places, child, lane, number_of[place.row.parent]))
        for lane in (*place.opens, *place.meets):
            paths.append(_line(places, child, lane, _end_of(places, child, lane[0])))
    return paths


def _end_of(places: Sequence[Place], start: int, column: int) -> int:
    """The number of the commit to which a lane leads that goes on below row `start`."""
    for number in range(start + 1, len(places)):
        place = places[number]
        if place.column == column or column in dict(place.joins):
            return number
    raise AssertionError("a lane without an end")


def _line(places: Sequence[Place], child: int, lane: tuple[int, int], parent: int) -> str:
    """The path from a commit into a lane, down, and to the commit at its end."""
    column, colour = lane
    x, end_x = _x(places[child].column), _x(places[parent].column)
    path, last = f"M{x} {_y(child)}", child
    if x != _x(column) and parent > child + 1:
        x, last = _x(column), child + 1
        path += _bend(_x(places[child].column), x, child)
    if x == end_x:
        path += f"V{_y(parent)}"
    else:
        path += ("" if last == parent - 1 else f"V{_y(parent - 1)}") + _bend(x, end_x, parent - 1)
    return f'<path d="{path}" fill="none" stroke="{_hue(colour)}" stroke-width="2"/>'


def _bend(start: int, end: int, number: int) -> str:
    """A curve from one column to another, from the row `number` to the next."""
    middle = (_y(number) + _y(number + 1)) // 2
    return f"C{start} {middle} {end} {middle} {end} {_y(number + 1)}"


def _commit(number: int, place: Place, left: int) -> str:
    y = _y(number)
    return (
        f'<circle cx="{_x(place.column)}" cy="{y}" r="{_RADIUS}" fill="{_hue(place.colour)}"/>'
        f'<text x="{left}" y="{y + 4}" fill="{_INK}" xml:space="preserve">'
        f"{_label(place, _styled)}</text>"
    )


# Dimmed ink could not be read: it is a grey already, in the middle of black and white.
_SVG_STYLES = {"bold": 'font-weight="bold"', "italic": 'font-style="italic"', "dim": ""}


def _styled(content: str, style: str) -> str:
    words = [_SVG_STYLES.get(word, f'fill="{word}"') for word in style.split()]
    attributes = " ".join(word for word in words if word)
    escaped = html.escape(content)
    return f"<tspan {attributes}>{escaped}</tspan>" if attributes else escaped
