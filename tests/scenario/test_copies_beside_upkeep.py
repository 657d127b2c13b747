"""Copies of a repository while somebody collects or repacks, here or there."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from tests.scenario.places import storage_around
from tests.scenario.upheaval import HOUR, Aging, Ground, now, singly


@pytest.fixture
def ground(spec: int) -> Ground:
    ground = Ground(spec)
    ground.commit("commit 2")
    ground.backend.grow_old()
    return ground


class Copy:
    """Where a repository is copied to."""

    def __init__(self) -> None:
        self.backend = Aging()
        self.storage = storage_around(self.backend)

    def check(self) -> None:
        repo = Repository.open(self.storage)
        found = repo.verify("data")
        assert found.is_healthy, str(found)
        root = zarr.open_group(repo.readonly_session("main").store, mode="r")
        np.testing.assert_array_equal(np.asarray(root["u"]), 2)


def one_commit_ahead() -> tuple[Ground, Copy]:
    """A repository, and its copy from before its newest commit."""
    ground = Ground(2)
    copy = Copy()
    ground.open().clone_to(copy.storage)
    session = ground.open().writable_session("main")
    zarr.open_group(session.store)["v"][0] = 1  # type: ignore[index]
    session.commit("more")
    return ground, copy


@pytest.mark.parametrize("moment", ["manifests/", "chunks/", "snapshots/"])
@pytest.mark.parametrize("collected", [False, True])
def test_the_history_is_repacked_meanwhile(ground: Ground, moment: str, collected: bool) -> None:
    """Old snapshots have other manifests when they are copied than when they were read."""
    copy = Copy()

    def meanwhile() -> None:
        ground.open().repack(history=True)
        if collected:
            ground.collect()

    done = copy.backend.once("put", moment, meanwhile)
    ground.open().clone_to(copy.storage)
    assert done
    copy.check()


@pytest.mark.parametrize("moment", ["manifests/", "chunks/"])
def test_the_history_expires_meanwhile(moment: str) -> None:
    ground = Ground(2)
    ground.commit("commit 2")
    ground.backend.grow_old()
    copy = Copy()

    def meanwhile() -> None:
        ground.open().expire_snapshots(now() + HOUR)
        assert ground.collect().snapshots_deleted

    done = copy.backend.once("put", moment, meanwhile)
    ground.open().clone_to(copy.storage)
    assert done
    copy.check()


def test_the_copy_is_collected_meanwhile() -> None:
    """What an interrupted copy has left there is young enough for nobody."""
    ground, copy = one_commit_ahead()

    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    copy.backend.once("put", "snapshots/", die)
    with pytest.raises(Died):
        ground.open().sync_to(copy.storage)
    copy.backend.grow_old()

    def meanwhile() -> None:
        collected = Repository.open(copy.storage, singly()).garbage_collect(HOUR)
        assert collected.chunks_deleted

    done = copy.backend.once("put", "snapshots/", meanwhile)
    ground.open().sync_to(copy.storage)
    assert done
    copy.check()


def test_what_a_collection_of_the_copy_is_about_to_delete() -> None:
    ground, copy = one_commit_ahead()
    ground.open().sync_to(copy.storage)
    there = Repository.open(copy.storage)
    there.reset_branch("main", list(there.ancestry(branch="main"))[1].id)
    copy.backend.grow_old()
    refused: list[str] = []

    def meanwhile() -> None:
        try:
            ground.open().sync_to(copy.storage)
        except frazil.ConflictError as error:
            refused.append(error.kind)

    done = copy.backend.once("delete", "chunks", meanwhile)
    there.garbage_collect(HOUR)
    assert done
    assert refused == ["repo-info-updated"]
    copy.check()
    ground.open().sync_to(copy.storage)
    copy.check()
