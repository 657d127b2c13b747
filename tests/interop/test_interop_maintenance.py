"""Either library expires, collects, rewrites and migrates; the other goes on with what is left."""

from __future__ import annotations

import pickle
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import (
    FRAZIL,
    REAL,
    SPECS,
    Library,
    both_orders,
    every_spec,
    needs_spec_2,
)
from tests.interop.place import Place
from tests.interop.test_interop_history import edit
from tests.interop.view import history, operations, plain_diff, tree, view

LATER = timedelta(days=1)
ROOT = "1CECHNKREP0F1RSTCMT0"


def collect(place: Place) -> Any:
    """Remove everything unreachable, whatever its age."""
    return place.open(REAL).garbage_collect(datetime.now(UTC) + LATER)


def expire(place: Place, **options: bool) -> set[str]:
    """Expire all that is there now."""
    return place.open(REAL).expire_snapshots(datetime.now(UTC) + LATER, **options)


def grow(place: Place, count: int, turns: tuple[Library, Library], start: int = 0) -> list[str]:
    """Commits that change one array, made in turns."""
    ids = []
    for i in range(start, start + count):
        session = place.open(turns[i % 2]).writable_session("main")
        root = zarr.open_group(session.store)
        if "a" not in root:
            root.create_array("a", data=np.zeros(100, "i4"), chunks=10, compressors=None)
        root["a"][10 * (i % 10) : 10 * (i % 10) + 7] = i
        root.create_group(f"g{i}")
        ids.append(session.commit(f"commit {i}"))
    return ids


@every_spec
@both_orders
@pytest.mark.parametrize("collected", [False, True])
def test_expired_history(
    place: Place, spec: int, first: Library, second: Library, collected: bool
) -> None:
    turns = (first, second)
    place.create(first, spec)
    ids = grow(place, 6, turns)
    place.open(second).create_tag("kept", ids[2])
    place.open(first).create_branch("side", ids[3])
    edit(place.open(second), "on the side", "side")
    # In spec 1 the real library leaves expired tips alone, and all that they refer to.
    before = plain_diff(place.open(REAL).diff(from_snapshot_id=ROOT, to_branch="main"))
    released = expire(place)
    assert released
    if collected:
        collect(place)
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        line = [info.id for info in repo.ancestry(branch="main")]
        assert not released & set(line) or spec == 1
        assert len(line) < 7
        if spec == 2:
            # The logs of what is gone are kept: the whole difference stays known.
            assert line == [ids[5], ROOT]
            after = plain_diff(repo.diff(from_snapshot_id=ROOT, to_branch="main"))
            assert after == before
    place.check()
    more = grow(place, 3, turns, start=6)
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        assert [i.id for i in repo.ancestry(branch="main")][:3] == more[::-1]
        root = zarr.open_group(repo.readonly_session("main").store, mode="r")
        assert len(list(root.groups())) == 9
        if spec == 2:
            diff = repo.diff(from_snapshot_id=ROOT, to_branch="main")
            assert diff.new_groups >= {f"/g{i}" for i in range(9)}
    place.check()


@every_spec
def test_a_session_that_is_open_during_an_expiration(place: Place, spec: int) -> None:
    """Its base stays, so it commits, and rebases over what others commit."""
    place.create(FRAZIL, spec)
    grow(place, 4, (FRAZIL, REAL))
    session = place.open(FRAZIL).writable_session("main")
    zarr.open_group(session.store).create_group("mine")
    expire(place)
    collect(place)
    grow(place, 2, (REAL, FRAZIL), start=4)
    session.commit("late", rebase_with=FRAZIL.module.ConflictDetector())
    assert len(list(place.open(REAL).ancestry(branch="main"))) <= 5
    place.check()


@needs_spec_2
def test_expired_branches_and_tags(place: Place) -> None:
    place.create(FRAZIL, 2)
    ids = grow(place, 4, (FRAZIL, REAL))
    place.open(FRAZIL).create_tag("old", ids[1])
    place.open(FRAZIL).create_branch("old", ids[2])
    expire(place, delete_expired_branches=True, delete_expired_tags=True)
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        assert repo.list_tags() == set()
        assert repo.list_branches() == {"main"}
        with pytest.raises(library.module.AlreadyExistsError):
            repo.create_tag("old", ids[3])
    collect(place)
    grow(place, 2, (FRAZIL, REAL), start=4)
    place.check()


