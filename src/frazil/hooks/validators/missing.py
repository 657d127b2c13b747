"""A validator of how much is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.findings import HookFinding
from frazil.hooks.event import HookEvent
from frazil.hooks.validators.options import Validator, require, texts
from frazil.hooks.validators.selecting import matches
from frazil.nodes import attribute_number

_FILLS = ("_FillValue", "missing_value")
_ELEMENTS_AT_A_TIME = 1 << 22


def missing_values(*, arrays: Sequence[str] = ("*",), at_most: float = 0.0) -> Validator:
    """Refuse arrays of which a larger share than `at_most`, from 0 to 1, is missing.

        missing_values(arrays=["/t2m"], at_most=0.05)

    Missing is what is NaN or NaT, or one of the attributes `_FillValue` and `missing_value`. What
    counts are the chunks that are written, not those that were there before: all that there are,
    where a hook runs on request. Chunks that hold nothing are not read and count as missing only
    if the array's fill value does. arrays: paths, or patterns such as `/ocean/*`.
    """
    names = texts(arrays, "missing-values", "arrays")
    share_is_known = isinstance(at_most, (int, float)) and 0 <= at_most < 1
    require(share_is_known, "missing-values", "at_most is a share of 0 and more, below 1")

    def validate(event: HookEvent) -> Iterator[HookFinding]:
        for path in event.changed_arrays():
            if not matches(path, names):
                continue
            array: Any = event.tree[path]
            missing = elements = 0
            for region in _regions(array, _written(event, path)):
                values = np.asarray(array[region])
                missing += _count(values, array.attrs)
                elements += values.size
            if elements and missing / elements > at_most:
                text = (
                    f"{missing:,} of {elements:,} values that are written are missing, "
                    f"{missing / elements:.2%}, and at most {at_most:.2%} may be"
                )
                yield HookFinding(text, path)

    return validate


def _written(event: HookEvent, path: str) -> npt.NDArray[np.uint32] | None:
    """The coordinates of the chunks that an event writes; None for all."""
    if event.changes is None:
        return None
    chunks = event.changes._chunks.get(path)
    return np.zeros((0, 0), np.uint32) if chunks is None else chunks


def _regions(array: Any, written: npt.NDArray[np.uint32] | None) -> Iterator[tuple[slice, ...]]:
    """Regions of an array that cover the chunks, and nothing else, in stretches of several."""
    sizes, steps = array.shape, array.shards or array.chunks
    if not sizes:
        yield ()
        return
    grid = tuple(-(-size // step) for size, step in zip(sizes, steps, strict=True))
    if written is None:
        written = np.indices(grid, np.uint32).reshape(len(grid), -1).T
    chunks = written[(written < np.array(grid, np.uint32)).all(1)] if written.size else written[:0]
    if not len(chunks):
        return
    along = int(np.argmax([len(np.unique(column)) for column in chunks.T]))
    most = max(1, _ELEMENTS_AT_A_TIME // int(np.prod(steps)))
    others = [axis for axis in range(len(sizes)) if axis != along]
    rows = chunks[np.lexsort([chunks[:, axis] for axis in (along, *others)])].tolist()
    start = 0
    for i in range(1, len(rows) + 1):
        goes_on = i < len(rows) and i - start < most and _is_next(rows[i - 1], rows[i], along)
        if not goes_on:
            yield tuple(
                slice(first * step, min((last + 1) * step, size))
                for first, last, step, size in zip(
                    rows[start], rows[i - 1], steps, sizes, strict=True
                )
            )
            start = i


def _is_next(one: list[int], other: list[int], along: int) -> bool:
    return all(b - a == (axis == along) for axis, (a, b) in enumerate(zip(one, other, strict=True)))


def _count(values: npt.NDArray[Any], attributes: Any) -> int:
    """How many values are missing."""
    found = np.zeros(values.shape, np.bool_)
    if values.dtype.kind in "fc":
        found |= np.isnan(values)
    elif values.dtype.kind in "mM":
        found |= np.isnat(values)
    for name in _FILLS:
        fill = attribute_number(attributes.get(name))
        if fill is not None and values.dtype.kind in "iuf":
            with np.errstate(over="ignore"):  # of a type that has fewer digits
                found |= values == fill
    return int(np.count_nonzero(found))
