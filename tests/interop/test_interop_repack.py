"""The real library in repacked repositories: it reads, commits, collects; and its own, repacked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from tests.interop.libraries import FRAZIL, LIBRARIES, REAL, SPECS, Library
from tests.interop.place import Place

SIZE = 900
"""Numbers in a chunk: too many for a manifest."""


@pytest.fixture(params=[(n, s) for n in LIBRARIES for s in SPECS], ids=str)
def written(place: Place, request: pytest.FixtureRequest) -> Place:
    """Four commits, each of which changes two of eight chunks of two arrays, and a tag."""
    name, spec = request.param
    library = LIBRARIES[name]
    config = None
    if library is FRAZIL:
        config = frazil.RepositoryConfig()
        config.packs = frazil.PackConfig.off()
    repo = place.create(library, spec, config)
    for i in range(4):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for array in ("a", "b"):
            there = root.require_array(
                array, shape=(8 * SIZE,), chunks=(SIZE,), dtype="i4", compressors=None
            )
            there[2 * i * SIZE :] = numbers(i)[2 * i * SIZE :]
        session.commit(f"commit {i}")
        if i == 1:
            repo.create_tag("second", repo.lookup_branch("main"))
    return place


def numbers(i: int) -> Any:
    return (i + 1) * np.arange(8 * SIZE, dtype="i4")


def check(place: Place, library: Library) -> None:
    """The newest version, and the one that is tagged."""
    for where, last in (({"branch": "main"}, 3), ({"tag": "second"}, 1)):
        root = zarr.open_group(place.open(library).readonly_session(**where).store, mode="r")
        for name in ("a", "b"):
            found = root[name][:]
            for i in range(4):
                part = slice(2 * i * SIZE, 2 * (i + 1) * SIZE)
                np.testing.assert_array_equal(found[part], numbers(min(i, last))[part])


@pytest.mark.parametrize("history", [False, True])
def test_both_libraries_go_on(written: Place, history: bool) -> None:
    done = written.open(FRAZIL).repack(history=history, together=["/a"])
    assert done.objects_after < done.objects_before
    assert (done.snapshots_rewritten > 0) == history
    for library in (REAL, FRAZIL):
        check(written, library)
    written.agree()
    future = datetime.now(UTC) + timedelta(days=1)
    collected = written.open(REAL).garbage_collect(future)
    assert (collected.chunks_deleted > 0) == history
    written.check()
    for number, library in enumerate((REAL, FRAZIL)):
        session = written.open(library).writable_session("main")
        zarr.open_group(session.store)["a"][0] = number + 40
        session.commit(f"of {library}")
    for library in (REAL, FRAZIL):
        root = zarr.open_group(written.open(library).readonly_session("main").store, mode="r")
        assert root["a"][0] == 41
        np.testing.assert_array_equal(root["b"][6 * SIZE :], numbers(3)[6 * SIZE :])
    written.open(REAL).garbage_collect(future)
    written.open(FRAZIL).garbage_collect(future)
    written.check()
    assert written.open(FRAZIL).verify("data").is_healthy


def test_a_session_of_the_real_library_from_before_rebases(written: Place) -> None:
    session = written.open(REAL).writable_session("main")
    zarr.open_group(session.store)["a"][: 2 * SIZE] = 5
    written.open(FRAZIL).repack(history=True)
    session.commit("from before", rebase_with=REAL.module.ConflictDetector())
    for library in (REAL, FRAZIL):
        root = zarr.open_group(written.open(library).readonly_session("main").store, mode="r")
        assert (root["a"][: 2 * SIZE] == 5).all()
        np.testing.assert_array_equal(root["a"][6 * SIZE :], numbers(3)[6 * SIZE :])
    written.check()


def test_after_the_real_library_has_expired_what_is_old(written: Place) -> None:
    written.open(FRAZIL).repack(history=True)
    future = datetime.now(UTC) + timedelta(days=1)
    assert written.open(REAL).expire_snapshots(future)
    written.open(REAL).garbage_collect(future)
    for library in (REAL, FRAZIL):
        check(written, library)
    written.open(FRAZIL).repack(history=True)
    for library in (REAL, FRAZIL):
        check(written, library)
    written.check()


@pytest.mark.skipif(2 not in SPECS, reason="the library that is here knows format 1 only")
def test_a_session_notices_a_collection_by_the_real_library(place: Place) -> None:
    """Its base refers to other manifests by then, and those that it knows are gone."""
    place.create(FRAZIL, 2)
    for i in range(2):
        session = place.open(FRAZIL).writable_session("main")
        root: Any = zarr.open_group(session.store)
        array = root.require_array("a", shape=(8 * SIZE,), chunks=(SIZE,), dtype="i4")
        array[:] = numbers(i)
        base = session.commit(f"commit {i}")
    session = place.open(FRAZIL).writable_session("main")
    root = zarr.open_group(session.store)
    assert root["a"][1] == 2
    root.attrs["edited"] = True
    other = place.open(FRAZIL).writable_session("main")
    zarr.open_group(other.store).attrs["meanwhile"] = True
    other.commit("meanwhile")
    assert place.open(FRAZIL).repack(history=True, smaller_than=1 << 20).snapshots_rewritten
    gone = place.open(REAL).garbage_collect(datetime.now(UTC) + timedelta(days=1))
    assert gone.manifests_deleted
    place.open(REAL).reset_branch("main", base)
    session.commit("from before")
    for library in (FRAZIL, REAL):
        root = zarr.open_group(place.open(library).readonly_session("main").store, mode="r")
        assert root.attrs["edited"]
        np.testing.assert_array_equal(root["a"][:], numbers(1))
    assert place.open(FRAZIL).verify("data").is_healthy
