"""Reading some elements of an array as numbers that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError, IcechunkError
from frazil.library.cache import Cache
from frazil.nodes import attribute_number
from frazil.session import Session

Numbers = npt.NDArray[np.float64]
Parts = Cache[tuple[object, ...], Numbers]
"""Numbers by what they were read from, which never changes."""


def read_at(
    session: Session, path: str, positions: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[Any]:
    """The elements of an array at these positions, at least one along each dimension.

    `FormatError` for what Zarr does not understand, else the errors of reading.
    """
    try:
        array: Any = session[path]
        if not positions:
            return np.asarray(array[()])
        return np.asarray(array.get_orthogonal_selection(tuple(map(_selection, positions))))
    except (IcechunkError, OSError):
        raise
    except Exception as error:  # Zarr and its codecs have many for documents that make no sense
        raise FormatError(
            f"Zarr cannot read {path}: {error}", ErrorKind.INVALID_ARRAY_METADATA
        ) from error


def _selection(positions: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """A slice where it is one, which is read faster."""
    first, last = int(positions[0]), int(positions[-1])
    if last - first + 1 == len(positions):
        return slice(first, last + 1)
    return positions


def numbers(values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> Numbers | None:
    """As float64, unpacked as the CF conventions (section 8.1) say, NaN where data is missing.

    None for what is no number, such as text. Of complex numbers the absolute values; times
    in seconds, moments since the epoch.
    """
    kind = values.dtype.kind
    if kind == "c":
        absolute: Numbers = np.abs(values).astype(np.float64)
        return absolute
    if kind in "mM":
        # In seconds, whatever the array counts in; in two steps, to keep parts of one.
        seconds = values.astype(f"{kind}8[s]")
        part = (values - seconds) / np.timedelta64(1, "s")
        times: Numbers = seconds.astype(np.int64) + part
        times[np.isnat(values)] = np.nan
        return times
    if kind not in "biuf":
        return None
    result = values.astype(np.float64)
    for name in ("_FillValue", "missing_value"):
        missing = attribute_number(attributes.get(name))
        if missing is not None:
            # The number may have more digits than the type of the array keeps.
            with np.errstate(over="ignore"):
                kept = np.asarray(missing).astype(values.dtype) if kind == "f" else missing
            result[values == kept] = np.nan
    factor = attribute_number(attributes.get("scale_factor"))
    offset = attribute_number(attributes.get("add_offset"))
    if factor is not None:
        result *= factor
    if offset is not None:
        result += offset
    return result
