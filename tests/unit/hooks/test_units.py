"""What units measure."""

from __future__ import annotations

import pytest

from frazil.hooks.validators.units import measure


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m s-1", "km/h"),
        ("m s^-1", "knots"),
        ("kg m-2 s-1", "g m**-2 day-1"),
        ("W m-2", "J s-1 cm-2"),
        ("Pa", "hPa"),
        ("mb", "kg.m-1.s-2"),
        ("degC", "K"),
        ("1", "%"),
        ("1", "kg kg-1"),
        ("mol m-3", "mmol/l"),
        ("m3 s-1", "m3/s"),
        ("days", "milliseconds"),
        ("degrees_north", "radian"),
        ("1e-3", ""),
        ("microgram per m3", "kg m-3"),
    ],
)
def test_of_one_kind(one: str, other: str) -> None:
    assert measure(one) is not None
    assert measure(one) == measure(other)


@pytest.mark.parametrize(
    "unit", ["furlong", "m//s", "m s-", "/s", "m /", "K K?", "mkg", "kkg", "x y"]
)
def test_not_known(unit: str) -> None:
    assert measure(unit) is None


def test_of_other_kinds() -> None:
    assert len({measure(unit) for unit in ("m", "m2", "s", "K", "kg", "Pa", "W", "1")}) == 8
