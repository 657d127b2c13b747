"""What a spec 2 repository says of itself: metadata, status, feature flags."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import frazil
from frazil import ConflictError, RepoAvailability, Repository, RepositoryConfig, RepoStatus
from frazil.errors import (
    ErrorKind,
    FormatError,
    InvalidInputError,
    ReadOnlyError,
    SessionStateError,
)
from frazil.storage.base import Backend
from frazil.storage.doubles import Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import change, chunks, commit, get, group, grown, tip

READ_ONLY = RepoStatus(RepoAvailability.read_only, limited_availability_reason="moving house")
ONLINE = RepoStatus(RepoAvailability.online)


@pytest.fixture
def repo(storage: frazil.Storage) -> Repository:
    return Repository.create(storage, spec_version=2)


def newest(repo: Repository) -> Any:
    return next(repo.ops_log()).kind


def test_metadata_is_replaced_or_merged_by_name(repo: Repository) -> None:
    assert repo.metadata == repo.get_metadata() == {}
    repo.set_metadata({"a": {"b": 1}, "c": [None, "ü"]})
    assert Repository.open(repo.storage).metadata == {"a": {"b": 1}, "c": [None, "ü"]}
    assert repo.update_metadata({"a": 2, "d": 3}) == {"a": 2, "c": [None, "ü"], "d": 3}
    repo.set_metadata({})
    assert repo.metadata == {}
    kinds = [type(update.kind).__name__ for update in repo.ops_log()]
    assert kinds == ["MetadataChanged"] * 3 + ["RepoInitialized"]


def test_a_read_only_repository_can_be_read(repo: Repository) -> None:
    one = grown(repo)
    repo.create_tag("t", one)
    repo.set_status(READ_ONLY)
    assert repo.status.availability is RepoAvailability.read_only
    assert repo.status.limited_availability_reason == "moving house"
    assert newest(repo).status == repo.get_status()
    again = Repository.open(repo.storage)
    assert get(again.readonly_session("main"), "a/c/0") == b"base"
    assert again.lookup_tag("t") == one
    assert next(again.ancestry(tag="t")).id == one
    assert again.metadata == {}


def test_a_read_only_repository_takes_no_changes(repo: Repository) -> None:
    one = grown(repo)
    repo.create_tag("t", one)
    before = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    repo.set_status(READ_ONLY)
    calls: list[Callable[[], object]] = [
        lambda: repo.writable_session("main"),
        lambda: before.commit("x"),
        lambda: before.commit("x", rebase_with=frazil.ConflictDetector()),
        lambda: before.amend("x"),
        lambda: before.flush("x"),
        lambda: repo.create_branch("b", one),
        lambda: repo.reset_branch("main", one),
        lambda: repo.delete_branch("main2"),
        lambda: repo.create_tag("t2", one),
        lambda: repo.delete_tag("t"),
        lambda: repo.save_config(),
        lambda: repo.set_metadata({}),
        lambda: repo.update_metadata({}),
        lambda: repo.set_feature_flag("create_tag", False),
    ]
    for call in calls:
        with pytest.raises(ReadOnlyError, match="moving house") as caught:
            call()
        assert caught.value.kind == ErrorKind.READ_ONLY_REPOSITORY
    repo.set_status(ONLINE)
    before.commit("after all")
    assert get(tip(repo), "a/c/0") == b"mine"


def test_the_time_of_a_status_is_kept(repo: Repository) -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    repo.set_status(RepoStatus(RepoAvailability.read_only, at))
    assert Repository.open(repo.storage).status.set_at == at


def test_flags_are_on_unless_set(repo: Repository) -> None:
    def states() -> dict[str, tuple[bool | None, bool]]:
        return {flag.name: (flag.setting, flag.enabled) for flag in repo.feature_flags()}

    names = {"move_node", "create_tag", "delete_tag"}
    assert states() == dict.fromkeys(names, (None, True))
    repo.set_feature_flag("create_tag", False)
    repo.set_feature_flag("delete_tag", True)
    assert states() == {
        "move_node": (None, True),
        "create_tag": (False, False),
        "delete_tag": (True, True),
    }
    assert [flag.name for flag in repo.disabled_feature_flags()] == ["create_tag"]
    assert {flag.name for flag in repo.enabled_feature_flags()} == names - {"create_tag"}
    assert (newest(repo).id, newest(repo).new_value) == (5, True)
    repo.set_feature_flag("create_tag", None)
    assert states()["create_tag"] == (None, True)
    assert (newest(repo).id, newest(repo).new_value) == (4, None)
    with pytest.raises(InvalidInputError, match="known are move_node") as caught:
        repo.set_feature_flag("fly", True)
    assert caught.value.kind == ErrorKind.INVALID_FEATURE_FLAG


def test_tags_can_be_forbidden(repo: Repository) -> None:
    one = grown(repo)
    repo.create_tag("t", one)
    repo.set_feature_flag("create_tag", False)
    repo.set_feature_flag("delete_tag", False)
    for call in (lambda: repo.create_tag("u", one), lambda: repo.delete_tag("t")):
        with pytest.raises(SessionStateError, match="set_feature_flag") as caught:
            call()
        assert caught.value.kind == ErrorKind.FEATURE_FLAG_DISABLED
    assert repo.list_tags() == {"t"}
    repo.set_feature_flag("create_tag", None)
    repo.set_feature_flag("delete_tag", None)
    repo.create_tag("u", one)
    repo.delete_tag("t")


def test_spec_1_has_none_of_it() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=1)
    for call in (
        repo.get_metadata,
        lambda: repo.metadata,
        lambda: repo.set_metadata({}),
        lambda: repo.update_metadata({}),
        repo.get_status,
        lambda: repo.status,
        lambda: repo.set_status(ONLINE),
        repo.feature_flags,
        repo.enabled_feature_flags,
        lambda: repo.set_feature_flag("create_tag", True),
    ):
        with pytest.raises(FormatError, match="spec 2") as caught:
            call()
        assert caught.value.kind == ErrorKind.UNSUPPORTED_SPEC_VERSION


# What the storage and the configuration say


class Frozen(Wrapper):
    """A storage that cannot be written."""

    read_only = True  # type: ignore[assignment]


def test_a_storage_that_cannot_be_written(spec: int) -> None:
    inner: Backend = MemoryBackend()
    grown(Repository.create(storage_around(inner), spec_version=spec))
    frozen = storage_around(Frozen(inner))
    repo = Repository.open(frozen)
    assert get(tip(repo), "a/c/0") == b"base"
    with pytest.raises(ReadOnlyError) as caught:
        repo.writable_session("main")
    assert caught.value.kind == ErrorKind.READ_ONLY_STORAGE
    with pytest.raises(ReadOnlyError) as caught:
        Repository.create(storage_around(Frozen(MemoryBackend())), spec_version=spec)
    assert caught.value.kind == ErrorKind.READ_ONLY_STORAGE


class Rival(Wrapper):
    """Somebody else creates a branch before each put of the repo object."""

    tries = 0
    active = False

    def put(self, key, data, *, mode=None, content_type=None):  # type: ignore[no-untyped-def]
        if key == "repo" and self.active:
            self.tries += 1
            rival = Repository.open(storage_around(self.inner))
            rival.create_branch(f"rival-{self.tries}", rival.lookup_branch("main"))
        return self.inner.put(key, data, mode=mode, content_type=content_type)


@pytest.mark.parametrize(("given", "tries"), [(2, 2), (7, 7)])
def test_how_often_a_lost_race_is_run_again(given: int, tries: int) -> None:
    backend = Rival(MemoryBackend())
    retries = frazil.StorageRetriesSettings(max_tries=given, max_backoff_ms=0)
    config = RepositoryConfig()
    config.repo_update_retries = frazil.config.RepoUpdateRetryConfig(default=retries)
    repo = Repository.create(storage_around(backend), config)
    commit(repo, {"": group()})
    backend.active = True
    session = change(repo.writable_session("main"), {"g": group()})
    for call in (lambda: repo.create_tag("t", session.snapshot_id), lambda: session.commit("x")):
        backend.tries = 0
        with pytest.raises(ConflictError, match=f"each of {tries} tries") as caught:
            call()
        assert caught.value.kind == ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED
        assert backend.tries == tries
        for branch in repo.list_branches() - {"main"}:
            backend.active = False
            repo.delete_branch(branch)
        backend.active = True
    backend.active = False
    session.commit("after all")
