"""Histories are laid out in lanes that join where lines of descent meet."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from frazil.graph import GraphRow, Place, layout, svg, text


def rows_of(history: str) -> list[GraphRow]:
    """Rows from `child>parent+merged+merged` words, newest first."""
    rows = []
    for word in history.split():
        child, _, rest = word.partition(">")
        parent, *merged = rest.split("+")
        rows.append(GraphRow(child, parent or None, message=f"m{child}", merged=tuple(merged)))
    return rows


@pytest.mark.parametrize(
    ("history", "drawing"),
    [
        ("", ""),
        ("a", "● a ma\n"),
        ("b>a a", "● b mb\n│\n● a ma\n"),
        (
            "c>a b>a a",
            "●   c mc\n│\n│ ● b mb\n│ │\n●─╯ a ma\n",
        ),
        (
            "d>a c>a b>a a",
            "●     d md\n│\n│ ●   c mc\n│ │\n│ │ ● b mb\n│ │ │\n●─┴─╯ a ma\n",
        ),
        (  # a lane crosses another, and the freed column is used again
            "a>c b>r d>c c>r e>r r",
            "●     a ma\n│\n│ ●   b mb\n│ │\n│ │ ● d md\n│ │ │\n●─┼─╯ c mc\n"
            "│ │\n│ │ ● e me\n│ │ │\n●─┴─╯ r mr\n",
        ),
        (  # two histories that never meet
            "b>a a y>x x",
            "● b mb\n│\n● a ma\n\n● y my\n│\n● x mx\n",
        ),
        ("b>gone", "● b mb\n"),
        (  # a merge
            "m>a+b a>r b>r r",
            "●─╮ m mm\n│ │\n● │ a ma\n│ │\n│ ● b mb\n│ │\n●─╯ r mr\n",
        ),
        (  # of a branch that went on: its lane is there, on the right
            "m>a+b c>b a>r b>r r",
            "●─╮   m mm\n│ │\n│ │ ● c mc\n│ │ │\n● │ │ a ma\n│ │ │\n│ ●─╯ b mb\n│ │\n●─╯   r mr\n",
        ),
        (  # and on the left
            "c>b m>a+b a>r b>r r",
            "●   c mc\n│\n├─● m mm\n│ │\n│ ● a ma\n│ │\n● │ b mb\n│ │\n●─╯ r mr\n",
        ),
        (  # of two branches at once, across a third
            "x>r m>a+b+c a>r b>r c>r r",
            "●       x mx\n│\n│ ●─┬─╮ m mm\n│ │ │ │\n│ ● │ │ a ma\n│ │ │ │\n│ │ ● │ b mb\n"
            "│ │ │ │\n│ │ │ ● c mc\n│ │ │ │\n●─┴─┴─╯ r mr\n",
        ),
        (  # a lane ends where another starts
            "d>m m>a+b a>r b>r r",
            "● d md\n│\n●─╮ m mm\n│ │\n● │ a ma\n│ │\n│ ● b mb\n│ │\n●─╯ r mr\n".replace(
                "● d md", "●   d md"
            ),
        ),
        (
            "e>m f>m m>a+b a>r b>r r",
            "●     e me\n│\n│ ●   f mf\n│ │\n●─┴─╮ m mm\n│   │\n●   │ a ma\n│   │\n│   ● b mb\n"
            "│   │\n●───╯ r mr\n",
        ),
        ("m>a+gone+m+a a", "● m mm\n│\n● a ma\n"),
    ],
)
def test_drawings(history: str, drawing: str) -> None:
    assert text(rows_of(history), plain=True) == drawing


def test_lanes_never_collide() -> None:
    rows = rows_of("m>g+f+e g>d f>c e>a n>d+c d>b c>b b>a a")
    for place in layout(rows):
        lanes = (*place.passing, *place.joins, *place.opens)
        used = [place.column, *(i for i, _ in lanes)]
        assert len(used) == len(set(used))


def test_a_lane_keeps_its_colour() -> None:
    places: Sequence[Place] = layout(rows_of("c>a b>a a"))
    assert [place.colour for place in places] == [0, 1, 0]


def test_labels_name_branches_and_tags() -> None:
    row = GraphRow("0123456789", None, ("main", "dev"), ("v1",), "first line\nsecond line")
    assert text([row], plain=True) == "● 01234567 (main, dev, v1) first line\n"


def test_colours_are_all_that_plain_leaves_out() -> None:
    rows = [GraphRow("b", "a", ("main",), ("v",), "two"), GraphRow("a", None, (), (), "one")]
    coloured = text(rows, plain=False)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(rows, plain=True)


def test_messages_cannot_steer_a_terminal_or_break_the_svg() -> None:
    row = GraphRow("a", None, ("b<r>&",), (), "x\x1b[31m\x00 </text>")
    assert text([row], plain=True) == "● a (b<r>&) x�[31m� </text>\n"
    (label,) = ElementTree.fromstring(svg([row])).iter("{http://www.w3.org/2000/svg}text")
    assert "".join(label.itertext()) == "a (b<r>&) x�[31m� </text>"


def test_svg_has_a_dot_for_each_commit_and_a_line_for_each_parent() -> None:
    root = ElementTree.fromstring(svg(rows_of("m>c+b c>a b>a a")))
    tags = [element.tag.rpartition("}")[2] for element in root]
    assert tags.count("circle") == 4
    assert tags.count("path") == 4
    places = [(circle.get("cx"), circle.get("cy")) for circle in root if "circle" in circle.tag]
    assert len(set(places)) == 4
    assert float(root.get("width", 0)) > max(float(x or 0) for x, _ in places)


def test_an_empty_history_is_still_an_svg() -> None:
    assert list(ElementTree.fromstring(svg([]))) == []
