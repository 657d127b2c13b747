"""What a collection would delete, by kind, array and month."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import zarr

import frazil
from frazil import Repository
from frazil.engine.collection.report import _by_month
from frazil.model.sweep import Objects
from tests.scenario.places import everywhere

BYTES = 600_000


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def write(repo: Repository, message: str, *names: str, chunks: int = BYTES) -> str:
    session = repo.writable_session("main")
    for name in names:
        zarr.create_array(
            session.store,
            name=name,
            data=np.ones(BYTES, "u1"),
            chunks=chunks,
            compressors=None,
            overwrite=True,
        )
    return session.commit(message)


def shares(found: dict[str, Any]) -> dict[str, int]:
    return {key: share.objects for key, share in found.items()}


@everywhere
def test_by_kind_array_and_month(repo: Repository, spec: int) -> None:
    config = frazil.RepositoryConfig()
    config.packs = frazil.PackConfig.off()
    repo = repo.reopen(config)
    first = write(repo, "first", "a", "g/b")
    write(repo, "second", "a", "c")
    base = write(repo, "third", "a")
    repo.create_branch("side", base)
    repo.reset_branch("main", first)
    repo.delete_branch("side")
    lost = repo.writable_session("main")
    zarr.create_array(
        lost.store, name="x", data=np.ones(2 * BYTES, "u1"), chunks=2 * BYTES, compressors=None
    )
    lost.discard_changes()

    report = repo.garbage_report(future())
    planned = repo.garbage_collect(future(), dry_run=True)
    assert report.summary == planned
    assert report.total.bytes == planned.bytes_deleted
    expected = {"/a": 2, "/c": 1, "": 1}
    assert shares(report.by_array) == expected
    assert list(report.by_array) == ["/a", "", "/c"]
    assert report.by_array["/c"].bytes >= BYTES
    (month,) = report.by_month
    assert month == f"{datetime.now(UTC):%Y-%m}"
    assert report.by_month[month] == report.total
    document = json.loads(json.dumps(report.to_dict()))
    assert document["by_array"]["/a"]["objects"] == 2
    assert document["objects"] == report.total.objects
    assert "/a: 2 objects" in str(report)
    assert "(no array): 1 objects" in str(report)
    assert repo.garbage_collect(future()) == planned
    assert repo.garbage_report(future()).total == (0, 0)
    assert "by_array: nothing" in str(repo.garbage_report(future()))


def test_an_object_of_several_arrays_is_of_the_one_that_has_most(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    session = repo.writable_session("main")
    for name, size in (("few", 3_000), ("many", 9_000), ("some", 6_000)):
        zarr.create_array(
            session.store, name=name, data=np.ones(size, "u1"), chunks=1_000, compressors=None
        )
    session.commit("packed")
    session = repo.writable_session("main")
    for name in ("few", "many", "some"):
        del zarr.open_group(session.store)[name]
    session.commit("deleted")
    repo.expire_snapshots(future())
    assert shares(repo.garbage_report(future()).by_array) == {"/many": 1}


def test_incremental_reports_and_old_copies(storage: frazil.Storage) -> None:
    repo = Repository.create(storage, frazil.RepositoryConfig(num_updates_per_repo_info_file=1))
    write(repo, "first", "a")
    repo.garbage_collect(future(), incremental=True)
    write(repo, "second", "a")
    repo.expire_snapshots(future())
    full, changed = repo.garbage_report(future()), repo.garbage_report(future(), incremental=True)
    assert shares(full.by_array) == shares(changed.by_array) == {"/a": 1}
    assert "backups" not in full.by_kind
    report = repo.garbage_report(future(), keep_backups=1)
    assert report.by_kind["backups"].objects > 0
    assert report.summary == repo.garbage_collect(future(), keep_backups=1, dry_run=True)


def test_damaged_garbage_is_of_no_known_array(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    write(repo, "first", "a")
    before = {info.key for info in repo.storage.backend().list()}
    write(repo, "second", "a")
    backend = repo.storage.backend()
    second = [info.key for info in backend.list() if info.key not in before]
    write(repo, "third", "a")
    repo.expire_snapshots(future())
    for key in second:
        if key.startswith(("manifests", "snapshots")):
            backend.put(key, b"damaged")
    assert shares(repo.garbage_report(future()).by_array) == {"": 1, "/a": 1}


def test_months() -> None:
    times = ["2025-12-31T23:59:59.999999", "2026-01-01", "2026-01-31T12:00:00", "1969-12-31"]
    created = np.array(times, "M8[us]").astype(np.int64)
    objects = Objects(np.zeros(4, "S12"), np.array([1, 2, 4, 8]), created)
    assert _by_month([objects]) == {"1969-12": (1, 8), "2025-12": (1, 1), "2026-01": (2, 6)}
    assert _by_month([objects.take(slice(0))]) == {}
