"""The picture of how a repository grew."""

from __future__ import annotations

import builtins
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from frazil.errors import InvalidInputError
from frazil.growth import Growth, _size_marks, _time_marks, draw

DAY = 86_400_000_000


def growth(*sizes: tuple[int, int, int], days: list[float] | None = None) -> Growth:
    at = list(range(len(sizes))) if days is None else days
    time = (np.array(at, np.float64) * DAY).astype(np.int64).astype("M8[us]")
    return Growth(time, np.array(sizes, np.int64).reshape(-1, 3).T)


def texts(picture: str) -> list[str]:
    tree = ElementTree.fromstring(picture)
    return [node.text or "" for node in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_areas_steps_and_labels() -> None:
    picture = growth((1024, 0, 0), (4096, 0, 1024), (4096, 0, 5 << 20)).svg(width=400)
    assert texts(picture)[:2] == ["own objects 4.0 KiB", "elsewhere 5.0 MiB"]
    assert "6 MiB" in texts(picture)
    assert "in manifests" not in picture
    tree = ElementTree.fromstring(picture)
    areas = [node for node in tree.iter() if node.get("fill-opacity")]
    assert [area.get("fill") for area in areas] == ["#2a7aa6", "#55aeb5"]
    # Three steps up, and back below.
    assert len(re.findall("V", areas[0].get("d") or "")) == 6


@pytest.mark.parametrize(
    "one", [growth(), growth((0, 0, 0)), growth((7, 0, 0)), growth((1, 2, 3), days=[1e5])]
)
def test_nearly_nothing_to_draw(one: Growth) -> None:
    assert texts(one.svg())[0] in ("no chunks yet", "own objects 7 B", "own objects 1 B")


def test_many_commits_take_no_more_than_the_width() -> None:
    n = 100_000
    many = Growth(np.arange(n).astype("M8[s]").astype("M8[us]"), np.stack([np.arange(n) * 10] * 3))
    time, sizes = many.steps(500)
    assert len(time) <= 500
    assert sizes[:, -1].tolist() == [(n - 1) * 10] * 3
    assert len(many.svg(width=590)) < 60_000


def test_clocks_that_went_back() -> None:
    time, sizes = growth((1, 0, 0), (2, 0, 0), (3, 0, 0), days=[0, 5, 3]).steps(100)
    assert bool((np.diff(time.astype(np.int64)) >= 0).all())
    assert sizes[0].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (1, ["0 B", "1 B"]),
        (900, ["0 B", "200 B", "400 B", "600 B", "800 B", "1000 B"]),
        (1536, ["0 KiB", "0.5 KiB", "1 KiB", "1.5 KiB"]),
        (3 << 20, ["0 MiB", "1 MiB", "2 MiB", "3 MiB"]),
        (700 << 30, ["0 GiB", "200 GiB", "400 GiB", "600 GiB", "800 GiB"]),
        (1 << 62, ["0 PiB", "1000 PiB", "2000 PiB", "3000 PiB", "4000 PiB", "5000 PiB"]),
    ],
)
def test_marks_of_sizes(most: int, marks: list[str]) -> None:
    found = _size_marks(most)
    assert [label for _, label in found] == marks
    assert found[-1][0] >= most > found[-2][0]


@pytest.mark.parametrize(
    ("start", "stop", "labels"),
    [
        ("2024-01-01T12:00:00", "2024-01-01T12:00:02", "01 Jan 2024 12:00:00, 12:00:01, 12:00:02"),
        ("2024-01-01T11:58", "2024-01-01T12:11", "01 Jan 2024 12:00, 12:05, 12:10"),
        ("2024-01-01T23", "2024-01-02T01", "01 Jan 23:00, 02 Jan 00:00, 02 Jan 01:00"),
        ("2024-02-28", "2024-03-02", "28 Feb 2024, 29 Feb 2024, 01 Mar 2024, 02 Mar 2024"),
        ("2023-11-20", "2024-02-10", "Dec 2023, Jan 2024, Feb 2024"),
        ("1969-05-01", "1973-05-01", "1970, 1971, 1972, 1973"),
        ("1700-01-01", "2024-01-01", ""),
    ],
)
def test_marks_of_times(start: str, stop: str, labels: str) -> None:
    found = _time_marks(np.datetime64(start, "us"), np.datetime64(stop, "us"), 4)
    assert ", ".join(label for _, label in found) == labels


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = growth((1024, 0, 0), (4096, 10, 1024))

    def drawn(name: str, *, dark: bool = False) -> bytes:
        return draw(one, tmp_path / name, dark=dark, report=lambda: "<p>report</p>").read_bytes()

    assert drawn("a.svg").startswith(b"<svg")
    assert b"<p>report</p>" in drawn("a.html")
    light, dark = drawn("a.png"), drawn("b.PNG", dark=True)
    assert struct.unpack(">4sII", light[12:24]) == (b"IHDR", 1200, 540)
    assert light != dark
    with pytest.raises(InvalidInputError, match=r"not 'a\.pdf'"):
        drawn("a.pdf")

    imported = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInputError, match="needs matplotlib"):
        drawn("c.png")


def test_what_colours_are_fits_into_narrow_pictures() -> None:
    growth = Growth(np.array(["2024-01-01", "2024-02-01"], "M8[us]"), np.full((3, 2), 1 << 20))
    wide, narrow = growth.svg(width=860), growth.svg(width=380)
    assert wide.count('y="9" width="11"') == 3
    assert narrow.count('y="9" width="11"') == 1
    assert narrow.count('y="27" width="11"') == 2
