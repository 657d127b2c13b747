"""Moments in the calendars of the CF conventions, section 4.4, as text."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_SECONDS = {
    "second": 1, "seconds": 1, "sec": 1, "secs": 1, "s": 1,
    "minute": 60, "minutes": 60, "min": 60, "mins": 60,
    "hour": 3600, "hours": 3600, "hr": 3600, "hrs": 3600, "h": 3600,
    "day": 86400, "days": 86400, "d": 86400,
    "millisecond": 1e-3, "milliseconds": 1e-3, "microsecond": 1e-6, "microseconds": 1e-6,
    "nanosecond": 1e-9, "nanoseconds": 1e-9,
}  # fmt: skip
_UNITS = re.compile(
    r"\s*(\w+)\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T\s]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2})(?:\.\d*)?)?)?.*",
    re.IGNORECASE | re.DOTALL,
)
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIXED = {
    "360_day": (30,) * 12,
    "noleap": _MONTHS,
    "365_day": _MONTHS,
    "all_leap": (31, 29, *_MONTHS[2:]),
    "366_day": (31, 29, *_MONTHS[2:]),
}
"""Calendars in which all years are alike: the days of the months."""


def moment(value: float, units: str, calendar: str) -> str | None:
    """A moment as `2004-07-01 12:00:00`; None for units that are not of time.

    None, too, for moments that the calendar of `datetime` does not have.
    """
    match = _UNITS.fullmatch(units)
    if match is None or match[1].lower() not in _SECONDS:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[1:])
    seconds = value * _SECONDS[match[1].lower()]
    months = _FIXED.get(calendar)
    try:
        if months is None:
            start = datetime(year, month, day, hour, minute, second)
            return f"{start + timedelta(seconds=round(seconds)):%Y-%m-%d %H:%M:%S}"
        of_day = hour * 3600 + minute * 60 + second + round(seconds)
        days = year * sum(months) + sum(months[: month - 1]) + day - 1 + of_day // 86400
        return _text(days, of_day % 86400, months)
    except (OverflowError, ValueError):
        return None


def seconds_of(units: str) -> float:
    """How many seconds one of these units of time has; 0 for units that are not of time."""
    match = _UNITS.fullmatch(units)
    return 0.0 if match is None else float(_SECONDS.get(match[1].lower(), 0))


def _text(days: int, of_day: int, months: tuple[int, ...]) -> str:
    year, day = divmod(days, sum(months))
    month = 0
    while day >= months[month]:
        day -= months[month]
        month += 1
    hours, rest = divmod(of_day, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{year:04}-{month + 1:02}-{day + 1:02} {hours:02}:{minutes:02}:{seconds:02}"


def shortened(moments: list[str]) -> list[str]:
    """Without what is the same end of all: midnights, first days, first months."""
    for end in (":00", " 00:00", "-01", "-01"):
        if not all(text.endswith(end) for text in moments):
            break
        moments = [text.removesuffix(end) for text in moments]
    return moments
