"""Nothing is found wrong with what the real library makes, changes, expires and collects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from tests.interop.libraries import FRAZIL, REAL, SPECS, needs_spec_2
from tests.interop.place import Place
from tests.interop.view import view


def edit(place: Place, library: Any, i: int) -> None:
    session = place.open(library).writable_session("main")
    root = zarr.open_group(session.store, mode="a")
    for name, size in (("tiny", 20), ("small", 900), ("deep/large", 300_000)):
        array = root.require_array(name, shape=(6 * size,), chunks=(size,), dtype="i4")
        array[i * size : (i + 2) * size] = np.random.default_rng(i).integers(1, 1 << 30, 2 * size)
    session.commit(f"edit {i}")


def healthy(place: Place) -> int:
    """The number of chunks without checksum, all of which can be decoded; nothing is wrong."""
    report = place.open(FRAZIL).verify("data")
    assert report.is_healthy, str(report)
    assert report.unchecked == 0
    return int(report.decoded)


@pytest.mark.parametrize("spec", SPECS)
def test_repositories_of_the_real_library(place: Place, spec: int) -> None:
    repo = place.create(REAL, spec)
    for i in range(3):
        edit(place, REAL, i)
    # Twelve chunks in objects; inline, the two, three and four in each manifest.
    assert healthy(place) == 12 + 9
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


@pytest.mark.parametrize("spec", SPECS)
def test_its_note_is_nothing_to_the_real_library(place: Place, spec: int) -> None:
    place.create(FRAZIL, spec)
    edit(place, FRAZIL, 0)
    repo = place.open(FRAZIL)
    report = repo.verify("data")
    edit(place, REAL, 1)
    future = datetime.now(UTC) + timedelta(days=1)
    real = place.open(REAL)
    real.expire_snapshots(future)
    real.garbage_collect(future)
    last = repo.last_verification()
    assert last is not None
    assert (last.ended_at, last.chunks) == (report.ended_at, report.chunks)
    place.check()


@needs_spec_2
def test_digests_of_manifests_are_nothing_to_the_real_library(place: Place) -> None:
    place.create(FRAZIL, 2)
    edit(place, FRAZIL, 0)

    def digests(version: str) -> list[int]:
        session = place.open(FRAZIL).readonly_session(snapshot_id=version)
        return session._workspace.base.manifests.rows["digest"].tolist()

    ours = place.open(FRAZIL).lookup_branch("main")
    assert all(digests(ours))
    # It writes the list anew: what it takes over has no digest any more.
    edit(place, REAL, 3)
    assert not any(digests(place.open(FRAZIL).lookup_branch("main")))
    assert all(digests(ours))
    place.check()
    assert healthy(place)


@needs_spec_2
def test_the_real_library_reads_what_was_repaired(place: Place) -> None:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    place.create(FRAZIL, 2, config)
    for i in range(3):
        edit(place, FRAZIL, i)
    before = place.agree()
    storage = place.open(FRAZIL).storage
    for name in place.files("manifests"):
        (place.path / "manifests" / name).unlink()
        (told,) = frazil.Repository.repair(storage, dry_run=False).manifests
        assert (told.id, told.proof) == (name, "digest")
    assert place.agree() == before
    place.check()
    edit(place, REAL, 3)
    place.check()
    # A lost chunk object that the newest version needs, given up in a commit.
    for name, data in place.files("chunks").items():
        file = place.path / "chunks" / name
        file.unlink()
        if frazil.Repository.repair(storage, drop_lost=True).dropped:
            break
        file.write_bytes(data)
    assert frazil.Repository.repair(storage, dry_run=False, drop_lost=True).dropped
    real, ours = (place.open(library).readonly_session("main") for library in (REAL, FRAZIL))
    for name in ("tiny", "small", "deep/large"):
        values = [zarr.open_array(one.store, path=name, mode="r")[:] for one in (real, ours)]
        np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("spec", SPECS)
def test_a_log_that_was_told_anew_says_the_same_to_both(place: Place, spec: int) -> None:
    place.create(REAL, spec)
    for i, library in enumerate((REAL, FRAZIL, REAL)):
        edit(place, library, i)
    if spec == 2:
        session = place.open(REAL).rearrange_session("main")
        session.move("/small", "/deep/small")
        session.commit("moved")
    before = view(place.open(REAL))["diffs"]
    ids = [info.id for info in place.open(REAL).ancestry(branch="main")][:-1]
    assert len(ids) == 2 + spec
    for id_ in ids:
        (place.path / "transactions" / id_).unlink()
    report = frazil.Repository.repair(place.open(FRAZIL).storage, dry_run=False)
    assert {one.id for one in report.logs} == set(ids)
    assert report.left == ()
    assert view(place.open(REAL))["diffs"] == before
    place.check()
