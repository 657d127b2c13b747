"""The real icechunk beside Frazil's collections: incremental ones, leases, old copies."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, every_spec, needs_spec_2
from tests.interop.place import Place
from tests.interop.test_interop_history import edit
from tests.interop.test_interop_maintenance import collect, expire, grow

FOLDERS = ("snapshots", "transactions", "manifests", "chunks")


def collect_changed(place: Place) -> object:
    limit = datetime.now(UTC) + timedelta(days=1)
    return place.open(FRAZIL).garbage_collect(limit, incremental=True)


def objects(place: Place) -> dict[str, set[str]]:
    return {folder: set(place.files(folder)) for folder in FOLDERS}


@needs_spec_2
@pytest.mark.parametrize("between", [True, False])
def test_incremental_collections_of_what_both_wrote(place: Place, between: bool) -> None:
    """They delete what the real library's collection does."""
    place.create(REAL, 2)
    grow(place, 3, (REAL, FRAZIL))
    collect_changed(place)
    for start in (3, 6):
        ids = grow(place, 3, (FRAZIL, REAL), start=start)
        place.open(REAL).create_branch(f"side{start}", ids[0])
        edit(place.open(REAL), "on the side", f"side{start}")
        session = place.open(REAL).writable_session("main")
        zarr.open_group(session.store, mode="r+").attrs["amended"] = start
        session.amend("amended")
        expire(place)
        place.open(REAL).delete_branch(f"side{start}")
        if between:
            collect(place)
        twin = Place(place.path.with_name(f"twin{start}"))
        shutil.copytree(place.path, twin.path)
        collect(twin)
        collect_changed(place)
        assert objects(place) == objects(twin)
        place.check()
    grow(place, 2, (REAL, FRAZIL), start=9)
    place.check()


@every_spec
def test_a_lease_is_nothing_to_the_real_library(place: Place, spec: int) -> None:
    """It reads, commits and collects as if there was none, and leaves it alone."""
    place.create(FRAZIL, spec)
    grow(place, 3, (FRAZIL, REAL))
    with place.open(FRAZIL).lease(hours=1) as lease:
        grow(place, 2, (REAL, FRAZIL), start=3)
        expire(place)
        assert collect(place).snapshots_deleted
        assert (place.path / "frazil" / "leases" / lease.id).exists()
        place.check()


@needs_spec_2
def test_the_real_library_goes_on_where_old_copies_have_gone(place: Place) -> None:
    place.create(REAL, 2)
    few = FRAZIL.module.RepositoryConfig(num_updates_per_repo_info_file=3)
    for number in range(12):
        name = f"t{number}"
        repo = place.open(FRAZIL, few)
        repo.create_tag(name, repo.lookup_branch("main"))
    limit = datetime.now(UTC) + timedelta(days=1)
    before = len(place.files("overwritten"))
    assert place.open(FRAZIL, few).garbage_collect(limit, keep_backups=1).backups_deleted > 3
    assert len(place.files("overwritten")) < before
    grow(place, 2, (REAL, FRAZIL))
    real = place.open(REAL)
    assert len(list(real.list_tags())) == 12
    assert 6 <= len(list(place.open(FRAZIL).ops_log())) < 15
    # Its log ends, as ours, where the next piece is missing.
    assert len(list(real.ops_log())) == len(list(place.open(FRAZIL).ops_log()))
    place.check()
