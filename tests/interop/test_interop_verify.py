"""Nothing is found wrong with what the real library makes, changes, expires and collects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, SPECS
from tests.interop.place import Place


def edit(place: Place, library: Any, i: int) -> None:
    session = place.open(library).writable_session("main")
    root = zarr.open_group(session.store, mode="a")
    for name, size in (("tiny", 20), ("small", 900), ("deep/large", 300_000)):
        array = root.require_array(name, shape=(6 * size,), chunks=(size,), dtype="i4")
        array[i * size : (i + 2) * size] = np.random.default_rng(i).integers(1, 1 << 30, 2 * size)
    session.commit(f"edit {i}")


def healthy(place: Place) -> int:
    """The number of chunks without checksum; nothing is wrong."""
    report = place.open(FRAZIL).verify("data")
    assert report.is_healthy, str(report)
    return int(report.unchecked)


@pytest.mark.parametrize("spec", SPECS)
def test_repositories_of_the_real_library(place: Place, spec: int) -> None:
    repo = place.create(REAL, spec)
    for i in range(3):
        edit(place, REAL, i)
    assert healthy(place) == 12
    edit(place, FRAZIL, 3)
    edit(place, REAL, 4)
    assert healthy(place) > 0
    repo = place.open(REAL)
    repo.create_tag("t", repo.lookup_branch("main"))
    session = repo.writable_session("main")
    small = zarr.open_group(session.store)["small"]
    small.resize((1200,))
    small.resize((5400,))
    session.commit("cut, and as long as before")
    healthy(place)
    future = datetime.now(UTC) + timedelta(days=1)
    repo = place.open(REAL)
    repo.expire_snapshots(future)
    healthy(place)
    repo.garbage_collect(future)
    healthy(place)
    repo.rewrite_manifests("anew", branch="main")
    healthy(place)
    edit(place, FRAZIL, 2)
    healthy(place)
