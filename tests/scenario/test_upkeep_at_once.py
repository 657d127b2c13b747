"""Upkeep beside upkeep: repacks, expirations and collections of one repository at the same time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from tests.scenario.upheaval import HOUR, Ground


@pytest.fixture
def ground(spec: int) -> Ground:
    ground = Ground(spec)
    ground.commit("commit 2")
    ground.backend.grow_old()
    return ground


@pytest.fixture
def modern() -> Ground:
    return Ground(2)


def history(ground: Ground, branch: str = "main") -> list[tuple[str, str]]:
    return [(info.message, info.id) for info in ground.open().ancestry(branch=branch)]


def test_a_branch_that_comes_to_be_at_a_snapshot_gets_a_commit(ground: Ground) -> None:
    """A session on it knows nothing of the file that has just been replaced."""
    middle = history(ground)[1][1]
    sessions: list[frazil.Session] = []

    def somebody_else() -> None:
        repo = ground.open()
        repo.create_branch("side", middle)
        session = repo.writable_session("side")
        root: Any = zarr.open_group(session.store)
        root["u"][:], root["v"][:]
        root["u"][0] = 7
        sessions.append(session)

    assert ground.backend.once("put", f"snapshots/{middle}", somebody_else) == []
    done = ground.open().repack(history=True)
    tip = ground.open().lookup_branch("side")
    assert done.commits == {"main": history(ground)[0][1], "side": tip}
    assert history(ground, "side")[1][1] == middle
    assert ground.collect().manifests_deleted
    with pytest.raises(frazil.ConflictError):
        sessions[0].commit("aside")
    sessions[0].commit("aside", rebase_with=frazil.ConflictDetector())
    np.testing.assert_array_equal(ground.check("side")["u"][:, 0], [7, *[2] * 7])


class Died(Exception):
    pass


def die() -> None:
    raise Died


def leave_objects(ground: Ground, hours: int) -> None:
    """A repack has stored its objects so long ago, and died."""
    done = ground.backend.once("put", "manifests/", die)
    with pytest.raises(Died):
        ground.open().repack(history=True)
    assert done
    ground.backend.before = lambda operation, key: None
    ground.backend.delete([info.key for info in ground.backend.list("frazil/leases")])
    ground.backend.grow_old(by=timedelta(hours=hours))


def test_what_a_repack_takes_up_again_is_leased(ground: Ground) -> None:
    """A collection that spares less than what is taken up is as old."""
    leave_objects(ground, 5)
    done = ground.backend.once("put", "manifests/", lambda: ground.collect(HOUR))
    summary = ground.open().repack(history=True)
    assert done
    assert summary.objects_found
    ground.check()
    ground.collect()
    ground.check()


def test_what_a_collection_is_about_to_delete_is_not_taken_up(modern: Ground) -> None:
    """It began before, and comes to the chunks when the repack has done."""
    leave_objects(modern, 5)
    done = modern.backend.once("delete", "chunks", lambda: modern.open().repack(history=True))
    assert modern.collect(HOUR).chunks_deleted
    assert done
    modern.check()


def collect_for_all_that(ground: Ground) -> None:
    """A collection of somebody who knows no leases."""
    ground.backend.delete([info.key for info in ground.backend.list("frazil/leases")])
    ground.collect(HOUR)


@pytest.mark.parametrize("moment", ["manifests/", "snapshots/"])
def test_what_was_taken_up_is_gone(modern: Ground, moment: str) -> None:
    leave_objects(modern, 5)
    done = modern.backend.once("put", moment, lambda: collect_for_all_that(modern))
    repo = modern.open()
    with pytest.raises(frazil.ConflictError, match="repack again") as caught:
        repo.repack(history=True)
    assert caught.value.kind == "repo-info-updated"
    assert done
    modern.check()
    repo.repack(history=True)
    modern.collect()
    modern.check()


def test_a_collection_that_spares_enough_does_not_disturb(modern: Ground) -> None:
    done = modern.backend.once("put", "snapshots/", lambda: collect_for_all_that(modern))
    modern.open().repack(history=True)
    assert done
    modern.check()


@pytest.mark.parametrize("first", ["repack", "expiration"])
def test_a_repack_and_an_expiration_that_replace_one_file(ground: Ground, first: str) -> None:
    """Both are done, whoever comes first."""
    middle = history(ground)[1][1]
    first_commit = list(ground.open().ancestry(branch="main"))[-2].written_at

    def expire() -> None:
        ground.open().expire_snapshots(first_commit + timedelta(microseconds=1))

    def repack() -> None:
        assert ground.open().repack(history=True).snapshots_rewritten

    one, other = (repack, expire) if first == "repack" else (expire, repack)
    done = ground.backend.once("put", f"snapshots/{middle}", other)
    one()
    if not done:  # in format 2 an expiration replaces no file
        other()
    messages = [message for message, _ in history(ground)]
    assert "commit 0" not in messages
    assert "commit 1" in messages
    ground.check()
    assert ground.open().repack(history=True, dry_run=True).chunks_moved == 0
    before = ground.open().readonly_session(snapshot_id=middle)
    kept = before._workspace.base.manifests.ids.tolist()
    assert ground.collect().chunks_deleted
    ground.check()
    now_ = ground.open().readonly_session(snapshot_id=middle)
    assert now_._workspace.base.manifests.ids.tolist() == kept
