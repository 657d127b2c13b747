"""What is wrong with attributes."""

from __future__ import annotations

from typing import Any

import pytest

from frazil.hooks.validators.conventions import CALENDARS, NAMES, problems
from frazil.hooks.validators.units import measure
from frazil.nodes import NodeInfo


def said(*required: str, dtype: str = "float32", **attributes: Any) -> list[str]:
    node = NodeInfo("/a", "array", (3,), (3,), None, dtype, None, attributes)
    return list(problems(node, required))


def test_all_names_have_known_units() -> None:
    assert [name for name, units in NAMES.items() if measure(units) is None] == []


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"units": "K", "standard_name": "air_temperature"},
        {"units": "degC", "standard_name": "air_temperature standard_error"},
        {"units": "days since 1970-01-01", "calendar": "360_day", "standard_name": "time"},
        {"units": "hours since 1-1-1 0:0:0.0"},
        {"units": "seconds since 1992-10-8 15:15:42.5 -6:00"},
        {"units": "days since 1970-01-01T00:00:00Z", "calendar": "Gregorian"},
        {"units": "%", "standard_name": "relative_humidity"},
        {"standard_name": "relative_humidity"},
        {"units": "m", "standard_name": "some_name_that_is_not_in_the_table"},
        {"units": "degrees_north", "standard_name": "latitude"},
    ],
)
def test_right(attributes: dict[str, Any]) -> None:
    assert said(**attributes) == []


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"units": "furlong"}, "'furlong' are not known"),
        ({"units": 1}, "no text"),
        ({"units": "days since yesterday"}, "no time"),
        ({"units": "metres since 1970-01-01"}, "no time"),
        ({"units": "days since 1970-13-01"}, "does not exist"),
        ({"calendar": "lunar"}, "the calendar 'lunar' does not exist"),
        ({"standard_name": "Air Temperature"}, "no standard name"),
        ({"standard_name": "air_temperature guess"}, "no standard name"),
        ({"standard_name": 3}, "no standard name"),
        ({"standard_name": "air_temperature"}, "needs units, such as K"),
        ({"standard_name": "air_temperature", "units": "m"}, "cannot be in 'm'"),
        ({"standard_name": "wind_speed", "units": "days since 1970-01-01"}, "cannot be in"),
    ],
)
def test_wrong(attributes: dict[str, Any], text: str) -> None:
    (problem,) = said(**attributes)
    assert text in problem


def test_required() -> None:
    assert said("units", "long_name", units="K") == ["the attribute 'long_name' is missing"]
    assert said("units", dtype="string") == []
    assert said("units", flag_values=[1]) == []


def test_calendars() -> None:
    assert "noleap" in CALENDARS
