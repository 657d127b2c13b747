"""The real icechunk carries along what Frazil writes down about a repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import zarr

from tests.interop.libraries import FRAZIL, REAL, every_spec
from tests.interop.place import Place
from tests.interop.test_interop_maintenance import collect, expire, grow


@every_spec
def test_the_id_outlives_all_that_it_does(place: Place, spec: int) -> None:
    id_ = place.create(FRAZIL, spec).id
    place.open(FRAZIL)._core.catalog.change_notes(lambda notes: {**notes, "more": [1, "two"]})
    grow(place, 3, (REAL, REAL))
    real = place.open(REAL)
    real.save_config()
    real.create_tag("tag", real.lookup_branch("main"))
    if spec == 2:
        real.set_metadata({"mine": 1})
        session = real.writable_session("main")
        zarr.open_group(session.store).create_group("amended")
        session.amend("amended")
    expire(place)
    collect(place)
    core = place.open(FRAZIL)._core
    assert core.catalog.identity() == id_
    assert core.catalog.notes()["more"] == [1, "two"]
    place.check()
    if spec == 1 and hasattr(REAL.module, "upgrade_icechunk_repository"):
        REAL.module.upgrade_icechunk_repository(place.open(REAL), dry_run=False)
        assert place.open(FRAZIL).id == id_


@every_spec
def test_one_that_it_made_has_an_id(place: Place, spec: int) -> None:
    place.create(REAL, spec)
    before = place.open(FRAZIL).id
    grow(place, 2, (FRAZIL, REAL))
    place.open(FRAZIL).expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    assert place.open(FRAZIL).id == before
    assert before.version == 5
