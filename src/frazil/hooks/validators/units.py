"""What a unit measures: `W m-2` is power by area. Sizes do not matter here, kinds do.

The units are those of the CF conventions, which take them from UDUNITS: symbols and names, with
prefixes, powers (`s-1`, `m^2`, `m**2`), products (blank, `.`, `*`) and quotients (`/`, `per`).
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

Measure = tuple[tuple[str, int], ...]
"""Powers of base units, sorted; empty for what has none."""

_BASE = {
    "m": "m metre meter metres meters micron microns foot feet ft inch inches mile miles "
    "nautical_mile fathom",
    "kg": "kg kilogram kilograms g gram grams t tonne tonnes ton",
    "s": "s sec secs second seconds min mins minute minutes h hr hrs hour hours d day days week "
    "weeks month months year years yr common_year",
    "K": "K kelvin Kelvin kelvins degK deg_K degC degF deg_C deg_F degree_C degrees_C degree_F "
    "degrees_F degree_Celsius degrees_Celsius celsius Celsius degC fahrenheit Fahrenheit "
    "°C °F degreesC degrees_kelvin degree_kelvin",
    "A": "A ampere amperes",
    "mol": "mol mole moles",
    "cd": "cd candela",
}
_NONE = (
    "1 percent % ppm ppmv ppb ppbv ppt level layer sigma_level count counts psu PSU "
    "dB dBZ dBz radian radians rad steradian sr "
    "degree degrees deg ° arc_degree "
    "degrees_north degree_north degrees_N degree_N degreesN degreeN "
    "degrees_south degree_south degrees_east degree_east degrees_E degree_E degreesE degreeE "
    "degrees_west degree_west degrees_true degree_true"
)
_DERIVED = {
    "N newton newtons": "kg m s-2",
    "Pa pascal pascals bar bars atm atmosphere mb millibar millibars mmHg": "kg m-1 s-2",
    "J joule joules cal calorie eV": "kg m2 s-2",
    "W watt watts": "kg m2 s-3",
    "Hz hertz Bq becquerel": "s-1",
    "V volt volts": "kg m2 s-3 A-1",
    "C coulomb": "A s",
    "S siemens": "kg-1 m-2 s3 A2",
    "ohm ohms": "kg m2 s-3 A-2",
    "T tesla": "kg s-2 A-1",
    "l L liter litre liters litres": "m3",
    "ha hectare hectares are barn": "m2",
    "kt kts knot knots": "m s-1",
    "Gy gray Sv sievert": "m2 s-2",
    "DU dobson": "mol m-2",
    "Sverdrup sverdrup": "m3 s-1",
    "kat": "mol s-1",
    "lm": "cd",
    "lx": "cd m-2",
}
_SHORT = ("da", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u", "µ", "μ", "n", "p")
_LONG = (
    *("yotta", "zetta", "exa", "peta", "tera", "giga", "mega", "kilo", "hecto", "deca", "deka"),
    *("deci", "centi", "milli", "micro", "nano", "pico", "femto"),
)
_UNPREFIXED = frozenset(
    {"kg", "min", "h", "hr", "d", "day", "days", "week", "month", "year", "percent", "%", "1"}
)
_TOKEN = re.compile(r"([A-Za-zµμ°%_]+)(?:\^|\*\*)?([+-]?\d+)?|([\d.]+(?:[eE][+-]?\d+)?)")
_SEPARATOR = re.compile(r"\s*(/|\bper\b|[*.·]|\s)\s*")


@lru_cache(maxsize=512)
def measure(unit: str) -> Measure | None:
    """The powers of base units of a unit; None if it is not known."""
    text = unit.strip()
    if text in ("", "1"):
        return ()
    total: Counter[str] = Counter()
    position, sign = 0, 1
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.end() == position:
            return None
        position = token.end()
        if token[1]:
            found = _symbol(token[1])
            if found is None:
                return None
            for base, power in found:
                total[base] += sign * power * int(token[2] or 1)
        if position == len(text):
            break
        separator = _SEPARATOR.match(text, position)
        if separator is None:
            return None
        position = separator.end()
        sign = -1 if separator[1] in ("/", "per") else 1
        if position == len(text):
            return None
    return tuple(sorted((base, power) for base, power in total.items() if power))


def _symbol(text: str) -> Measure | None:
    known = _symbols()
    if text in known:
        return known[text]
    for prefixes in (_SHORT, _LONG):
        for prefix in prefixes:
            rest = text.removeprefix(prefix)
            if rest != text and rest in known and rest not in _UNPREFIXED:
                return known[rest]
    return None


@lru_cache(maxsize=1)
def _symbols() -> dict[str, Measure]:
    found: dict[str, Measure] = dict.fromkeys(_NONE.split(), ())
    for base, names in _BASE.items():
        found |= dict.fromkeys(names.split(), ((base, 1),))
    for names, meaning in _DERIVED.items():
        powers = [re.fullmatch(r"([A-Za-z]+)(-?\d+)?", one) for one in meaning.split()]
        value = tuple(sorted((p[1], int(p[2] or 1)) for p in powers if p is not None))
        found |= dict.fromkeys(names.split(), value)
    return found
