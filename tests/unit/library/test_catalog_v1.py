"""References in files of their own: races, and histories that are no histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from frazil.errors import ConflictError, ErrorKind, IcechunkError, RefNotFoundError, StorageError
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import initial_snapshot
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library import catalog_v1
from frazil.library.catalog_v1 import CatalogV1
from frazil.library.files import Library
from frazil.storage.doubles import Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend

A, B, C = (SnapshotId(bytes([i]) * 12) for i in range(1, 4))


class Overtaken(Wrapper):
    """Does something else before the next put of a reference."""

    before: Callable[[], object] | None = None

    def put(self, key, data, *, mode=None, content_type=None):  # type: ignore[no-untyped-def]
        before, self.before = self.before, None
        if before is not None and key.startswith("refs/"):
            before()
        return self.inner.put(key, data, mode=mode, content_type=content_type)


@pytest.fixture
def backend() -> Overtaken:
    return Overtaken(MemoryBackend())


@pytest.fixture
def library(backend: Overtaken) -> Library:
    library = Library(backend, spec=1)
    root = initial_snapshot(5)
    library.write_snapshot(root)
    for id_, parent in ((A, INITIAL_SNAPSHOT), (B, A), (C, A)):
        library.write_snapshot(replace(root, id=id_, parent_id=parent))
    catalog_v1.create(library)
    return library


@pytest.fixture
def catalog(library: Library) -> CatalogV1:
    return CatalogV1(library)


def record(id_: SnapshotId, parent: SnapshotId) -> SnapshotRecord:
    return SnapshotRecord(id_, parent, 5, "a commit", {}, ())


def test_only_what_is_named_like_a_reference_is_one(catalog: CatalogV1, backend: Overtaken) -> None:
    catalog.create_tag("t", A)
    # The second is what Icechunk 1.1 makes of the tag `a\\b` on S3.
    for key in ("refs/branch.x/notes", "refs/tag.a/b/ref.json", "refs/README", "refs/tag.y/ref"):
        backend.put(key, b"?")
    assert catalog.branches() == {"main": INITIAL_SNAPSHOT}
    assert catalog.tags() == {"t": A}


def test_a_reset_that_is_overtaken_is_made_all_the_same(
    catalog: CatalogV1, backend: Overtaken
) -> None:
    backend.before = lambda: catalog.reset_branch("main", A, None)
    catalog.reset_branch("main", B, None)
    assert catalog.branch("main") == B


def test_unless_it_asks_for_the_former_tip(catalog: CatalogV1, backend: Overtaken) -> None:
    backend.before = lambda: catalog.reset_branch("main", A, None)
    with pytest.raises(ConflictError) as caught:
        catalog.reset_branch("main", B, INITIAL_SNAPSHOT)
    assert caught.value.kind == "branch-update-conflict"
    assert catalog.branch("main") == A


def test_a_commit_that_is_overtaken_is_told_by_whom(catalog: CatalogV1, backend: Overtaken) -> None:
    catalog.reset_branch("main", A, None)
    backend.before = lambda: catalog.add_commit("main", record(B, A))
    with pytest.raises(ConflictError) as caught:
        catalog.add_commit("main", record(C, A))
    assert caught.value.kind == "commit-conflict"
    assert (caught.value.expected_parent, caught.value.actual_parent) == (str(A), str(B))


def test_a_commit_to_a_branch_that_goes_meanwhile(catalog: CatalogV1, backend: Overtaken) -> None:
    catalog.create_branch("dev", A)
    backend.before = lambda: catalog.delete_branch("dev")
    with pytest.raises(RefNotFoundError) as caught:
        catalog.add_commit("dev", record(B, A))
    assert caught.value.kind == "branch-not-found"
    assert set(catalog.branches()) == {"main"}


def test_a_tag_is_deleted_once(catalog: CatalogV1, backend: Overtaken) -> None:
    catalog.create_tag("t", A)
    backend.before = lambda: catalog.delete_tag("t")
    with pytest.raises(RefNotFoundError):
        catalog.delete_tag("t")
    assert catalog.tags() == {}


def test_everything_is_durable_before_a_reference_is_changed(library: Library) -> None:
    order: list[tuple[str, str]] = []

    def note(operation: str, key: str) -> None:
        order.append((operation, key))

    catalog = CatalogV1(Library(Faulty(library.backend, note), spec=1))
    catalog.add_commit("main", record(A, INITIAL_SNAPSHOT))
    assert order[-2:] == [("sync", ""), ("put", "refs/branch.main/ref.json")]
    order.clear()
    catalog.add_detached(record(B, A))
    assert order == [("sync", "")]


def test_a_snapshot_that_is_its_own_ancestor_is_no_endless_history(library: Library) -> None:
    library.write_snapshot(replace(initial_snapshot(5), id=A, parent_id=B))
    catalog = CatalogV1(library)
    with pytest.raises(IcechunkError, match="its own ancestor") as caught:
        list(catalog.ancestry(B))
    assert caught.value.kind == ErrorKind.STORAGE_OTHER


def test_trouble_with_the_storage_is_no_missing_branch(library: Library) -> None:
    plan = lambda operation, key: Fault.REFUSED  # noqa: E731
    catalog = CatalogV1(Library(Faulty(library.backend, plan), spec=1))
    for call in (lambda: catalog.branch("main"), catalog.config_document):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.kind == "object-store"
