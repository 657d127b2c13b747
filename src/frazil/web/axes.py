"""Coordinates of the dimensions of an array, and what to write along an axis.

A coordinate is an array of one dimension beside the array, named like the dimension, as the CF
conventions (section 1.2) and xarray have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.errors import IcechunkError
from frazil.session import Session
from frazil.web.calendars import moment, shortened
from frazil.web.documents import describe
from frazil.web.sampling import evenly
from frazil.web.values import numbers, read_at

_PROBES = 33
"""Values of a coordinate that are read to see how it runs."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension: its name, length, and the coordinate along it.

    at, values: some positions, and the numbers there, or none; units: as the coordinate has
    them; calendar: of times.
    """

    name: str
    length: int
    at: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64] | None
    units: str = ""
    calendar: str = "standard"

    @property
    def title(self) -> str:
        """What to write beside the axis."""
        times = self.values is not None and moment(0.0, self.units, self.calendar) is not None
        return f"{self.name} ({self.units})" if self.units and not times else self.name

    @property
    def ascends(self) -> bool:
        """Whether the coordinate's numbers grow; false without a coordinate."""
        return self.values is not None and len(self.values) > 1 and _is_growing(self.values)

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Positions and what to write there, about so many."""
        values = self.values
        if values is not None and moment(0.0, self.units, self.calendar) is None:
            growing, falling = _is_growing(values), _is_growing(values[::-1])
            if len(values) > 1 and (growing or falling):
                order = slice(None) if growing else slice(None, None, -1)
                wanted = round_numbers(float(values.min()), float(values.max()), about)
                at = np.interp(wanted, values[order], self.at[order].astype(np.float64))
                return list(zip(at.tolist(), texts(wanted), strict=True))
        positions = evenly(self.length, max(2, about - 1))
        if values is None:
            return [(float(p), str(p)) for p in positions.tolist()]
        read = np.interp(positions, self.at, values)
        times = [moment(float(v), self.units, self.calendar) for v in read]
        known = [time for time in times if time is not None]
        labels = shortened(known) if len(known) == len(times) else texts(read.tolist())
        return list(zip(map(float, positions.tolist()), labels, strict=True))

    def label(self, position: int) -> str:
        """What the coordinate has at a position that was read; the position without one."""
        found = np.flatnonzero(self.at == position)
        if self.values is None or not len(found):
            return ""
        value = float(self.values[found[0]])
        time = moment(value, self.units, self.calendar)
        if time is not None:
            return time.removesuffix(":00").removesuffix(" 00:00")
        return f"{value:.6g} {self.units}".strip()


def read_axis(
    session: Session, path: str, name: str | None, number: int, length: int, also: Sequence[int]
) -> Axis:
    """The axis of a dimension of the array at `path`; also: positions to read the value at."""
    positions = np.unique(
        np.concatenate([evenly(length, _PROBES), np.array(also, np.int64)]).astype(np.int64)
    )
    return _axis(session, path, name, number, length, positions)


def read_position(
    session: Session, path: str, name: str | None, number: int, length: int, position: int
) -> Axis:
    """The axis with the value at one position only: reads one chunk."""
    return _axis(session, path, name, number, length, np.array([position], np.int64))


def _axis(
    session: Session,
    path: str,
    name: str | None,
    number: int,
    length: int,
    positions: npt.NDArray[np.int64],
) -> Axis:
    plain = Axis(name or f"dimension {number}", length, positions, None)
    beside = f"{path.rpartition('/')[0]}/{name}"
    if not name or "/" in name or beside == path or length == 0:
        return plain
    try:
        node = session._workspace.node(beside)
        if node is None or len(node.shape) != 1 or node.shape[0][0] < length:
            return plain
        attributes = describe(node).attributes
        values = numbers(read_at(session, beside, (positions,)), attributes)
    except (IcechunkError, OSError):
        return plain  # a picture without coordinates is better than none
    if values is None or not np.isfinite(values).all():
        return plain
    units, calendar = attributes.get("units"), attributes.get("calendar")
    return Axis(
        plain.name,
        length,
        positions,
        values,
        units if isinstance(units, str) else "",
        calendar.lower() if isinstance(calendar, str) else "standard",
    )


def _is_growing(values: npt.NDArray[np.float64]) -> bool:
    return bool((np.diff(values) > 0).all())


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many: steps of 1, 2 or 5."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0 or not math.isfinite(power):
        return [low, high]
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, min(last, first + 100) + 1)]


def texts(values: Sequence[float]) -> list[str]:
    """Numbers as text, each with as many digits as it takes to tell them apart."""
    for digits in range(4, 17):
        written = [f"{value:.{digits}g}" for value in values]
        if len(set(written)) == len(set(values)):
            break
    return [text.replace("-", "\N{MINUS SIGN}") for text in written] if values else []
