"""Which repository this is: its id, where it is shown, and who looks at it."""

from __future__ import annotations

import json
import pickle
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import frazil
from frazil import ConflictError, Repository, Storage
from frazil.engine.collection.leases import held_since
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ErrorKind
from frazil.format.pack import decode_footer, footer_bytes
from frazil.ids import INITIAL_SNAPSHOT
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around


def fill(repo: Repository, seed: int = 0) -> None:
    with repo.edit("main", "filled") as tree:
        tree["a"] = np.random.default_rng(seed).normal(size=1000)


def test_it_is_made_with_the_repository_and_stays(repo: Repository, storage: Storage) -> None:
    assert repo.id.version == 4
    fill(repo)
    repo.save_config()
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    again = Repository.open(storage)
    assert again.id == repo.id == pickle.loads(pickle.dumps(again)).id
    assert f"id: {repo.id}" in str(again)
    assert again.verify().repository == str(repo.id)


def test_no_two_have_the_same() -> None:
    made = {Repository.create(frazil.in_memory_storage()).id for _ in range(3)}
    assert len(made) == 3


def test_it_survives_a_migration() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=1)
    before = repo.id
    assert frazil.upgrade_icechunk_repository(repo, dry_run=False).id == before


def test_asking_costs_no_request(spec: int) -> None:
    counting = Counting(MemoryBackend())
    storage = storage_around(counting)
    Repository.create(storage, spec_version=spec)
    repo = Repository.open(storage)
    counting.reset()
    assert repo.id == repo.id
    assert not sum(counting.requests.values())


def test_two_that_make_one_agree(spec: int) -> None:
    """What somebody stored who then died is taken over."""
    backend = MemoryBackend()
    Repository.create(storage_around(backend), spec_version=spec)
    first = f"snapshots/{INITIAL_SNAPSHOT}"
    leftover = backend.get(first)
    other = MemoryBackend()
    other.put(first, leftover)
    repo = Repository.create(storage_around(other), spec_version=spec)
    assert repo.id == Repository.open(storage_around(backend)).id
    other = MemoryBackend()
    other.put(first, b"torn")
    assert Repository.create(storage_around(other), spec_version=spec).id != repo.id


def test_packs_say_whose_they_are(repo: Repository) -> None:
    fill(repo)
    backend = repo._core.library.backend
    (pack,) = (info.key for info in backend.list("chunks"))
    data = backend.get(pack)
    footer = decode_footer(data[-footer_bytes(data) :], size=len(data), where=pack)
    assert footer.repository == repo.id.bytes


def test_packs_of_workers_do_too() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    core: RepositoryCore = pickle.loads(pickle.dumps(repo))._core
    assert core.library.identity() == repo.id


def test_a_copy_is_the_same_repository(repo: Repository, spec: int) -> None:
    fill(repo)
    place = frazil.in_memory_storage()
    repo.clone_to(place)
    fill(repo, 1)
    repo.sync_to(place)
    copy = Repository.open(place)
    assert copy.id == repo.id
    assert copy.lookup_branch("main") == repo.lookup_branch("main")


def test_another_repository_is_not_written_over(repo: Repository, spec: int) -> None:
    fill(repo)
    place = frazil.in_memory_storage()
    other = Repository.create(place, spec_version=spec)
    for force in (False, True):
        with pytest.raises(ConflictError, match=f"{repo.id}.*{other.id}") as caught:
            repo.sync_to(place, force=force)
        assert caught.value.kind == ErrorKind.ANOTHER_REPOSITORY
    assert len(list(other.ancestry(branch="main"))) == 1


def test_one_after_the_other_behind_a_cache(tmp_path: Path, spec: int) -> None:
    """What is kept on disk of a repository is not shown of the next one at its place."""
    where, cache = tmp_path / "repository", tmp_path / "cache"
    plain = frazil.local_filesystem_storage(str(where))
    ids, values = [], []
    for seed in range(2):
        repo = Repository.create(plain, spec_version=spec)
        fill(repo, seed)
        # as in another process
        cached = frazil.local_filesystem_storage(str(where)).with_cache(cache, 10_000_000)
        reader = Repository.open(cached)
        first = reader._core.library.read_snapshot(INITIAL_SNAPSHOT)
        assert first.metadata["__frazil"] == {"repository_id": str(repo.id)}
        ids.append(reader.id)
        values.append(reader.at()["a"][:])
        shutil.rmtree(where)
    assert ids[0] != ids[1]
    assert not np.array_equal(*values)


def test_leases_of_a_repository_that_was_here_before(repo: Repository) -> None:
    library = repo._core.library
    with repo.lease(hours=1):
        since, lapsed = held_since(library)
        assert since is not None
        assert not lapsed
        (lease,) = (info.key for info in library.backend.list("frazil/leases"))
        document = json.loads(library.backend.get(lease))
        assert document["repository"] == str(repo.id)
        library.backend.put(lease, json.dumps(document | {"repository": "another"}).encode())
        assert held_since(library) == (None, [lease])