@every_spec
@pytest.mark.parametrize(
    ("age", "branches", "tags"),
    [
        (0, False, False),
        (0, True, True),
        (0, False, True),
        (2, True, False),
        (4, True, True),
        (4, False, False),
        (9, True, True),
    ],
)
def test_both_expire_alike(place: Place, spec: int, age: int, branches: bool, tags: bool) -> None:
    """The same history, expired by either library, is the same again."""
    place.create(FRAZIL, spec)
    ids = grow(place, 6, (FRAZIL, REAL))
    repo = place.open(FRAZIL)
    repo.create_tag("early", ids[1])
    repo.create_tag("late", ids[4])
    repo.create_branch("side", ids[3])
    edit(repo, "on the side", "side")
    repo.create_branch("short", ids[2])
    times = sorted(info.written_at for info in history(repo).values())
    limit = times[-age - 1] if age < len(times) else times[0] - LATER
    options = {"delete_expired_branches": branches, "delete_expired_tags": tags}

    twice = Place(place.path.with_name("by frazil"))
    shutil.copytree(place.path, twice.path)
    released = place.open(REAL).expire_snapshots(limit, **options)
    assert twice.open(FRAZIL).expire_snapshots(limit, **options) == released
    theirs, ours = view(place.open(REAL)), view(twice.open(REAL))
    for shown in (theirs, ours):
        shown.pop("operations", None)  # they happened at different times
    assert ours == theirs
    twice.check()
    collect(twice)
    grow(twice, 2, (REAL, FRAZIL), start=6)
    twice.check()


@every_spec
def test_packed_chunks_outlive_a_collection(place: Place, spec: int) -> None:
    """Many chunks share an object: it stays as long as one of them is referred to."""
    session = place.create(FRAZIL, spec).writable_session("main")
    root = zarr.create_group(session.store)
    data = np.random.default_rng(1).integers(0, 2**32, (40, 300), "u4")
    for i in range(3):
        root.create_array(f"a{i}", data=data + i, chunks=(1, 300), compressors=None)
    session.commit("packed")
    objects = place.files("chunks")
    assert len(objects) < 10  # 120 chunks
    footers = sum(map(len, objects.values())) - 3 * data.nbytes
    assert 0 < footers < 120 * 40

    for library in (REAL, FRAZIL):
        session = place.open(library).writable_session("main")
        zarr.open_group(session.store)["a0"][:39] = 7
        session.commit(f"all but one chunk, by {library}")
    expire(place)
    collect(place)
    root = zarr.open_group(place.open(REAL).readonly_session("main").store, mode="r")
    assert (root["a0"][:39] == 7).all()
    np.testing.assert_array_equal(root["a0"][39], data[39])
    for i in (1, 2):
        np.testing.assert_array_equal(root[f"a{i}"][...], data + i)
    place.check()

    session = place.open(FRAZIL).writable_session("main")
    root = zarr.open_group(session.store)
    del root["a1"], root["a2"]
    root["a0"][39] = 7
    session.commit("nothing of the pack is left")
    expire(place)
    assert collect(place).chunks_deleted
    assert not set(objects) & set(place.files("chunks"))
    place.check()


@every_spec
def test_a_collection_takes_what_discarded_sessions_leave(place: Place, spec: int) -> None:
    tip = edit(place.create(FRAZIL, spec), "one")
    kept = {folder: set(place.files(folder)) for folder in ("chunks", "manifests", "snapshots")}
    for library in (FRAZIL, REAL):
        session = place.open(library).writable_session("main")
        noise = np.random.default_rng(2).bytes(5_000_000)
        zarr.create_array(session.store, name="x", data=np.frombuffer(noise, "u1"), chunks=10_000)
        session.flush("detached") if library is FRAZIL else session.discard_changes()
    assert len(place.files("chunks")) > len(kept["chunks"])
    collect(place)
    assert {folder: set(place.files(folder)) for folder in kept} == kept
    assert place.open(FRAZIL).lookup_branch("main") == tip
    edit(place.open(FRAZIL), "two")
    place.check()


