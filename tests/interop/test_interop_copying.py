"""A copy that Frazil made of what either library wrote is one that both can use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.libraries import FRAZIL, LIBRARIES, Library, every_spec, needs_spec_2
from tests.interop.place import Place
from tests.interop.test_interop_maintenance import grow
from tests.interop.view import history

every_library = pytest.mark.parametrize("writer", LIBRARIES.values(), ids=LIBRARIES)


@every_spec
@every_library
def test_whole_copies(place: Place, spec: int, writer: Library, tmp_path: Path) -> None:
    place.create(writer, spec)
    grow(place, 5, (writer, writer))
    repo = place.open(writer)
    ids = [info.id for info in repo.ancestry(branch="main")]
    repo.create_branch("dev", ids[2])
    repo.create_tag("v1", ids[1])
    copy = Place(tmp_path / "copy")
    place.open(FRAZIL).clone_to(FRAZIL.storage(copy.path))
    copy.check()
    assert history(copy.open(writer)).keys() == history(repo).keys()
    grow(place, 2, (writer, writer), start=5)
    place.open(FRAZIL).sync_to(FRAZIL.storage(copy.path))
    copy.check()
    grow(copy, 2, (writer, FRAZIL), start=7)
    copy.check()


@needs_spec_2
@every_library
def test_short_histories(place: Place, writer: Library, tmp_path: Path) -> None:
    place.create(writer, 2)
    grow(place, 6, (writer, writer))
    copy = Place(tmp_path / "copy")
    place.open(FRAZIL).clone_to(FRAZIL.storage(copy.path), depth=3)
    copy.check()
    assert len(history(copy.open(writer))) == 4
