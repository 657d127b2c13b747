"""Archived repositories, and what became of a configuration."""

from __future__ import annotations

import pytest
import zarr

import frazil
from frazil import RepoAvailability, Repository, RepositoryConfig, RepoStatus, Storage
from tests.scenario.places import everywhere_alike


def archived(storage: Storage) -> Repository:
    repo = Repository.create(storage, RepositoryConfig(inline_chunk_threshold_bytes=5))
    with repo.transaction("main", message="data") as store:
        zarr.create_group(store, path="g")
    repo.set_status(RepoStatus(RepoAvailability.archived, None, "superseded by v2"))
    return repo


async def test_an_archived_repository_is_opened_only_on_purpose(storage: Storage) -> None:
    archived(storage)
    for call in (Repository.open, Repository.open_or_create):
        with pytest.raises(frazil.ReadOnlyError, match=r"superseded by v2.*open_archived") as error:
            call(storage)
        assert error.value.kind == "read-only-repository"
    assert Repository.exists(storage)
    assert Repository.fetch_spec_version(storage) == 2
    config = Repository.fetch_config(storage)
    assert config is not None
    assert config.inline_chunk_threshold_bytes == 5
    for repo in (Repository.open_archived(storage), await Repository.open_archived_async(storage)):
        assert repo.status.availability == RepoAvailability.archived
        assert repo.status.limited_availability_reason == "superseded by v2"
        group = zarr.open_group(repo.readonly_session("main").store, mode="r")
        assert next(iter(group.groups()))[0] == "g"


def test_an_archived_repository_takes_no_changes_but_of_its_status(storage: Storage) -> None:
    old = archived(storage)
    for repo in (old, Repository.open_archived(storage)):
        for call in (
            lambda repo=repo: repo.writable_session("main"),
            lambda repo=repo: repo.create_tag("t", repo.lookup_branch("main")),
            lambda repo=repo: repo.set_metadata({}),
            repo.save_config,
        ):
            with pytest.raises(frazil.ReadOnlyError, match="archived: superseded by v2"):
                call()
    Repository.open_archived(storage).set_status(RepoStatus(RepoAvailability.online))
    repo = Repository.open(storage)
    repo.create_tag("t", repo.lookup_branch("main"))
    kinds = [update.kind for update in repo.ops_log()]
    status = kinds[2]
    assert isinstance(status, frazil.UpdateType.RepoStatusChanged)
    assert status.status.availability == RepoAvailability.archived


@everywhere_alike
def test_the_history_of_the_configuration(storage: Storage) -> None:
    config = RepositoryConfig(inline_chunk_threshold_bytes=5, num_updates_per_repo_info_file=2)
    repo = Repository.create(storage, config)
    first = list(repo.config_history())
    assert len(first) == 1
    assert first[0].changes["inline_chunk_threshold_bytes"] == (None, 5)
    for number in (6, 7):
        repo = Repository.open(storage, RepositoryConfig(inline_chunk_threshold_bytes=number))
        repo.save_config()
        for i in range(3):
            repo.create_tag(f"{number}-{i}", repo.lookup_branch("main"))
    repo = Repository.open(storage, RepositoryConfig(max_concurrent_requests=9))
    repo.save_config()
    history = repo.config_history()
    assert [change.changes for change in history[:3]] == [
        {"max_concurrent_requests": (None, 9)},
        {"inline_chunk_threshold_bytes": (6, 7)},
        {"inline_chunk_threshold_bytes": (5, 6)},
    ]
    assert history[3] == first[0]
    times = [u.updated_at for u in repo.ops_log() if "ConfigChanged" in type(u.kind).__name__]
    assert [change.updated_at for change in history[:3]] == times
    assert "max_concurrent_requests" in str(history[0])


def test_a_configuration_that_never_changed_has_no_history(storage: Storage) -> None:
    repo = Repository.create(storage)
    repo.create_tag("t", repo.lookup_branch("main"))
    assert repo.config_history() == []


def test_the_history_begins_with_the_migration(storage: Storage) -> None:
    config = RepositoryConfig(inline_chunk_threshold_bytes=5)
    old = Repository.create(storage, config, spec_version=1)
    with pytest.raises(frazil.FormatError):
        old.config_history()
    frazil.upgrade_icechunk_repository(old, dry_run=False)
    repo = Repository.open(storage, RepositoryConfig(inline_chunk_threshold_bytes=6))
    repo.save_config()
    newest, oldest = repo.config_history()
    assert newest.changes == {"inline_chunk_threshold_bytes": (5, 6)}
    assert newest.written_by == oldest.written_by == f"fz-{frazil.__version__}"
    assert oldest.changes["inline_chunk_threshold_bytes"] == (None, 5)
