"""Migrating from format 1 to format 2."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, Storage, upgrade_icechunk_repository
from frazil.storage.doubles import Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere_alike, storage_around


def build(storage: Storage) -> Repository:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=7)
    repo = Repository.create(storage, config, spec_version=1)
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", data=np.array([1, 2, 3]), chunks=1)
    repo.create_tag("t", session.commit("data", {"k": "v"}))
    repo.create_tag("ü %", repo.lookup_tag("t"))  # Icechunk loses such names on the way
    return repo


def keys(storage: Storage) -> set[str]:
    return {info.key for info in storage.backend().list()}


@everywhere_alike
@pytest.mark.parametrize("prefetch", [None, 1])
def test_migration(storage: Storage, prefetch: int | None) -> None:
    old = build(storage)
    before = list(old.ancestry(branch="main"))
    repo = upgrade_icechunk_repository(old, dry_run=False, prefetch_concurrency=prefetch)
    for one in (repo, Repository.open(storage)):
        assert one.spec_version == 2
        assert list(one.ancestry(tag="t")) == before
        assert one.list_tags() == {"t", "ü %"}
        assert one.config.inline_chunk_threshold_bytes == 7
        array = zarr.open_array(one.readonly_session("main").store, path="a", mode="r")
        assert list(array[:]) == [1, 2, 3]
    assert not any(key.startswith(("refs", "config")) for key in keys(storage))
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="a")[0] = 9
    session.amend("amended")
    assert type(next(iter(repo.ops_log())).kind).__name__ == "CommitAmended"


def test_the_old_object_is_of_no_use_any_more(storage: Storage) -> None:
    old = build(storage)
    upgrade_icechunk_repository(old, dry_run=False)
    for use in (
        old.list_branches,
        lambda: old.config,
        lambda: old.writable_session("main"),
        lambda: pickle.dumps(old),
    ):
        with pytest.raises(RuntimeError, match="migrated"):
            use()


def test_only_spec_1_is_migrated(storage: Storage) -> None:
    repo = upgrade_icechunk_repository(build(storage), dry_run=False)
    with pytest.raises(frazil.SessionStateError) as error:
        upgrade_icechunk_repository(repo, dry_run=True)
    assert error.value.kind == "invalid-repository-migration"
    with pytest.raises(ValueError, match="at least 1"):
        upgrade_icechunk_repository(repo, dry_run=False, prefetch_concurrency=0)


class Meanwhile(Wrapper):
    """Does something else just before the repo object is stored."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner)
        self.action: Any = None

    def request(self, operation: str, key: str, call: Any, sent: int = 0) -> Any:
        if (operation, key) == ("put", "repo") and self.action is not None:
            self.action()
        return super().request(operation, key, call, sent)


def test_a_commit_during_a_migration_is_not_lost() -> None:
    inner = MemoryBackend()
    backend = Meanwhile(inner)
    repo = build(storage_around(backend))
    session = Repository.open(storage_around(inner)).writable_session("main")
    zarr.open_array(session.store, path="a")[0] = 9
    backend.action = lambda: session.commit("meanwhile")
    with pytest.raises(frazil.ConflictError, match="stop whoever"):
        upgrade_icechunk_repository(repo, dry_run=False)
    repo = Repository.open(storage_around(inner))
    assert repo.spec_version == 1
    assert next(iter(repo.ancestry(branch="main"))).message == "meanwhile"


@pytest.mark.parametrize("operation", ["put", "delete", "list"])
def test_a_failure_leaves_a_repository_of_one_version(operation: str) -> None:
    inner = MemoryBackend()
    build(storage_around(inner))
    failing = False

    def plan(op: str, key: str) -> Fault | None:
        return Fault.REFUSED if failing and op == operation else None

    repo = Repository.open(storage_around(Faulty(inner, plan)))
    failing = True
    with pytest.raises(frazil.StorageError):
        upgrade_icechunk_repository(repo, dry_run=False)
    again = Repository.open(storage_around(inner))
    assert again.spec_version == (2 if operation == "delete" else 1)
    session = again.writable_session("main")
    zarr.open_array(session.store, path="a")[0] = 9
    session.commit("goes on")
    assert len(list(again.ancestry(branch="main"))) == 3
