"""Making, opening and describing repositories."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import frazil
from frazil import (
    ConflictError,
    InvalidInputError,
    ManifestConfig,
    Repository,
    RepositoryConfig,
    RepositoryNotFoundError,
    SpecVersion,
)
from frazil.errors import ErrorKind
from tests.scenario.places import everywhere, everywhere_alike
from tests.scenario.trees import commit, group, put

SMALL = RepositoryConfig(inline_chunk_threshold_bytes=3)


@everywhere
def test_a_new_repository(repo: Repository, spec: int, storage: frazil.Storage) -> None:
    assert repo.spec_version == spec
    assert Repository.exists(storage)
    assert Repository.fetch_spec_version(storage) is SpecVersion(spec)
    assert Repository.fetch_config(storage) is None
    assert repo.list_branches() == {"main"}
    assert repo.list_tags() == set()
    (initial,) = repo.ancestry(branch="main")
    assert initial.id == "1CECHNKREP0F1RSTCMT0"
    assert initial.parent_id is None
    assert initial.message == "Repository initialized"
    own = {"repository_id": str(repo.id)}
    assert initial.metadata == {"__icechunk": {"is_root": True}, "__frazil": own}
    session = repo.readonly_session("main")
    assert session.snapshot_id == initial.id
    assert session.status().is_empty()


def test_spec_2_is_the_default() -> None:
    assert Repository.create(frazil.in_memory_storage()).spec_version == 2


@everywhere_alike
def test_where_there_is_no_repository(storage: frazil.Storage) -> None:
    assert not Repository.exists(storage)
    assert Repository.fetch_spec_version(storage) is None
    for call in (Repository.open, Repository.fetch_config):
        with pytest.raises(RepositoryNotFoundError, match="create one") as caught:
            call(storage)
        assert caught.value.kind == ErrorKind.REPOSITORY_NOT_FOUND


@pytest.mark.parametrize("version", [0, 3, "2", 2.5])
def test_other_versions_cannot_be_made(version: object) -> None:
    storage = frazil.in_memory_storage()
    with pytest.raises(ValueError, match="spec_version"):
        Repository.create(storage, spec_version=version)  # type: ignore[arg-type]
    assert not storage.list_objects()


@everywhere
def test_a_place_must_be_empty(storage: frazil.Storage, spec: int) -> None:
    storage.backend().put("notes/readme.txt", b"mine")
    with pytest.raises(InvalidInputError, match="other objects") as caught:
        Repository.create(storage, spec_version=spec)
    assert caught.value.kind == ErrorKind.PARENT_DIRECTORY_NOT_CLEAN
    Repository.create(storage, spec_version=spec, check_clean_root=False)
    assert storage.backend().get("notes/readme.txt") == b"mine"
    assert Repository.open(storage).spec_version == spec


def test_empty_folders_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "chunks" / "deep").mkdir(parents=True)
    Repository.create(frazil.local_filesystem_storage(str(tmp_path)))


@everywhere
@pytest.mark.parametrize("other", [1, 2])
def test_a_repository_is_never_made_over_another(
    repo: Repository, storage: frazil.Storage, spec: int, other: int
) -> None:
    snapshot = commit(repo, {"": group()})
    with pytest.raises(InvalidInputError) as unclean:
        Repository.create(storage, spec_version=other)
    assert unclean.value.kind == ErrorKind.PARENT_DIRECTORY_NOT_CLEAN
    before = {info.key: info for info in storage.backend().list()}
    with pytest.raises(ConflictError, match="open it instead") as caught:
        Repository.create(storage, spec_version=other, check_clean_root=False)
    kind = ErrorKind.BRANCH_UPDATE_CONFLICT if other == 1 else ErrorKind.REPO_INFO_UPDATED
    assert caught.value.kind == kind
    assert {info.key: info for info in storage.backend().list()} == before
    assert Repository.open(storage).lookup_branch("main") == snapshot
    assert Repository.open(storage).spec_version == spec


@everywhere
def test_what_a_dead_creator_left_is_no_obstacle(storage: frazil.Storage, spec: int) -> None:
    Repository.create(storage, spec_version=spec)
    for info in list(storage.backend().list()):
        if info.key == "repo" or info.key.startswith("refs/"):
            storage.backend().delete([info.key])
    assert not Repository.exists(storage)
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group()})


@everywhere
def test_open_or_create(storage: frazil.Storage, spec: int) -> None:
    first = Repository.open_or_create(storage, create_version=spec)
    snapshot = commit(first, {"": group()})
    second = Repository.open_or_create(storage, create_version=3 - spec)
    assert second.spec_version == spec
    assert second.lookup_branch("main") == snapshot


def test_open_or_create_in_an_unclean_place_fails_as_create_does() -> None:
    storage = frazil.in_memory_storage()
    storage.backend().put("notes", b"mine")
    with pytest.raises(InvalidInputError) as caught:
        Repository.open_or_create(storage)
    assert caught.value.kind == ErrorKind.PARENT_DIRECTORY_NOT_CLEAN
    Repository.open_or_create(storage, check_clean_root=False)


@everywhere
def test_many_may_open_or_create_at_once(storage: frazil.Storage, spec: int) -> None:
    together = threading.Barrier(6)
    tips: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        together.wait()
        try:
            repo = Repository.open_or_create(storage, create_version=spec)
            tips.append(repo.lookup_branch("main"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert set(tips) == {"1CECHNKREP0F1RSTCMT0"}


# Configuration


def test_a_configuration_given_at_creation_is_stored(storage: frazil.Storage, spec: int) -> None:
    Repository.create(storage, SMALL, spec_version=spec)
    stored = Repository.fetch_config(storage)
    assert stored is not None
    assert stored.inline_chunk_threshold_bytes == 3
    assert Repository.open(storage).config.inline_chunk_threshold_bytes == 3


def test_the_default_configuration_is_not_stored(storage: frazil.Storage, spec: int) -> None:
    Repository.create(storage, RepositoryConfig(), spec_version=spec)
    assert Repository.fetch_config(storage) is None


def test_a_configuration_given_at_opening_counts_but_is_not_stored(
    storage: frazil.Storage, spec: int
) -> None:
    Repository.create(storage, SMALL, spec_version=spec)
    opened = Repository.open(storage, RepositoryConfig(get_partial_values_concurrency=4))
    assert opened.config.get_partial_values_concurrency == 4
    assert opened.config.inline_chunk_threshold_bytes == 3
    stored = Repository.fetch_config(storage)
    assert stored is not None
    assert stored.get_partial_values_concurrency is None


@everywhere
def test_saving_stores_the_effective_configuration(storage: frazil.Storage, spec: int) -> None:
    Repository.create(storage, SMALL, spec_version=spec)
    opened = Repository.open(storage, RepositoryConfig(get_partial_values_concurrency=4))
    opened.save_config()
    stored = Repository.fetch_config(storage)
    assert stored is not None
    assert stored.get_partial_values_concurrency == 4
    assert stored.inline_chunk_threshold_bytes == 3


def test_saving_a_given_configuration_makes_it_effective(
    storage: frazil.Storage, spec: int
) -> None:
    repo = Repository.create(storage, SMALL, spec_version=spec)
    repo.save_config(RepositoryConfig(get_partial_values_concurrency=4))
    for config in (repo.config, Repository.fetch_config(storage)):
        assert config is not None
        assert config.get_partial_values_concurrency == 4
        assert config.inline_chunk_threshold_bytes == 3


def test_reopening_merges_over_what_is_in_force(storage: frazil.Storage, spec: int) -> None:
    repo = Repository.create(storage, SMALL, spec_version=spec)
    reopened = repo.reopen(RepositoryConfig(get_partial_values_concurrency=4))
    assert reopened.config.inline_chunk_threshold_bytes == 3
    assert reopened.config.get_partial_values_concurrency == 4
    assert repo.config.get_partial_values_concurrency is None
    assert repo.reopen().config == repo.config
    reopened.save_config()
    reopened.save_config()
    assert Repository.open(storage).config.get_partial_values_concurrency == 4


@everywhere_alike
def test_in_spec_1_a_configuration_that_others_changed_is_not_overwritten(
    storage: frazil.Storage,
) -> None:
    created = Repository.create(storage, spec_version=1)
    opened = Repository.open(storage)
    Repository.open(storage, SMALL).save_config()
    for repo in (created, opened):
        with pytest.raises(ConflictError, match="open it again") as caught:
            repo.save_config()
        assert caught.value.kind == ErrorKind.CONFIG_UPDATED
    stored = Repository.fetch_config(storage)
    assert stored is not None
    assert stored.inline_chunk_threshold_bytes == 3
    Repository.open(storage, RepositoryConfig(inline_chunk_threshold_bytes=4)).save_config()
    backups = [key for key, _ in storage.list_objects(prefix="overwritten")]
    assert len(backups) == 1


def test_in_spec_2_saving_is_a_change_like_any_other(storage: frazil.Storage) -> None:
    Repository.create(storage, SMALL, spec_version=2)
    one, other = Repository.open(storage), Repository.open(storage)
    one.save_config()
    other.save_config()
    kinds = [type(update.kind).__name__ for update in one.ops_log()]
    assert kinds == ["ConfigChanged", "ConfigChanged", "RepoInitialized"]


def test_a_configuration_is_a_copy(repo: Repository) -> None:
    config = repo.config
    config.inline_chunk_threshold_bytes = 1
    session_config = repo.readonly_session("main").config
    session_config.manifest = ManifestConfig(max_concurrent_manifest_fetches_during_commit=1)
    assert repo.config.inline_chunk_threshold_bytes is None
    assert repo.readonly_session("main").config.manifest is None


def test_the_level_of_compression_is_obeyed() -> None:
    sizes = []
    for level in (1, 19):
        storage = frazil.in_memory_storage()
        compression = frazil.CompressionConfig(level=level)
        repo = Repository.create(storage, RepositoryConfig(compression=compression))
        session = repo.writable_session("main")
        for i in range(300):
            put(session, f"group-{i * i}", group(number=i, text=f"text {i * 7919}"))
        snapshot = session.commit("many")
        sizes.append(storage.backend().info(f"snapshots/{snapshot}").size)
    assert sizes[0] > sizes[1]


def test_what_a_repository_shows(repo: Repository, storage: frazil.Storage) -> None:
    assert repo.storage is storage
    text = repr(repo)
    assert "Repository" in text
    assert "storage" in text
