"""A validator of what the CF conventions say of units, standard names and times.

Only what can be told from metadata, and only what is certainly wrong: a small part of what a
checker of the conventions knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from frazil.findings import HookFinding
from frazil.hooks.event import HookEvent
from frazil.hooks.validators.options import Validator, texts
from frazil.hooks.validators.selecting import matches
from frazil.hooks.validators.units import measure
from frazil.nodes import NodeInfo

CALENDARS = frozenset(
    {
        "standard",
        "gregorian",
        "proleptic_gregorian",
        "noleap",
        "365_day",
        "all_leap",
        "366_day",
        "360_day",
        "julian",
        "utc",
        "tai",
        "none",
    }
)
"""Section 4.4.1."""

NAMES = {
    "air_density": "kg m-3",
    "air_potential_temperature": "K",
    "air_pressure": "Pa",
    "air_pressure_at_mean_sea_level": "Pa",
    "air_temperature": "K",
    "altitude": "m",
    "area_fraction": "1",
    "cell_area": "m2",
    "cloud_area_fraction": "1",
    "depth": "m",
    "dew_point_temperature": "K",
    "eastward_wind": "m s-1",
    "geopotential": "m2 s-2",
    "geopotential_height": "m",
    "grid_latitude": "degree",
    "grid_longitude": "degree",
    "height": "m",
    "lagrangian_tendency_of_air_pressure": "Pa s-1",
    "land_area_fraction": "1",
    "land_ice_thickness": "m",
    "latitude": "degree_north",
    "longitude": "degree_east",
    "mass_concentration_of_ozone_in_air": "kg m-3",
    "mole_fraction_of_carbon_dioxide_in_air": "1",
    "mole_fraction_of_ozone_in_air": "1",
    "northward_wind": "m s-1",
    "precipitation_amount": "kg m-2",
    "precipitation_flux": "kg m-2 s-1",
    "rainfall_flux": "kg m-2 s-1",
    "lwe_precipitation_rate": "m s-1",
    "lwe_thickness_of_precipitation_amount": "m",
    "relative_humidity": "1",
    "sea_area_fraction": "1",
    "sea_ice_area_fraction": "1",
    "sea_ice_thickness": "m",
    "sea_surface_height_above_geoid": "m",
    "sea_surface_height_above_sea_level": "m",
    "sea_surface_temperature": "K",
    "sea_water_potential_temperature": "K",
    "sea_water_pressure": "dbar",
    "sea_water_temperature": "K",
    "sea_water_x_velocity": "m s-1",
    "sea_water_y_velocity": "m s-1",
    "snowfall_flux": "kg m-2 s-1",
    "soil_temperature": "K",
    "specific_humidity": "1",
    "surface_air_pressure": "Pa",
    "surface_albedo": "1",
    "surface_altitude": "m",
    "surface_downwelling_longwave_flux_in_air": "W m-2",
    "surface_downwelling_shortwave_flux_in_air": "W m-2",
    "surface_snow_thickness": "m",
    "surface_temperature": "K",
    "surface_upward_latent_heat_flux": "W m-2",
    "surface_upward_sensible_heat_flux": "W m-2",
    "time": "s",
    "toa_outgoing_longwave_flux": "W m-2",
    "upward_air_velocity": "m s-1",
    "wind_from_direction": "degree",
    "wind_speed": "m s-1",
    "wind_speed_of_gust": "m s-1",
}
"""Some standard names, and units in which their canonical units are; any other name passes."""

_MODIFIERS = frozenset(
    ["detection_minimum", "number_of_observations", "standard_error", "status_flag"]
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TIME = re.compile(
    r"\s*(\w+)\s+since\s+([+-]?\d{1,6})-(\d{1,2})-(\d{1,2})"
    r"(?:[T\s]+\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:\.\d*)?)?)?)?\s*(?:Z|UTC|[+-]?\d{1,2}(?::?\d{2})?)?\s*",
    re.IGNORECASE,
)


def cf(*, arrays: Sequence[str] = ("*",), required: Sequence[str] = ()) -> Validator:
    """Refuse units, standard names and calendars that the CF conventions do not have.

        cf(required=["units", "standard_name"])

    Looked at are the arrays that are made or changed: units must be of the kind that the standard
    name says (`air_temperature` in `m` is refused), `days since 1970-01-01` must be a time, and
    a calendar one that there is. arrays: paths, or patterns such as `/ocean/*`. required:
    attributes that numeric arrays must have.
    """
    names = texts(arrays, "cf", "arrays")
    demanded = texts(required, "cf", "required")

    def validate(event: HookEvent) -> Iterator[HookFinding]:
        changed = set(event.changed_arrays())
        for node in event.tree.nodes() if changed else ():
            if node.path in changed and matches(node.path, names):
                for text in problems(node, demanded):
                    yield HookFinding(text, node.path)

    return validate


def problems(node: NodeInfo, required: Sequence[str]) -> Iterator[str]:
    """What is wrong with the attributes of an array."""
    attributes = node.attributes
    if node.dtype not in ("string", "bool") and "flag_values" not in attributes:
        for name in required:
            if name not in attributes:
                yield f"the attribute {name!r} is missing"
    units, calendar = attributes.get("units"), attributes.get("calendar")
    if units is not None:
        yield from _about_units(units)
    if calendar is not None and str(calendar).lower() not in CALENDARS:
        yield f"the calendar {calendar!r} does not exist: use one of {', '.join(sorted(CALENDARS))}"
    if "standard_name" in attributes:
        yield from _about_name(attributes["standard_name"], units)


def _about_units(units: object) -> Iterator[str]:
    if not isinstance(units, str):
        yield f"the units {units!r} are no text"
    elif " since " in units:
        time = _TIME.fullmatch(units)
        if time is None or measure(time[1]) != measure("s"):
            yield f"the units {units!r} are no time: write such as days since 1970-01-01"
        elif not (1 <= int(time[3]) <= 12 and 1 <= int(time[4]) <= 31):
            yield f"the units {units!r} begin at a day that does not exist"
    elif measure(units) is None:
        yield f"the units {units!r} are not known"


def _about_name(given: object, units: object) -> Iterator[str]:
    name, *modifiers = given.split() if isinstance(given, str) and given.strip() else [""]
    if not _NAME.fullmatch(name) or not set(modifiers) <= _MODIFIERS or len(modifiers) > 1:
        yield f"{given!r} is no standard name"
        return
    wanted = NAMES.get(name)
    if wanted is None or modifiers:
        return
    if units is None:
        if measure(wanted):
            yield f"{name} needs units, such as {wanted}"
        return
    is_time = isinstance(units, str) and " since " in units
    found = measure("s") if is_time else measure(units) if isinstance(units, str) else None
    if found is not None and found != measure(wanted):
        yield f"{name} cannot be in {units!r}: it is measured in such as {wanted}"
