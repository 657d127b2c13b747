"""A policy that thins out the history of a repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import frazil
from frazil import ConflictError, Repository, RetentionPolicy
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

START = datetime(2099, 1, 1, tzinfo=UTC)  # a Thursday, after the time of the first snapshot
LATER = timedelta(days=1)


class Days:
    """A repository on a clock of its own: each commit is a day after the one before."""

    def __init__(self, spec: int) -> None:
        self.repo = Repository.create(storage_around(MemoryBackend()), spec_version=spec)
        self.now = START
        self.repo._core.library.now = lambda: int(self.now.timestamp()) * 1_000_000
        with self.edit("made") as tree:
            tree["a"] = np.zeros(40, "i4")

    def edit(self, message: str, branch: str = "main") -> Any:
        self.now += timedelta(days=1)
        return self.repo.edit(branch, message)

    def grow(self, count: int, branch: str = "main") -> None:
        for i in range(count):
            with self.edit(f"{branch} {i}", branch) as tree:
                tree["a"][i % 40] = i + 1
                tree["a"].attrs[f"{branch}{i}"] = i


@pytest.fixture
def days(spec: int) -> Days:
    return Days(spec)


def messages(repo: Repository, branch: str = "main") -> list[str]:
    return [info.message for info in repo.ancestry(branch=branch)]


def test_the_history_is_thinned_out(days: Days, spec: int) -> None:
    days.grow(12)
    repo = days.repo
    before = {info.message: info.id for info in repo.ancestry(branch="main")}
    repo.create_tag("kept", before["main 2"])
    plan = repo.apply_retention("last 2, weekly 1y", dry_run=True)
    assert not plan.applied
    assert len(messages(repo)) == 14
    assert repo.apply_retention("last 2, weekly 1y").applied
    # Sundays are the 4th and the 11th; the 2nd is "made", so the 4th is "main 1"
    expected = ["main 11", "main 10", "main 8", "main 2", "main 1", "Repository initialized"]
    assert messages(repo) == expected
    assert {one.message for one in plan.kept} == set(expected)
    assert {one.id for one in plan.gone} == {
        id_ for message, id_ in before.items() if message not in expected
    }
    for message, value in (("main 11", 12), ("main 8", 9), ("main 1", 2)):
        array = repo.at(snapshot_id=before[message])["a"][:]
        assert int(array.max()) == value
    difference = repo.diff(from_snapshot_id=before["main 2"], to_snapshot_id=before["main 11"])
    if spec == 2:
        assert len(difference.updated_chunks["/a"]) == 1
        assert difference.updated_arrays == {"/a"}
    assert repo.verify("data").is_healthy


def test_what_goes_is_collected_and_the_rest_is_whole(days: Days) -> None:
    days.grow(12)
    repo = days.repo
    plan = repo.apply_retention("last 3")
    gone = repo.garbage_collect(datetime.now(UTC) + LATER)
    assert gone.snapshots_deleted == len(plan.gone) == 10
    assert repo.verify("data").is_healthy
    assert repo.at()["a"][:].tolist()[:13] == [*range(1, 13), 0]
    days.grow(1)
    assert len(messages(repo)) == 5


def test_each_branch_has_its_rule(days: Days) -> None:
    days.grow(4)
    repo = days.repo
    repo.create_branch("dev-x", repo.lookup_branch("main"))
    days.grow(4, "dev-x")
    days.grow(2)
    repo.apply_retention("dev-*: last 1; main: last 3")
    assert messages(repo) == ["main 1", "main 0", "main 3", "Repository initialized"]
    assert messages(repo, "dev-x") == ["dev-x 3", "main 3", "Repository initialized"]


def test_tags_that_are_not_kept_are_deleted(days: Days) -> None:
    repo = days.repo
    for i in range(5):
        days.grow(1)
        repo.create_tag(f"nightly-{i}", repo.lookup_branch("main"))
    repo.create_tag("v1", repo.lookup_tag("nightly-0"))
    plan = repo.apply_retention("last 1; tag nightly-*: last 2")
    assert plan.deleted_tags == ("nightly-0", "nightly-1", "nightly-2")
    assert repo.list_tags() == {"nightly-3", "nightly-4", "v1"}
    assert len(messages(repo)) == 4


def test_a_policy_is_stored_and_remembered(days: Days) -> None:
    repo = days.repo
    assert repo.get_retention() is None
    assert repo.retention_history() == []
    policy = RetentionPolicy.parse("last 2")
    repo.set_retention(policy)
    days.now += LATER
    repo.set_retention("last 3; tags: within 30d")
    again = Repository.open(repo.storage)
    assert str(again.get_retention()) == "*: last 3; tag *: within 30d"
    days.grow(4)
    assert len(repo.apply_retention().gone) == 2
    days.now += LATER
    repo.set_retention(None)
    assert Repository.open(repo.storage).get_retention() is None
    history = repo.retention_history()
    assert [change.policy and str(change.policy) for change in history] == [
        None,
        "*: last 3; tag *: within 30d",
        "*: last 2",
    ]
    assert history[0].set_at > history[1].set_at > history[2].set_at
    assert repo.id == again.id
    for i in range(25):
        repo.set_retention(f"last {i + 1}")
    assert len(repo.retention_history()) == 20


def test_sessions_on_what_goes_cannot_commit(days: Days) -> None:
    days.grow(2)
    repo = days.repo
    session = repo.writable_session("main")
    session["a"][0] = 99
    days.grow(3)
    repo.apply_retention("last 1")
    assert int(session["a"][0]) == 99
    with pytest.raises(ConflictError):
        session.commit("too late")


def test_another_commit_meanwhile_is_kept(spec: int) -> None:
    """The decision is taken anew on what somebody else has just stored."""
    storage = frazil.in_memory_storage()
    repo = Repository.create(storage, spec_version=spec)
    other = Repository.open(storage)
    repo.lookup_branch("main")
    for i in range(3):
        with other.edit("main", f"commit {i}") as tree:
            tree["i"] = np.array(i)
    repo.apply_retention("last 1")
    assert messages(repo) == ["commit 2", "Repository initialized"]
