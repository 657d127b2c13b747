"""Expiration, collection and statistics: both libraries do the same to copies of a repository."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, SPECS, Library, every_spec
from tests.interop.place import Place

LARGE = 1_050_000
"""Bytes of a chunk that gets an object of its own from both libraries."""

writers = pytest.mark.parametrize("writer", [REAL, FRAZIL], ids=repr)


def edit(place: Place, library: Library, number: int, branch: str = "main") -> Any:
    """A session with some changes: a group, inline chunks, a large chunk."""
    session = place.open(library).writable_session(branch)
    root = zarr.open_group(session.store)
    if "small" not in root:
        root.create_array("small", shape=(100,), chunks=(10,), dtype="i4")
        root.create_array(
            "large", shape=(4, LARGE), chunks=(1, LARGE), dtype="u1", compressors=None
        )
    root["small"][3 * number : 3 * number + 20] = number
    root["large"][number % 4] = np.random.default_rng(number).integers(0, 255, LARGE, "u1")
    root.create_group(f"{branch}{number}")
    return session


def commit(place: Place, library: Library, number: int, branch: str = "main") -> str:
    time.sleep(0.002)
    return str(edit(place, library, number, branch).commit(f"{branch} {number}"))


def build(place: Place, writer: Library, spec: int) -> tuple[datetime, datetime]:
    """History, a tag, a lost branch, detached snapshots and leftovers; two times in it."""
    place.create(writer, spec)
    ids = [commit(place, writer, i) for i in range(5)]
    place.open(writer).create_tag("t", ids[1])
    place.open(writer).create_branch("side", ids[2])
    place.open(writer).create_branch("kept", ids[3])
    for number in (5, 6):
        commit(place, writer, number, "side")
    early = datetime.now(UTC)
    time.sleep(0.02)
    lost = edit(place, writer, 7, "side").flush("detached")
    edit(place, writer, 8).flush("detached")
    place.open(writer).delete_branch("side")
    edit(place, writer, 9)  # and never committed
    if spec == 2:
        edit(place, writer, 10).amend("amended")
    late = datetime.now(UTC)
    time.sleep(0.02)
    commit(place, writer, 11)
    assert lost not in ids
    return early, late


def objects(place: Place) -> set[tuple[str, str]]:
    folders = ("refs", "chunks", "manifests", "snapshots", "transactions")
    return {
        (folder, str(path.relative_to(place.path)))
        for folder in folders
        for path in (place.path / folder).rglob("*")
        if path.is_file()
    }


def copy_of(place: Place) -> Place:
    other = Place(place.path.with_name("copy"))
    shutil.copytree(place.path, other.path)  # with times
    return other


def counts(summary: Any) -> dict[str, int]:
    names = ("bytes", "chunks", "manifests", "snapshots", "attributes", "transaction_logs")
    return {name: getattr(summary, f"{name}_deleted") for name in names}


def notes(info: dict[str, Any]) -> Any:
    """What Frazil has written down in the metadata of the first snapshot, which goes."""
    (first,) = [one for one in info["snapshots"] if one["id"] == "1CECHNKREP0F1RSTCMT0"]
    return first["metadata"].pop("__frazil", None)


@every_spec
@writers
@pytest.mark.parametrize("when", ["early", "late", "future"])
@pytest.mark.parametrize("expired", [False, True])
def test_a_collection(place: Place, spec: int, writer: Library, when: str, expired: bool) -> None:
    early, late = build(place, writer, spec)
    cutoff = {"early": early, "late": late, "future": datetime.now(UTC) + timedelta(days=1)}[when]
    if expired:
        place.open(REAL).expire_snapshots(late)
    other = copy_of(place)
    planned = place.open(FRAZIL).garbage_collect(cutoff, dry_run=True)
    assert objects(place) == objects(other)
    ours = place.open(FRAZIL).garbage_collect(cutoff)
    theirs = other.open(REAL).garbage_collect(cutoff)
    assert counts(ours) == counts(planned) == counts(theirs)
    assert objects(place) == objects(other)
    assert ours.delete_errors == ours.skipped_phases == []
    if spec == 2:
        ours_now, theirs_now = (p.open(REAL).inspect_repo_info() for p in (place, other))
        ours_noted, _ = notes(ours_now), notes(theirs_now)
        assert ours_noted["collected_before"]  # and Icechunk carries it on
        assert ours_now["snapshots"] == theirs_now["snapshots"]
        types = [update["update_type"] for update in ours_now["latest_updates"]]
        assert types == [update["update_type"] for update in theirs_now["latest_updates"]]
    commit(place, REAL, 12)
    commit(place, FRAZIL, 13)
    place.agree()


@every_spec
@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("when", ["early", "late", "future"])
def test_an_expiration(place: Place, spec: int, when: str, flags: int) -> None:
    early, late = build(place, REAL if flags % 3 else FRAZIL, spec)
    cutoff = {"early": early, "late": late, "future": datetime.now(UTC) + timedelta(days=1)}[when]
    options = {"delete_expired_branches": bool(flags & 1), "delete_expired_tags": bool(flags & 2)}
    other = copy_of(place)
    released = place.open(FRAZIL).expire_snapshots(cutoff, **options)
    assert released == other.open(REAL).expire_snapshots(cutoff, **options)
    assert objects(place) == objects(other)
    for library in (REAL, FRAZIL):
        repo, same = place.open(library), other.open(library)
        assert repo.list_branches() == same.list_branches()
        assert repo.list_tags() == same.list_tags()
        for branch in repo.list_branches():
            line = [info.id for info in repo.ancestry(branch=branch)]
            assert line == [info.id for info in same.ancestry(branch=branch)]
    if spec == 2:
        ours, theirs = (p.open(REAL).inspect_repo_info() for p in (place, other))
        assert ours["snapshots"] == theirs["snapshots"]
        assert ours["deleted_tags"] == theirs["deleted_tags"]
        assert place.open(FRAZIL).diff(
            from_snapshot_id="1CECHNKREP0F1RSTCMT0", to_branch="main"
        ).new_groups >= {f"/main{i}" for i in range(5)}
    commit(place, REAL, 12)
    commit(place, FRAZIL, 13)
    place.agree()


@every_spec
def test_statistics(place: Place, spec: int) -> None:
    build(place, REAL, spec)
    ours, theirs = (place.open(lib).chunk_storage_stats() for lib in (FRAZIL, REAL))
    for name in ("native_bytes", "virtual_bytes", "inlined_bytes"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.native_bytes == (6 + (spec == 2)) * LARGE  # 0 to 4, 11, and 10 if amended


@every_spec
def test_statistics_count_every_chunk_of_a_shared_object(place: Place, spec: int) -> None:
    session = place.create(FRAZIL, spec).writable_session("main")
    data = np.random.default_rng(0).bytes(12_000)
    zarr.create_array(
        session.store, name="a", data=np.frombuffer(data, "u1"), chunks=1000, compressors=None
    )
    session.commit("one object")
    assert len(place.files("chunks")) == 1
    assert place.open(FRAZIL).chunk_storage_stats().native_bytes == 12_000
    assert place.open(REAL).chunk_storage_stats().native_bytes < 12_000


def test_virtual_bytes(place: Place) -> None:
    icechunk = REAL.module
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        icechunk.VirtualChunkContainer("s3://b/", icechunk.s3_store(region="us-east-1"))
    )
    session = place.create(REAL, SPECS[-1], config).writable_session("main")
    zarr.create_array(session.store, name="a", shape=(6,), chunks=(1,), dtype="u1")
    specs = [("x", 0, 10), ("x", 0, 10), ("x", 5, 10), ("y", 0, 10), ("x", 0, 11)]
    for i, (name, offset, length) in enumerate(specs):
        session.store.set_virtual_ref(f"a/c/{i}", f"s3://b/{name}", offset=offset, length=length)
    session.commit("virtual")
    for library in (FRAZIL, REAL):
        assert place.open(library).chunk_storage_stats().virtual_bytes == 41
