"""The real library in repositories with checksums: it reads, changes, merges and collects them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from frazil.errors import FormatError
from frazil.format.manifest import decode_manifest
from tests.interop.libraries import FRAZIL, REAL, SPECS
from tests.interop.place import Place


@pytest.fixture(params=SPECS)
def packed(place: Place, request: pytest.FixtureRequest) -> Place:
    """An array with large and small chunks, in packs and alone, and an older version of it."""
    repo = place.create(FRAZIL, request.param)
    for value in (1, 2):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for name, size in (("small", 300), ("large", 300_000)):
            array = root.require_array(
                name, shape=(8 * size,), chunks=(size,), dtype="i4", compressors=None
            )
            array[:] = value * np.arange(8 * size)
        session.commit(f"times {value}")
    return place


def check(place: Place, library: Any, value: int = 2) -> None:
    root = zarr.open_group(place.open(library).readonly_session("main").store, mode="r")
    for name in ("small", "large"):
        array = root[name]
        assert np.array_equal(array[:], value * np.arange(array.size))


def known(place: Place) -> list[int]:
    """How many references of each manifest file carry a checksum."""
    counts = []
    for name, data in place.files("manifests").items():
        refs = decode_manifest(data, where=name).arrays.values()
        counts += [0 if r.checksum is None else int((r.checksum != 0).sum()) for r in refs]
    return sorted(counts)


def test_the_real_library_works_on(packed: Place) -> None:
    assert set(known(packed)) == {8}
    check(packed, REAL)
    session = packed.open(REAL).writable_session("main")
    root = zarr.open_group(session.store)
    root["small"][:300] = 7
    session.commit("of the real library")
    # What it writes anew has no checksums any more, and is read all the same.
    assert 0 in known(packed)
    session = packed.open(FRAZIL).writable_session("main")
    zarr.open_group(session.store)["small"][:] = 2 * np.arange(2400)
    session.commit("and back")
    for library in (REAL, FRAZIL):
        check(packed, library)
    repo = packed.open(REAL)
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
    for library in (REAL, FRAZIL):
        check(packed, library)


def test_damage_that_the_real_library_does_not_notice(packed: Place) -> None:
    for name, content in packed.files("chunks").items():
        data = bytearray(content)
        data[5] ^= 1
        (packed.path / "chunks" / name).write_bytes(data)
    with pytest.raises(AssertionError):
        check(packed, REAL)
    with pytest.raises(FormatError, match="is damaged"):
        check(packed, FRAZIL)
