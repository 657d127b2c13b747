"""Coordinates of the dimensions of an array, and what to write along an axis.

A coordinate is an array of one dimension beside the array, named like the dimension, as the CF
conventions (section 1.2) and xarray have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.errors import IcechunkError
from frazil.session import Session
from frazil.web.documents import describe
from frazil.web.quantities import Quantity, quantity_of, round_numbers
from frazil.web.sampling import evenly
from frazil.web.values import numbers, read_at

_PROBES = 33
"""Values of a coordinate that are read to see how it runs."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension: what is along it, its length, and the coordinate.

    at, values: some positions, and the numbers there, or none.
    """

    what: Quantity
    length: int
    at: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64] | None

    @property
    def title(self) -> str:
        """What to write beside the axis."""
        return self.what.title

    @property
    def ascends(self) -> bool:
        """Whether the coordinate's numbers grow; false without a coordinate."""
        return self.values is not None and len(self.values) > 1 and _is_growing(self.values)

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Positions and what to write there, about so many."""
        values = self.values
        if values is None:
            whole = [n for n in round_numbers(0, self.length - 1, about) if n == int(n)]
            return [(n, str(int(n))) for n in whole]
        if not self.what.is_time:
            growing, falling = _is_growing(values), _is_growing(values[::-1])
            if len(values) > 1 and (growing or falling):
                order = slice(None) if growing else slice(None, None, -1)
                wanted = round_numbers(float(values.min()), float(values.max()), about)
                at = np.interp(wanted, values[order], self.at[order].astype(np.float64))
                return list(zip(at.tolist(), self.what.texts(wanted), strict=True))
        positions = evenly(self.length, max(2, about - 1))
        read = np.interp(positions, self.at, values)
        labels = self.what.texts(read.tolist())
        return list(zip(map(float, positions.tolist()), labels, strict=True))

    def label(self, position: int) -> str:
        """What the coordinate has at a position that was read; nothing without one."""
        found = np.flatnonzero(self.at == position)
        if self.values is None or not len(found):
            return ""
        return self.what.text(float(self.values[found[0]]))


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
    title = (name or f"dimension {number}")[:60]
    plain = Axis(Quantity(title), length, positions, None)
    beside = f"{path.rpartition('/')[0]}/{name}"
    if not name or "/" in name or beside == path or length == 0:
        return plain
    try:
        node = session._workspace.node(beside)
        if node is None or len(node.shape) != 1 or node.shape[0][0] < length:
            return plain
        described = describe(node)
        attributes = described.attributes
        values = numbers(read_at(session, beside, (positions,)), attributes)
    except (IcechunkError, OSError):
        return plain  # a picture without coordinates is better than none
    if values is None or not np.isfinite(values).all():
        return plain
    what = quantity_of(title, described.data_type, attributes)
    return Axis(replace(what, name=title), length, positions, values)


def _is_growing(values: npt.NDArray[np.float64]) -> bool:
    return bool((np.diff(values) > 0).all())
