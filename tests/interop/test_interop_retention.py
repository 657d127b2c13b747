"""The real icechunk goes on in histories that a policy has thinned out."""

from __future__ import annotations

import pytest

from tests.interop.libraries import FRAZIL, REAL, every_spec
from tests.interop.place import Place
from tests.interop.test_interop_maintenance import ROOT, collect, grow
from tests.interop.view import history, plain_diff


@every_spec
@pytest.mark.parametrize("collected", [False, True])
def test_thinned_history(place: Place, spec: int, collected: bool) -> None:
    place.create(FRAZIL, spec)
    ids = grow(place, 8, (REAL, FRAZIL))
    ours = place.open(FRAZIL)
    ours.create_tag("two", ids[2])
    ours.create_tag("four", ids[4])
    span = {"from_snapshot_id": ids[2], "to_snapshot_id": ids[7]}
    before = plain_diff(place.open(REAL).diff(**span))
    ours.apply_retention("last 2")
    if collected:
        collect(place)
    for repo in (place.open(REAL), place.open(FRAZIL)):
        line = [info.id for info in repo.ancestry(branch="main")]
        assert line == [ids[7], ids[6], ids[4], ids[2], ROOT]
        assert set(history(repo)) == {*line}
        if spec == 2:
            assert plain_diff(repo.diff(**span)) == before
    place.check()
    grow(place, 4, (REAL, FRAZIL), start=8)
    ours.apply_retention("last 3")
    place.check()
    assert place.open(FRAZIL).verify("data").is_healthy
