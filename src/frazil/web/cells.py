"""Elements that are no numbers to draw, as a table: texts, bytes, structures; and single values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from frazil.errors import ErrorKind, InvalidInputError
from frazil.session import Session
from frazil.web.pictures import View
from frazil.web.sampling import BYTES
from frazil.web.values import read_at

ROWS, COLUMNS, CHARACTERS = 40, 8, 200
"""As much is shown: rows, columns, and characters of an element."""
_ASSUMED = 64
"""Bytes of an element whose type does not say how many it has."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Elements as text: titles of the columns, and rows with their number; whole: all there are."""

    titles: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    whole: bool


def read_cells(session: Session, view: View) -> Cells:
    """The first elements of what a view shows; reads the chunks that they are in.

    `InvalidInputError` for chunks that are too large to read one, else the errors of reading.
    """
    node = view.node
    positions = [np.array([at], np.int64) for at in view.at]
    few = {view.x: ROWS if view.y is None else COLUMNS, view.y: ROWS}
    chunk = node.itemsize or _ASSUMED
    for d in view.shown:
        positions[d] = np.arange(min(few[d], node.shape[d]), dtype=np.int64)
    for length in node.chunks:
        chunk *= length
    if chunk > BYTES:
        raise InvalidInputError(
            f"One chunk of this array has about {chunk:,} bytes: too many to read for a table.",
            ErrorKind.UNKNOWN,
        )
    if not all(node.shape):
        return Cells((), (), True)
    values = read_at(session, node.path, positions)
    if view.y is None or view.x is None:
        table = values.reshape(-1, 1)
    else:
        table = values.reshape(len(positions[min(view.shown)]), -1)
        table = table.T if view.y > view.x else table
    columns = positions[view.x].tolist() if view.y is not None and view.x is not None else []
    rows = tuple((n, tuple(map(_written, row))) for n, row in enumerate(table))
    whole = all(len(positions[d]) == node.shape[d] for d in view.shown)
    return Cells(tuple(map(str, columns)), rows, whole)


def _written(value: Any) -> str:
    if isinstance(value, np.void):
        value = value.item()
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    elif isinstance(value, bytes | np.bytes_):
        text = str(bytes(value))
    elif isinstance(value, float | np.floating):
        text = f"{value:.10g}"
    else:
        text = str(value)
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
