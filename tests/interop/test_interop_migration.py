"""Both libraries migrate copies of one spec 1 repository to the same spec 2 repository."""

from __future__ import annotations

import time
from typing import Any

import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, Library
from tests.interop.libraries import needs_spec_2 as _needs_spec_2
from tests.interop.place import Place
from tests.interop.test_interop_collect import copy_of, writers
from tests.interop.view import view

pytestmark = _needs_spec_2


def commit(place: Place, writer: Library, name: str, branch: str = "main") -> str:
    session = place.open(writer).writable_session(branch)
    zarr.open_group(session.store).create_group(name)
    time.sleep(0.002)
    return str(session.commit(name, {"name": [name, {"x": 1.5}]}))


def build(place: Place, writer: Library) -> None:
    repo = place.create(writer, 1)
    ids = [commit(place, writer, f"m{i}") for i in range(3)]
    repo.create_branch("b", ids[1])
    ids.append(commit(place, writer, "x0", "b"))
    repo.create_branch("aa", ids[-1])
    commit(place, writer, "x1", "b")
    commit(place, writer, "y0", "aa")
    repo.create_branch("root", "1CECHNKREP0F1RSTCMT0")
    repo.create_branch("orphan", ids[0])
    orphan = commit(place, writer, "orphan", "orphan")
    tagged = commit(place, writer, "tagged", "orphan")
    repo.reset_branch("orphan", orphan)
    lost = commit(place, writer, "lost", "orphan")
    for name, target in (("t1", ids[1]), ("t2", ids[1]), ("only", tagged), ("v 1.0", ids[2])):
        repo.create_tag(name, target)
    for name, target in (("gone", ids[2]), ("lost", lost)):
        repo.create_tag(name, target)
        repo.delete_tag(name)
    repo.delete_branch("orphan")


def upgrade(place: Place, library: Library, **options: Any) -> Any:
    return library.module.upgrade_icechunk_repository(place.open(library), **options)


def files(place: Place) -> set[str]:
    return {str(f.relative_to(place.path)) for f in place.path.rglob("*") if f.is_file()}


def info(place: Place) -> dict[str, Any]:
    """All but the time of the migration."""
    shown: dict[str, Any] = place.open(REAL).inspect_repo_info()
    shown["header"].clear()
    shown["latest_updates"][0].pop("updated_at")
    return shown


@writers
@pytest.mark.parametrize("delete", [True, False])
def test_the_same_repository(place: Place, writer: Library, delete: bool) -> None:
    build(place, writer)
    if delete:
        place.open(writer).save_config()
    other = copy_of(place)
    migrated = upgrade(place, FRAZIL, dry_run=False, delete_unused_v1_files=delete)
    upgrade(other, REAL, dry_run=False, delete_unused_v1_files=delete)
    assert info(place) == info(other)
    ours, theirs = ({f for f in files(p) if "lock" not in f} for p in (place, other))
    assert ours == theirs
    assert any(f.startswith("refs") for f in ours) is not delete
    status, same = migrated.get_status(), other.open(FRAZIL).get_status()
    assert status == same
    assert view(place.open(FRAZIL)).keys() == view(other.open(FRAZIL)).keys()
    config, same_config = (
        p.open(FRAZIL).fetch_config(FRAZIL.storage(p.path)) for p in (place, other)
    )
    assert config == same_config
    commit(place, REAL, "after")
    commit(place, FRAZIL, "that")
    place.check()


def test_a_dry_run(place: Place) -> None:
    build(place, FRAZIL)
    before = files(place)
    repo = place.open(FRAZIL)
    again = FRAZIL.module.upgrade_icechunk_repository(repo, dry_run=True)
    assert files(place) == before
    assert again.spec_version == repo.spec_version == 1
    commit(place, REAL, "still spec 1")
