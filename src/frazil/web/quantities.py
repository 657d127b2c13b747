"""What the numbers of a picture are, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frazil.web.calendars import moment, seconds_of, shortened

EPOCH = "seconds since 1970-01-01"
"""The units of what is stored as `datetime64`, as `values.numbers` returns it."""


_CLOCK = (1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400)
"""Round steps of times, in seconds; longer ones are round numbers of days."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A name, units, and of times a calendar."""

    name: str = ""
    units: str = ""
    calendar: str = "standard"

    @property
    def is_time(self) -> bool:
        """Whether the numbers are moments."""
        return moment(0.0, self.units, self.calendar) is not None

    @property
    def title(self) -> str:
        """The name with the units; of moments without, because they are written as such."""
        if not self.units or self.is_time:
            return self.name
        return f"{self.name} ({self.units})" if self.name else self.units

    def ticks(self, low: float, high: float, about: int) -> list[float]:
        """Round numbers between two, about so many; of times whole minutes, hours or days."""
        unit = seconds_of(self.units) if self.is_time else 0.0
        if not unit:
            return round_numbers(low, high, about)
        rough = (high - low) * unit / max(1, about)
        step = next((step for step in _CLOCK if step >= rough), 0)
        if not step:
            days = round_numbers(low * unit / 86400, high * unit / 86400, about)
            return [day * 86400 / unit for day in days]
        return [n * step / unit for n in _multiples(low * unit / step, high * unit / step)]

    def texts(self, values: Sequence[float]) -> list[str]:
        """The numbers as they are written beside each other."""
        times = [moment(value, self.units, self.calendar) for value in values]
        known = [time for time in times if time is not None]
        return shortened(known) if values and len(known) == len(values) else texts(values)

    def text(self, value: float) -> str:
        """One number with its units; a moment without a midnight."""
        time = moment(value, self.units, self.calendar)
        if time is not None:
            return time.removesuffix(":00").removesuffix(" 00:00")
        return f"{value:.10g} {self.units}".strip().replace("-", "\N{MINUS SIGN}", value < 0)


def quantity_of(name: str, data_type: str, attributes: Mapping[str, Any]) -> Quantity:
    """What an array holds: the CF conventions (sections 3.1 to 3.3) say where its name is."""
    names = (attributes.get("long_name"), attributes.get("standard_name"), name)
    named = next((one for one in names if isinstance(one, str) and one.strip()), "")
    if data_type.startswith("datetime64"):
        return Quantity(named[:60], EPOCH)
    if data_type.startswith("timedelta64"):
        return Quantity(named[:60], "s")
    units, calendar = attributes.get("units"), attributes.get("calendar")
    return Quantity(
        named[:60],
        units[:40] if isinstance(units, str) else "",
        calendar.lower() if isinstance(calendar, str) else "standard",
    )


def texts(values: Sequence[float]) -> list[str]:
    """Numbers as text, each with as many digits as it takes to tell them apart."""
    for digits in range(4, 17):
        written = [f"{value:.{digits}g}" for value in values]
        if len(set(written)) == len(set(values)):
            break
    return [text.replace("-", "\N{MINUS SIGN}") for text in written] if values else []


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many: steps of 1, 2 or 5."""
    if not high > low:
        return [float(low)]
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0 or not math.isfinite(power):
        return [low, high]
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [n * step for n in _multiples(low / step, high / step)]


def _multiples(low: float, high: float) -> range:
    """The whole numbers from low to high, 101 at most."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    return range(first, min(last, first + 100) + 1)
