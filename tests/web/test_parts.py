"""The pure parts: what to read, colours, calendars, axes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.web.axes import Axis
from frazil.web.calendars import moment, shortened
from frazil.web.figures import nearest
from frazil.web.png import DIVERGING, MISSING, coloured, png
from frazil.web.quantities import Quantity, round_numbers, texts
from frazil.web.sampling import BYTES, CHUNKS, sample
from frazil.web.values import numbers


@given(
    shape=st.lists(st.integers(1, 10_000_000), min_size=1, max_size=4),
    chunk=st.lists(st.integers(1, 5_000), min_size=4, max_size=4),
    data=st.data(),
)
def test_a_picture_reads_few_chunks(
    shape: list[int], chunk: list[int], data: st.DataObject
) -> None:
    chunks = [min(a, b) for a, b in zip(shape, chunk, strict=False)]
    n = len(shape)
    shown = data.draw(st.permutations(range(n)))[:2]
    if np.prod(chunks, dtype=object) > BYTES:
        with pytest.raises(InvalidInputError, match="too many"):
            sample(shape, chunks, 1, shown, [500] * len(shown), [0] * n)
        return
    taken = sample(shape, chunks, 1, shown, [500] * len(shown), [0] * n)
    touched = 1
    for d, positions in enumerate(taken.positions):
        assert len(positions) == 1 or d in shown
        assert (np.diff(positions) > 0).all()
        assert positions[0] >= 0
        assert positions[-1] < shape[d]
        assert len(positions) <= 500
        touched *= len(np.unique(positions // chunks[d]))
    assert touched <= CHUNKS
    assert touched * int(np.prod(chunks, dtype=object)) <= max(BYTES, np.prod(chunks))


def test_what_is_small_is_read_whole() -> None:
    taken = sample((30, 40), (10, 10), 8, (0, 1), (500, 500), (0, 0))
    assert taken.whole
    assert [len(p) for p in taken.positions] == [30, 40]


def test_a_png_is_one() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = png(pixels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, pieces = 8, {}
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            kind + body
        )
        pieces[kind] = body
        at += 12 + size
    assert struct.unpack(">IIBBBBB", pieces[b"IHDR"]) == (3, 2, 8, 2, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(pieces[b"IDAT"]), np.uint8).reshape(2, 10)
    assert (lines[:, 0] == 0).all()
    assert (lines[:, 1:].reshape(2, 3, 3) == pixels).all()


def test_colours_have_an_order_and_a_gap() -> None:
    row = coloured(np.array([0.0, 0.5, 1.0, 2.0, np.nan, np.inf]), 0.0, 1.0)
    light = row.astype(int).sum(axis=1)
    assert light[0] < light[1] < light[2] == light[3]
    assert row[4].tolist() == row[5].tolist() == list(MISSING.to_bytes(3, "big"))
    middle = coloured(np.array([-1.0, 0.0, 1.0]), -1.0, 1.0, DIVERGING)
    assert np.ptp(middle[1].astype(int)) < 8  # no colour where there is no difference
    assert middle[0, 2] > middle[0, 0]
    assert middle[2, 0] > middle[2, 2]


@pytest.mark.parametrize(
    ("value", "units", "calendar", "expected"),
    [
        (1.5, "days since 2001-02-03", "standard", "2001-02-04 12:00:00"),
        (59, "days since 2000-01-01", "noleap", "2000-03-01 00:00:00"),
        (59, "days since 2000-01-01", "360_day", "2000-02-30 00:00:00"),
        (366 * 2, "days since 2001-01-01", "all_leap", "2003-01-01 00:00:00"),
        (-1, "hours since 1970-01-01 00:30:00", "360_day", "1969-12-30 23:30:00"),
        (10, "seconds since 1970-01-01T00:00:05Z", "gregorian", "1970-01-01 00:00:15"),
        (1e300, "days since 2000-01-01", "standard", None),
        (1, "days since 2000-13-01", "standard", None),
        (1, "degrees_north", "standard", None),
        (1, "fortnights since 2000-01-01", "standard", None),
    ],
)
def test_moments(value: float, units: str, calendar: str, expected: str | None) -> None:
    assert moment(value, units, calendar) == expected


def test_moments_are_as_short_as_all_of_them_allow() -> None:
    assert shortened(["2000-01-01 00:00:00", "2001-01-01 00:00:00"]) == ["2000", "2001"]
    assert shortened(["2000-01-01 00:00:00", "2000-01-01 06:00:00"]) == [
        "2000-01-01 00:00",
        "2000-01-01 06:00",
    ]


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.integers(1, 12))
def test_round_numbers_lie_between(a: float, b: float, about: int) -> None:
    low, high = min(a, b), max(a, b)
    found = round_numbers(low, high, about)
    margin = (high - low) * 1e-6
    assert all(low - margin <= number <= high + margin for number in found)
    assert len(found) <= 2 * about + 2


def test_ticks_of_a_falling_coordinate() -> None:
    at = np.arange(11)
    axis = Axis(Quantity("lat", "degrees"), 11, at, np.linspace(50, -50, 11))
    assert dict(axis.ticks(4)) == {0.0: "50", 5.0: "0", 10.0: "−50"}
    assert not axis.ascends


def test_numbers_are_told_apart() -> None:
    assert texts([100000.1, 100000.2]) == ["100000.1", "100000.2"]


def test_packed_numbers() -> None:
    values = np.array([1, 2, -99], "i2")
    found = numbers(values, {"scale_factor": 0.5, "add_offset": 10, "_FillValue": -99})
    assert found is not None
    assert found[:2].tolist() == [10.5, 11.0]
    assert np.isnan(found[2])
    single = np.array([1e20, 1.0], "f4")
    masked = numbers(single, {"missing_value": 1e20})
    assert masked is not None
    assert np.isnan(masked).tolist() == [True, False]
    assert numbers(np.array(["a"]), {}) is None


def test_whole_numbers_along_a_dimension_without_coordinates() -> None:
    axis = Axis(Quantity("x"), 400, np.arange(0), None)
    assert axis.ticks(8) == [(n, str(n)) for n in range(0, 400, 50)]
    assert [n for n, _ in Axis(Quantity("x"), 3, np.arange(0), None).ticks(9)] == [0, 1, 2]


def test_what_is_drawn_stands_where_it_belongs() -> None:
    at = np.array([0, 1, 2, 90, 91, 99])  # of a hundred: some chunks have been left out
    found = at[nearest(at, 100, 50)]
    assert found.tolist() == [0] + [2] * 22 + [90] * 23 + [91] * 2 + [99] * 2
    assert nearest(np.arange(7), 7, 3).tolist() == list(range(7))


def test_round_moments() -> None:
    hours = Quantity("t", "hours since 2000-01-01")
    assert hours.texts(hours.ticks(1, 20, 4)) == [f"2000-01-01 {h}:00" for h in ("06", "12", "18")]
    days = Quantity("t", "days since 2000-01-01")
    assert days.texts(days.ticks(1, 33, 4)) == ["2000-01-11", "2000-01-21", "2000-01-31"]
    assert days.title == "t"
    assert Quantity("t", "K").texts(Quantity("t", "K").ticks(0, 1, 2)) == ["0", "0.5", "1"]


def test_times_are_in_seconds() -> None:
    values = np.array(["1970-01-02", "NaT"], "M8[D]")
    days = numbers(values, {})
    assert days is not None
    assert days[0] == 86400
    assert np.isnan(days[1])
    parts = numbers(np.array([1500, -1500], "m8[ms]"), {})
    assert parts is not None
    assert parts.tolist() == [1.5, -1.5]
