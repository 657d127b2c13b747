"""Which part of an array a picture shows, and reading that part."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from starlette.requests import Request

from frazil.errors import ErrorKind, InvalidInputError
from frazil.session import Session
from frazil.web.axes import Axis, read_axis, read_position
from frazil.web.documents import Described
from frazil.web.figures import Look, extent_of, heat_map, line_plot, notes_of
from frazil.web.quantities import Quantity, quantity_of
from frazil.web.sampling import Sample, sample
from frazil.web.site import integer
from frazil.web.values import Numbers, Parts, numbers, read_at

_SMALL_SHARD = 1024 * 1024
"""Bytes of elements."""
NARROW, HALF, WIDE = 380, 500, 860
"""Widths of pictures."""
LINE_POINTS, MAP_POINTS = 2 * WIDE, 3 * WIDE // 4
"""As many elements along each dimension are enough."""


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn of an array: dimension x to the right, y downwards or none, the rest at."""

    node: Described
    x: int | None
    y: int | None
    at: tuple[int, ...]

    @property
    def shown(self) -> tuple[int, ...]:
        """The dimensions that are drawn, in their order in the array."""
        return tuple(sorted(d for d in (self.x, self.y) if d is not None))

    @property
    def others(self) -> list[int]:
        """The dimensions along which there is one position."""
        return [d for d in range(len(self.node.shape)) if d not in self.shown]

    def at_chunk(self, coords: tuple[int, ...]) -> View:
        """The view through the middle of a chunk of the grid."""
        outer = self.node.shards or self.node.chunks
        at = tuple(
            max(0, min(number * length + length // 2, size - 1))
            for number, length, size in zip(coords, outer, self.node.shape, strict=True)
        )
        return replace(self, at=at)

    def name(self, d: int) -> str:
        """The name of a dimension."""
        return self.node.dimensions[d] or f"dimension {d}"

    def parameters(self, **changed: object) -> dict[str, object]:
        """What an address says of the view."""
        given: dict[str, object] = {}
        if len(self.node.shape) > 1:
            given = {"x": self.x, "y": "none" if self.y is None else self.y}
        given.update({f"i{d}": self.at[d] for d in self.others})
        return given | changed

    def labels(self, session: Session) -> dict[int, str]:
        """What the coordinates of the other dimensions have there."""
        found = {}
        for d in self.others:
            if self.node.shape[d]:
                axis = read_position(
                    session, self.node.path, self.node.dimensions[d], d,
                    self.node.shape[d], self.at[d],
                )  # fmt: skip
                found[d] = axis.label(self.at[d])
        return found


def read_view(request: Request, node: Described) -> View:
    """The view that an address asks for; the last two dimensions if it does not say."""
    n = len(node.shape)
    if n == 0:
        return View(node, None, None, ())
    x = integer(request, "x", n - 1, 0, n - 1)
    asked = request.query_params.get("y", "")
    y: int | None
    if n == 1 or asked == "none":
        y = None
    else:
        y = integer(request, "y", n - 2 if x != n - 2 else n - 1, 0, n - 1)
        if y == x:
            y = n - 1 if x != n - 1 else n - 2
    at = tuple(
        integer(request, f"i{d}", 0, 0, max(0, length - 1)) for d, length in enumerate(node.shape)
    )
    return View(node, x, y, at)


def look_of(request: Request) -> Look:
    """How the page that shows a picture looks."""
    width = {"narrow": NARROW, "half": HALF}.get(request.query_params.get("size", ""), WIDE)
    return Look(width, request.query_params.get("theme") == "dark")


def plan(view: View) -> Sample:
    """Which elements to read, for pictures of all widths the same.

    `InvalidInputError` where there are none, or chunks are too large.
    """
    node = view.node
    if any(length == 0 for length in node.shape):
        raise InvalidInputError("This array has no elements.", ErrorKind.UNKNOWN)
    enough = LINE_POINTS if view.y is None else MAP_POINTS
    points = [enough] * len(view.shown)
    itemsize = max(1, node.itemsize)
    # What is stored together is one request: small shards are read as a whole.
    small = node.shards is not None and math.prod(node.shards) * itemsize <= _SMALL_SHARD
    parts = node.shards if node.shards is not None and small else node.chunks
    return sample(node.shape, parts, itemsize, view.shown, points, view.at)


def read_part(parts: Parts, session: Session, view: View, taken: Sample) -> Numbers:
    """The numbers of a view, in the order of the array's dimensions, those not drawn left out.

    parts: what was read before; what is returned is kept there, and not to be changed.
    `InvalidInputError` for what cannot be drawn.
    """
    places = tuple(positions.tobytes() for positions in taken.positions)
    key = (session.snapshot_id, view.node.path, view.shown, places)
    return parts.load(key, lambda: _read(session, view, taken))


def _read(session: Session, view: View, taken: Sample) -> Numbers:
    node = view.node
    values = numbers(read_at(session, node.path, taken.positions), node.attributes)
    if values is None:
        raise InvalidInputError(
            f"Elements of type {node.data_type} are no numbers to draw.", ErrorKind.UNKNOWN
        )
    return values.reshape([len(taken.positions[d]) for d in view.shown])


def draw(
    parts: Parts, session: Session, view: View, look: Look, beside: tuple[Session, View] | None
) -> str:
    """The picture of a view; beside: another version, for which the same colours are to do."""
    taken = plan(view)
    values = read_part(parts, session, view, taken)
    extent = extent_of(values, diverging=False)
    if beside is not None:
        other = read_part(parts, *beside, plan(beside[1]))
        ends = extent, extent_of(other, diverging=False)
        if np.isfinite(other).any() and np.isfinite(values).any():
            extent = min(low for low, _ in ends), max(high for _, high in ends)
    return _drawn(session, view, look, values, taken, extent, diverging=False)


def draw_difference(
    parts: Parts, sessions: tuple[Session, Session], views: tuple[View, View], look: Look
) -> str:
    """The picture of the second minus the first of two versions, as far as both have elements."""
    shapes = [view.node.shape for view in views]
    if len(shapes[0]) != len(shapes[1]):
        raise InvalidInputError(
            "The two versions have different numbers of dimensions: there is no difference.",
            ErrorKind.UNKNOWN,
        )
    shape = tuple(map(min, *shapes)) if shapes[0] else ()
    before, after = (
        replace(
            view,
            node=replace(view.node, shape=shape),
            x=views[1].x,
            y=views[1].y,
            at=tuple(min(p, max(0, n - 1)) for p, n in zip(views[1].at, shape, strict=True)),
        )
        for view in views
    )
    plan(before)
    taken = plan(after)
    old = read_part(parts, sessions[0], before, taken)
    new = read_part(parts, sessions[1], after, taken)
    difference = new - old
    # Where both miss a number there is no difference; where one does, it is unknown.
    difference[np.isnan(new) & np.isnan(old)] = 0.0
    extent = extent_of(difference, diverging=True)
    return _drawn(sessions[1], after, look, difference, taken, extent, diverging=True)


def _drawn(
    session: Session,
    view: View,
    look: Look,
    values: Numbers,
    taken: Sample,
    extent: tuple[float, float],
    *,
    diverging: bool,
) -> str:
    what = quantity_of(view.node.name, view.node.data_type, view.node.attributes)
    if diverging:
        what = replace(what, name=f"difference of {what.name}", units=_of_difference(what))
    if view.x is None:
        text = what.text(float(values))
        raise InvalidInputError(f"The {what.name} is {text}.", ErrorKind.UNKNOWN)
    if not np.isfinite(values).any():
        raise InvalidInputError(
            f"None of the {values.size:,} elements that were looked at is a number: they were "
            "never written, or are marked as missing.",
            ErrorKind.UNKNOWN,
        )
    notes = notes_of(values, what, whole=taken.whole)
    across = _axis(session, view, view.x)
    at = taken.positions
    if view.y is None:
        places = at[view.x].tolist()
        return line_plot(values, across, places, look, what=what, notes=notes, extent=extent)
    if view.y > view.x:
        values = values.T
    return heat_map(
        values, _axis(session, view, view.y), across, (at[view.y], at[view.x]), look,
        what=what, notes=notes, extent=extent, diverging=diverging,
    )  # fmt: skip


def _of_difference(what: Quantity) -> str:
    """The units of a difference: what lies between two moments is a time."""
    return what.units.partition(" since ")[0] if what.is_time else what.units


def _axis(session: Session, view: View, d: int) -> Axis:
    node = view.node
    return read_axis(session, node.path, node.dimensions[d], d, node.shape[d], ())
