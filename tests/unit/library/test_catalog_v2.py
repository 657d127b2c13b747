"""Changing the repo object: races, retries and backups."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import ConflictError, FormatError, RepositoryNotFoundError, StorageError
from frazil.format.repo_info import encode_repo_info
from frazil.format.snapshot import initial_snapshot
from frazil.format.updates import UpdateTable
from frazil.ids import INITIAL_SNAPSHOT
from frazil.library import catalog_v2
from frazil.library.catalog_v2 import CatalogV2, Retries, backup_name
from frazil.library.files import Library
from frazil.storage.doubles import Counting, Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend


class Overtaken(Wrapper):
    """Somebody else changes the repo object before each of the next puts of it."""

    times = 0

    def put(self, key: str, data, *, mode=catalog_v2.CREATE, content_type=None):  # type: ignore[no-untyped-def]
        if key == "repo" and self.times:
            self.times -= 1
            other = CatalogV2(Library(self.inner, spec=2))
            other.create_branch(f"other-{self.times}", INITIAL_SNAPSHOT)
        return self.inner.put(key, data, mode=mode, content_type=content_type)


def repository(backend) -> CatalogV2:  # type: ignore[no-untyped-def]
    library = Library(backend, spec=2)
    library.write_snapshot(initial_snapshot(7))
    catalog_v2.create(library, initial_snapshot(7), None)
    return CatalogV2(library)


@given(
    st.integers(0, 500),
    st.builds(Retries, st.integers(1, 9), st.integers(0, 100), st.integers(0, 1_000)),
)
def test_pauses_are_bounded(failures: int, retries: Retries) -> None:
    pause = retries.pause(failures)
    assert 0 <= pause <= retries.max_backoff_ms / 1000
    if failures <= catalog_v2.IMMEDIATE_RETRIES:
        assert pause == 0


def test_an_edit_is_made_anew_on_what_others_left() -> None:
    backend = Overtaken(MemoryBackend())
    catalog = repository(backend)
    backend.times = 3
    catalog.create_branch("mine", INITIAL_SNAPSHOT)
    assert set(catalog.branches()) == {"main", "mine", "other-0", "other-1", "other-2"}
    assert [u.name for u in catalog.ops_log()] == ["mine", "other-0", "other-1", "other-2", None]


def test_whoever_is_always_overtaken_gives_up() -> None:
    backend = Overtaken(MemoryBackend())
    catalog = repository(backend)
    catalog.retries = Retries(max_tries=3, initial_backoff_ms=0, max_backoff_ms=0)
    backend.times = 99
    with pytest.raises(ConflictError, match="3 tries") as caught:
        catalog.create_branch("mine", INITIAL_SNAPSHOT)
    assert caught.value.kind == "update-attempts-exhausted"
    assert backend.times == 96
    assert "mine" not in catalog.branches()


def test_an_unchanged_repository_is_not_read_again() -> None:
    backend = Counting(MemoryBackend())
    catalog = repository(backend)
    catalog.branches()
    backend.reset()
    for _ in range(3):
        assert catalog.branch("main") == INITIAL_SNAPSHOT
    assert backend.requests["fetch", "repo"] == 3  # asked each time,
    assert backend.sizes["fetch", "repo"] == 0  # never sent


def test_what_an_edit_replaces_is_kept() -> None:
    backend = MemoryBackend()
    catalog = repository(backend)
    before = backend.get("repo")
    catalog.create_branch("b", INITIAL_SNAPSHOT)
    newest, first = catalog.ops_log()
    assert newest.backup_path is None
    assert backend.get(f"overwritten/{first.backup_path}") == before


def test_newer_backups_come_first() -> None:
    names = [backup_name("repo", now, INITIAL_SNAPSHOT) for now in (1_000, 2_000, 10**15)]
    assert names == sorted(names, reverse=True)
    assert names[0] == "repo.32503679999999.1CECHNKREP0F1RSTCMT0"


def test_everything_is_durable_before_the_edit_is_visible() -> None:
    order: list[tuple[str, str]] = []

    def note(operation: str, key: str) -> None:
        order.append((operation, key.partition("/")[0]))

    catalog = repository(Faulty(MemoryBackend(), note))
    order.clear()
    catalog.create_branch("b", INITIAL_SNAPSHOT)
    assert order == [("fetch", "repo"), ("copy", "overwritten"), ("sync", ""), ("put", "repo")]


def test_a_repository_that_vanishes_is_missed() -> None:
    backend = MemoryBackend()
    catalog = repository(backend)
    backend.delete(["repo"])
    with pytest.raises(RepositoryNotFoundError) as caught:
        catalog.branches()
    assert caught.value.kind == "repository-not-found"


def test_other_trouble_with_the_storage_is_passed_on() -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: None)
    catalog = repository(backend)
    backend.plan = lambda operation, key: Fault.REFUSED if operation == "fetch" else None
    with pytest.raises(StorageError) as caught:
        catalog.branches()
    assert caught.value.kind == "object-store"


def test_a_damaged_repo_object_is_named() -> None:
    backend = MemoryBackend()
    catalog = repository(backend)
    backend.put("repo", b"nonsense")
    with pytest.raises(FormatError, match="repo"):
        catalog.branches()


def test_an_empty_operations_log_is_no_obstacle() -> None:
    backend = MemoryBackend()
    catalog = repository(backend)
    backend.put("repo", encode_repo_info(replace(catalog.info(), updates=UpdateTable.of([]))))
    catalog.create_branch("b", INITIAL_SNAPSHOT)
    assert [u.name for u in catalog.ops_log()] == ["b"]