@every_spec
@pytest.mark.parametrize("expired", [False, True])
def test_both_collect_alike(place: Place, spec: int, expired: bool) -> None:
    """What one finds to be garbage is what the other does; a dry run tells both beforehand."""
    place.create(FRAZIL, spec)
    ids = grow(place, 6, (FRAZIL, REAL))
    place.open(FRAZIL).create_branch("side", ids[2])
    tip = edit(place.open(FRAZIL), "on the side", "side")
    place.open(REAL).reset_branch("side", ids[3])
    assert tip not in history(place.open(REAL))
    for library in (REAL, FRAZIL):
        session = place.open(library).writable_session("main")
        zarr.create_array(session.store, name="x", data=np.arange(3000), chunks=1500)
        session.flush("detached")
    if expired:
        expire(place)
    twice = Place(place.path.with_name("by frazil"))
    shutil.copytree(place.path, twice.path)
    limit = datetime.now(UTC) + LATER
    names = [f"{kind}_deleted" for kind in ("chunks", "manifests", "snapshots", "bytes")]
    names.append("transaction_logs_deleted")

    def counts(library: Library, at: Place, dry_run: bool) -> dict[str, int]:
        summary = at.open(library).garbage_collect(limit, dry_run=dry_run)
        return {name: getattr(summary, name) for name in names}

    planned = counts(FRAZIL, twice, True)
    assert planned == counts(REAL, place, True)
    assert counts(FRAZIL, twice, False) == planned == counts(REAL, place, False)
    assert planned["snapshots_deleted"] >= 3
    for folder in ("chunks", "manifests", "snapshots", "transactions"):
        assert set(twice.files(folder)) == set(place.files(folder)), folder
    twice.check()
    grow(twice, 2, (REAL, FRAZIL), start=6)
    twice.check()


@every_spec
@both_orders
def test_rewritten_manifests(place: Place, spec: int, first: Library, second: Library) -> None:
    """One library cuts manifests anew; the other goes on with them, also the other way cut."""
    place.create(first, spec)
    grow(place, 3, (first, second))
    before = tree(place.open(REAL).readonly_session("main"))
    place.open(first, _split(first, 3)).rewrite_manifests("cut", branch="main")
    assert tree(place.open(second).readonly_session("main")) == before
    session = place.open(second, _split(second, 2)).writable_session("main")
    zarr.open_array(session.store, path="a")[15:55] = -1
    session.commit("cut otherwise")
    place.check()
    grow(place, 2, (first, second), start=3)
    place.check()


@every_spec
def test_forks_of_the_real_library_merge(place: Place, spec: int) -> None:
    """They read and write around chunks that Frazil has packed, before and after a pickling."""
    place.create(FRAZIL, spec)
    grow(place, 3, (FRAZIL, REAL))
    session = place.open(REAL).writable_session("main")
    forks = [pickle.loads(pickle.dumps(session.fork())) for _ in range(2)]
    for i, fork in enumerate(forks):
        array = zarr.open_array(fork.store, path="a")
        assert array[20:27].tolist() == [2] * 7
        array[40 + 20 * i : 50 + 20 * i] = 100 + i
    session.merge(*forks)
    session.commit("merged")
    store = place.open(FRAZIL).readonly_session("main").store
    assert zarr.open_array(store, path="a", mode="r")[38:62:4].tolist() == [0, 100, 100, 0, 0, 0]
    grow(place, 2, (FRAZIL, REAL), start=3)
    place.check()


@needs_spec_2
@pytest.mark.parametrize("spec", [1, 2])
def test_arrays_that_the_real_library_rearranges(place: Place, spec: int) -> None:
    place.create(FRAZIL, spec)
    before = grow(place, 4, (FRAZIL, REAL))[-1]
    session = place.open(REAL).writable_session("main")
    session.shift_array("/a", (3,))
    shifted = session.commit("shifted by three chunks")
    session = place.open(REAL).writable_session("main")
    session.reindex_array("/a", lambda index: [9 - index[0]], lambda index: [9 - index[0]])
    session.commit("the other way round")
    repo = place.open(FRAZIL)
    for id_, expected in (
        (before, [0, 1, 2, 3, 0, 0, 0, 0, 0, 0]),
        (shifted, [0, 0, 0, 0, 1, 2, 3]),
    ):
        store = repo.readonly_session(snapshot_id=id_).store
        found = zarr.open_array(store, path="a", mode="r")[::10].tolist()
        assert found[: len(expected)] == expected
    store = repo.readonly_session("main").store
    assert zarr.open_array(store, path="a", mode="r")[::10].tolist()[3:6] == [3, 2, 1]
    grow(place, 2, (FRAZIL, REAL), start=4)
    place.check()


