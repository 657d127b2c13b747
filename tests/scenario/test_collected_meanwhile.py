"""Upkeep behind the back of a writer: what is committed refers to nothing that is gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, RepositoryConfig
from tests.scenario.upheaval import HOUR, Ground, now, singly


@pytest.fixture
def ground() -> Ground:
    return Ground(2)


def edited(repo: Repository, branch: str = "main", value: int = 7) -> frazil.Session:
    session = repo.writable_session(branch)
    root: Any = zarr.open_group(session.store)
    root["u"][:], root["v"][:]  # what the manifests say is in memory now
    root["u"][0] = value
    root["v"].attrs["edited"] = value
    return session


def check(ground: Ground, value: int = 7) -> None:
    found = ground.check()
    np.testing.assert_array_equal(found["u"][:, 0], [value, *[2] * 7])
    np.testing.assert_array_equal(found["v"], 12)


@pytest.mark.parametrize("how", ["commit", "amend", "anew", "fork", "merge"])
def test_a_session_from_before(ground: Ground, how: str) -> None:
    """Its base has other manifests by now, and those that it knows are gone."""
    session = edited(ground.open())
    fork = session.fork() if how == "fork" else None
    ground.upheaval()
    match how:
        case "commit":
            session.commit("from before")
        case "amend":
            session.amend("from before")
        case "anew":
            session.commit("from before", rebase_with=frazil.ConflictDetector())
        case "fork":
            assert fork is not None
            array: Any = zarr.open_group(fork.store)["u"]
            array[0] = 8
            session.merge(fork)
            session.commit("from before")
            check(ground, 8)
            return
        case "merge":
            other = session.fork()
            array = zarr.open_group(other.store)["u"]
            array[0] = 8
            session.merge(other)
            session.commit("from before")
            check(ground, 8)
            return
    check(ground)


def test_a_session_from_before_that_is_flushed(ground: Ground) -> None:
    session = edited(ground.open())
    ground.commit()
    ground.open().repack(history=True)
    ground.collect()
    id_ = session.flush("from before")
    repo = ground.open()
    repo.create_branch("flushed", id_)
    found = ground.check("flushed")
    np.testing.assert_array_equal(found["u"][:, 0], [7, *[2] * 7])


def test_a_flushed_session_is_taken_up_again(ground: Ground) -> None:
    id_ = edited(ground.open()).flush("later")
    resumed = ground.open().resume_session("main", id_)
    ground.upheaval()
    resumed.commit("from before")
    check(ground)


@pytest.mark.parametrize("operation", ["put", "fetch"])
def test_a_collection_in_the_middle_of_a_commit(ground: Ground, operation: str) -> None:
    """While files are stored, or in the moment before the branch moves."""
    session = edited(ground.open())
    start = "snapshots/" if operation == "put" else "repo"
    done = ground.backend.once(operation, start, ground.upheaval)
    session.commit("from before")
    assert done
    check(ground)


def test_sessions_that_nobody_disturbs_ask_for_nothing_more(ground: Ground) -> None:
    asked: list[tuple[str, str]] = []
    session = edited(ground.open())
    ground.backend.before = lambda operation, key: asked.append((operation, key.partition("/")[0]))
    session.commit("alone")
    assert ("fetch", "snapshots") not in asked
    assert ("info", "chunks") not in asked


def test_a_collection_that_touches_nothing_of_it(ground: Ground) -> None:
    session = edited(ground.open())
    ground.collect()
    session.commit("from before")
    check(ground)


def edited_long_ago(ground: Ground) -> frazil.Session:
    """A session whose chunks are stored, and older than any collection spares."""
    session = edited(ground.open())
    session._workspace.writer.flush()  # type: ignore[union-attr]
    ground.backend.grow_old()
    return session


def test_what_a_session_stored_is_gone(ground: Ground) -> None:
    """It was older than the collection was told to spare: a computer that was asleep, say."""
    session = edited_long_ago(ground)
    assert ground.collect().chunks_deleted == 1
    for _ in range(2):  # and it stays an error
        with pytest.raises(frazil.ConflictError, match="has deleted 1 of 1 objects") as caught:
            session.commit("lost")
        assert caught.value.kind == "repo-info-updated"
    with pytest.raises(frazil.ConflictError, match="write them again"):
        session.flush("lost")
    assert ground.is_as_before()
    ground.check()
    session.discard_changes()
    array: Any = zarr.open_group(session.store)["u"]
    array[0] = 7
    session.commit("again")
    check(ground)


def test_what_a_session_stored_is_about_to_go(ground: Ground) -> None:
    """The collection has begun to delete, and not come so far."""
    session = edited_long_ago(ground)
    caught: list[frazil.ConflictError] = []

    def commit() -> None:
        with pytest.raises(frazil.ConflictError, match="or is about to") as error:
            session.commit("about to be lost")
        caught.append(error.value)

    done = ground.backend.once("delete", "chunks", commit)
    assert ground.collect().chunks_deleted == 1
    assert done
    assert caught[0].kind == "repo-info-updated"
    assert ground.is_as_before()
    ground.check()


def test_old_chunks_that_a_version_keeps(ground: Ground) -> None:
    """What a session takes over of its base is as old as that."""
    session = ground.open().writable_session("main")
    array: Any = zarr.open_group(session.store)["u"]
    session.shift_array("/u", (2, 0))
    array[:2] = 7
    ground.collect()
    session.commit("shifted")
    np.testing.assert_array_equal(ground.check()["u"][:, 0], [7, 7, *[2] * 6])


def test_old_chunks_that_no_version_keeps(ground: Ground) -> None:
    session = ground.open().writable_session("main")
    session.shift_array("/u", (2, 0))
    ground.upheaval()
    with pytest.raises(frazil.ConflictError, match="took over"):
        session.commit("shifted")
    assert ground.is_as_before()
    ground.check()


def other_branch(ground: Ground) -> str:
    """A commit on a branch `side`."""
    repo = ground.open()
    repo.create_branch("side", repo.lookup_branch("main"))
    session = repo.writable_session("side")
    array: Any = zarr.open_group(session.store)["u"]
    array[0] = 7
    id_ = session.commit("aside")
    ground.backend.grow_old()
    return id_


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("how", ["merge", "pick", "revert"])
def test_a_merge_begins_anew(ground: Ground, how: str, ahead: bool) -> None:
    id_ = other_branch(ground)
    if ahead:
        ground.commit("ahead")
    repo = ground.open()

    def meanwhile() -> None:
        ground.upheaval("side")

    done = ground.backend.once("put", "snapshots/", meanwhile)
    match how:
        case "merge":
            repo.merge("side", "main", fast_forward=False)
        case "pick":
            repo.cherry_pick(id_, "main")
        case "revert":
            repo.revert(id_, "side")
    assert done
    ground.backend.before = lambda operation, key: None
    found = ground.check("side" if how == "revert" else "main")
    np.testing.assert_array_equal(found["u"][:, 0], [2 if how == "revert" else 7, *[2] * 7])


@pytest.mark.parametrize("how", ["pick", "merge"])
def test_what_is_to_be_merged_is_gone(ground: Ground, how: str) -> None:
    id_ = other_branch(ground)
    ground.commit("ahead")
    repo = ground.open()

    def meanwhile() -> None:
        ground.open().delete_branch("side")
        ground.backend.grow_old()
        assert ground.collect().snapshots_deleted >= 1

    done = ground.backend.once("put", "snapshots/", meanwhile)
    with pytest.raises(frazil.errors.SnapshotNotFoundError, match=id_):
        repo.cherry_pick(id_, "main") if how == "pick" else repo.merge("side", "main")
    assert done
    assert [info.message for info in repo.ancestry(branch="main")][:2] == ["ahead", "commit 1"]
    ground.check()


@pytest.mark.parametrize("how", ["manifests", "amended manifests", "squash"])
def test_upkeep_of_a_branch(ground: Ground, how: str) -> None:
    ground.commit("one"), ground.commit("two")
    ground.backend.grow_old()
    config = singly()
    cut = frazil.ManifestSplittingConfig.from_dict(
        {
            frazil.ManifestSplitCondition.path_matches("u"): {
                frazil.ManifestSplitDimCondition.Any(): 4
            }
        }
    )
    config.manifest = frazil.ManifestConfig(splitting=cut)
    repo = Repository.open(ground.storage, config)
    first = [info.id for info in repo.ancestry(branch="main")][2]
    done = ground.backend.once("put", "snapshots/", ground.upheaval)
    match how:
        case "manifests":
            repo.rewrite_manifests("cut", branch="main")
        case "amended manifests":
            repo.rewrite_manifests("cut", branch="main", commit_method="amend")
        case "squash":
            with pytest.raises(frazil.ConflictError, match="collected garbage") as caught:
                repo.squash("main", first, "one for two")
            assert caught.value.kind == "repo-info-updated"
            repo.squash("main", first, "one for two")
    assert done
    np.testing.assert_array_equal(ground.check()["u"], 2)


def test_a_base_that_is_gone(ground: Ground) -> None:
    repo = ground.open()
    session = edited(repo)
    ground.commit()
    ground.open().expire_snapshots(now() + HOUR)
    ground.collect()
    with pytest.raises(frazil.errors.SnapshotNotFoundError, match="on which this session is based"):
        session.flush("on nothing")
    ground.check()


def test_the_log_of_operations_is_short(ground: Ground) -> None:
    """It may not reach back to when the session began."""
    config = RepositoryConfig(inline_chunk_threshold_bytes=0, num_updates_per_repo_info_file=1)
    session = edited(ground.open())
    short = Repository.open(ground.storage, config)
    ground.upheaval()
    for name in "abc":
        short.create_tag(name, short.lookup_branch("main"))
    session.commit("from before")
    check(ground)


def test_a_cache_of_a_repository_that_was_open_all_the_time(ground: Ground) -> None:
    repo = ground.open()
    repo.readonly_session("main")
    config = RepositoryConfig(num_updates_per_repo_info_file=1)
    ground.upheaval()
    for name in "abc":
        short = Repository.open(ground.storage, config)
        short.create_tag(name, short.lookup_branch("main"))
    edited(repo).commit("from the cache")
    check(ground)


def hours_pass(repo: Repository, hours: float = 2) -> None:
    """By the clock of this process, as when the computer was asleep."""
    library = repo._core.library
    clock = library.now
    library.now = lambda: clock() + int(hours * 3_600_000_000)


def test_format_1_looks_after_an_hour() -> None:
    """There, nothing tells of a collection."""
    ground = Ground(1)
    repo = ground.open()
    session = edited(repo)
    ground.upheaval()
    hours_pass(repo)
    session.commit("from before")
    check(ground)


def test_format_1_finds_lost_chunks_after_an_hour() -> None:
    ground = Ground(1)
    repo = ground.open()
    session = edited(repo)
    session._workspace.writer.flush()  # type: ignore[union-attr]
    ground.backend.grow_old()
    ground.collect()
    hours_pass(repo)
    with pytest.raises(frazil.ConflictError, match="1 of 1 objects") as caught:
        session.commit("lost")
    assert caught.value.kind == "repo-info-updated"
    with pytest.raises(frazil.ConflictError, match="1 of 1 objects"):
        session.flush("lost")
    assert ground.is_as_before()
    ground.check()


def test_format_1_reads_snapshots_anew_after_an_hour() -> None:
    ground = Ground(1)
    repo = ground.open()
    edited(repo)  # its base stays in memory
    ground.upheaval()
    hours_pass(repo)
    edited(repo).commit("from the cache")
    check(ground)


@pytest.mark.parametrize("target", ["branch", "tag", "reset"])
@pytest.mark.parametrize("spec", [1, 2])
def test_nothing_comes_to_point_at_a_snapshot_that_is_gone(spec: int, target: str) -> None:
    """However long it was in memory."""
    ground = Ground(spec)
    repo = ground.open()
    lost = edited(repo, value=8).commit("lost")
    before = list(repo.ancestry(branch="main"))[1].id
    ground.open().reset_branch("main", before)
    ground.backend.grow_old()
    assert ground.collect().snapshots_deleted == 1
    point = {"branch": repo.create_branch, "tag": repo.create_tag, "reset": repo.reset_branch}
    with pytest.raises(frazil.IcechunkError, match=lost):
        point[target]("main" if target == "reset" else "name", lost)
    ground.check()
