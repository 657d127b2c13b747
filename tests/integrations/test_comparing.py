"""How far the values of two versions are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil.comparing import ValueChanges, value_changes


def compared(before: Any, after: Any) -> ValueChanges:
    """The comparison of an array whose values are replaced by those of `after`, all of them."""
    repo = frazil.Repository.create(frazil.in_memory_storage())
    old, new = np.asarray(before), np.asarray(after)
    with repo.transaction("main", message="before") as store:
        chunks = tuple(min(2, n) for n in old.shape)
        array = zarr.create_array(store, name="x", shape=old.shape, chunks=chunks, dtype=old.dtype)
        array[...] = old
    with repo.transaction("main", message="after") as store:
        array = zarr.open_array(store, path="x")
        if old.shape != new.shape:
            array.resize(new.shape)
        array[...] = new
    ids = [repo.resolve("main~1"), repo.resolve("main")]
    diff = repo.diff(from_snapshot_id=ids[0], to_snapshot_id=ids[1])
    sessions = [repo.readonly_session(snapshot_id=id_) for id_ in ids]
    (found,) = value_changes(*sessions, diff)
    return found


def numbers(found: ValueChanges) -> tuple[float | None, ...]:
    return found.smallest, found.largest, found.mean, found.rms


def test_numbers() -> None:
    found = compared([1.0, 2.0, np.nan, 4.0, np.nan], [1.0, 5.0, np.nan, 3.0, 1.0])
    assert (found.path, found.elements, found.changed) == ("/x", 5, 3)
    assert numbers(found) == (-1.0, 3.0, 1.0, pytest.approx(5**0.5))


def test_unsigned_numbers_do_not_wrap() -> None:
    found = compared(np.array([5, 7], "u1"), np.array([4, 9], "u1"))
    assert (found.smallest, found.largest) == (-1.0, 2.0)


def test_what_only_one_version_has_is_not_compared() -> None:
    longer = compared(np.arange(5), np.arange(1, 10))
    assert (longer.before_shape, longer.after_shape) == ((5,), (9,))
    assert (longer.elements, longer.changed) == (5, 5)
    shorter = compared(np.arange(1, 10), np.arange(5))
    assert (shorter.elements, shorter.mean) == (5, -1.0)


def test_a_single_value() -> None:
    found = compared(1.5, 2.0)
    assert (found.elements, found.changed, found.mean) == (1, 1, 0.5)


def test_values_that_are_no_numbers() -> None:
    times = np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[s]")
    later = np.array(["2024-01-01", "NaT", "2024-01-04"], "M8[s]")
    found = compared(times, later)
    assert (found.elements, found.changed) == (3, 1)
    assert numbers(found) == (None,) * 4


def test_nothing_finite() -> None:
    found = compared([1.0, np.inf], [np.inf, 1.0])
    assert found.changed == 2
    assert numbers(found) == (None,) * 4