def _split(library: Library, size: int) -> Any:
    m = library.module
    sizes = {m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): size}}
    splitting = m.ManifestSplittingConfig.from_dict(sizes)
    return m.RepositoryConfig(manifest=m.ManifestConfig(splitting=splitting))


@every_spec
@both_orders
def test_a_stored_split_is_followed(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    """A change rewrites the manifests of the parts that it touches, whoever makes it."""
    session = place.create(first, spec, _split(first, 3)).writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=(12, 12), chunks=(1, 2), dtype="i4")
    array[...] = 1
    session.commit("all")  # 12 x 6 chunks in 4 x 2 parts
    assert len(place.files("manifests")) == 8
    for turn, library in enumerate((second, first, second)):
        before = set(place.files("manifests"))
        session = place.open(library).writable_session("main")
        zarr.open_array(session.store, path="a")[4 * turn, 3] = turn
        zarr.open_array(session.store, path="a")[4 * turn, 9] = turn
        session.commit(f"turn {turn}")
        assert len(set(place.files("manifests")) - before) == 2
    session = place.open(second).writable_session("main")
    zarr.open_array(session.store, path="a").append(np.full((3, 12), 9, "i4"))
    session.commit("another row of parts")
    session = place.open(first).writable_session("main")
    zarr.open_array(session.store, path="a")[:, 6:] = 0
    session.commit("a column of parts is erased")
    inspected = tree(place.open(REAL).readonly_session("main"))
    assert len([key for key in inspected if "/c/" in key]) == 15 * 3
    place.check()


@needs_spec_2
@pytest.mark.parametrize("delete", [True, False])
@both_orders
def test_migrated_repositories(place: Place, first: Library, second: Library, delete: bool) -> None:
    place.create(first, 1, _split(first, 4))
    ids = grow(place, 4, (first, second))
    repo = place.open(second)
    repo.create_tag("one", ids[0])
    repo.create_tag("gone", ids[1])
    repo.delete_tag("gone")
    repo.create_branch("side", ids[2])
    edit(repo, "on the side", "side", metadata={"n": [1, 2.5, None]})
    before = {
        id_: tree(place.open(FRAZIL).readonly_session(snapshot_id=id_))
        for id_ in history(place.open(FRAZIL))
    }
    second.module.upgrade_icechunk_repository(
        place.open(second), dry_run=False, delete_unused_v1_files=delete
    )
    repo = place.open(FRAZIL)
    assert repo.spec_version == 2
    assert repo.config.manifest == place.open(FRAZIL).fetch_config(repo.storage).manifest
    after = {id_: tree(repo.readonly_session(snapshot_id=id_)) for id_ in history(repo)}
    assert after == before
    assert next(iter(operations(repo.ops_log())))[0] == "RepoMigrated"
    with pytest.raises(FRAZIL.module.AlreadyExistsError):
        repo.create_tag("gone", ids[1])
    place.check()
    grow(place, 3, (FRAZIL, REAL), start=4)
    session = place.open(FRAZIL).writable_session("main")
    zarr.open_group(session.store).create_group("amended")
    session.amend("amended")
    place.check()
    expire(place)
    collect(place)
    grow(place, 2, (FRAZIL, REAL), start=7)
    place.check()


def test_a_copied_folder_is_the_same_repository(place: Place) -> None:
    """Nothing in a repository knows where it lies."""
    place.create(FRAZIL, SPECS[-1])
    grow(place, 2, (FRAZIL, REAL))
    other = Place(place.path.with_name("elsewhere"))
    shutil.copytree(place.path, other.path)
    grow(other, 2, (REAL, FRAZIL), start=2)
    other.check()
    place.check()


@pytest.mark.parametrize("spec", SPECS)
def test_statistics_of_what_the_real_library_wrote(place: Place, spec: int) -> None:
    repo = place.create(FRAZIL, spec)
    for number in range(3):
        session = place.open(REAL).writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        array = root.require_array("a", shape=(3000,), chunks=(1000,), dtype="i8", compressors=None)
        array[: 1000 * (number + 1)] = np.arange(1000 * (number + 1)) + number
        session.commit(f"of the real one {number}")
    found = repo.statistics(objects=True)
    assert found.by_snapshot["native"].tolist() == [0, 8000, 16000, 24000]
    assert found.by_snapshot["total"].tolist() == [0, 8000, 16000, 24000]
    assert found.by_array["newest"].tolist() == [24000]
    use = found.objects
    assert (use.objects, use.object_bytes, use.footer_bytes) == (6, 48000, 0)
