"""`Storage`: a value that says where a repository is."""

from __future__ import annotations

import copy
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import frazil.storage
from frazil.errors import InvalidInputError, StorageError
from frazil.storage import (
    Storage,
    StorageConcurrencySettings,
    StorageRetriesSettings,
    StorageSettings,
    in_memory_storage,
    local_filesystem_storage,
)


def test_local_storages_are_equal_by_their_folder_and_share_a_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = local_filesystem_storage(str(tmp_path / "a"))
    same = [
        local_filesystem_storage("a"),
        Storage.new_local_filesystem(str(tmp_path / "b" / ".." / "a")),
        pickle.loads(pickle.dumps(storage)),
        copy.deepcopy(storage),
    ]
    for other in same:
        assert other == storage
        assert hash(other) == hash(storage)
        assert other.backend() is storage.backend()
    different = local_filesystem_storage("b")
    assert different != storage
    assert different.backend() is not storage.backend()
    assert storage != str(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_in_memory_storages_are_different_places() -> None:
    one, two = in_memory_storage(), Storage.new_in_memory()
    assert one != two
    one.backend().put("repo", b"1")
    assert not two.backend().exists("repo")
    for same in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), copy.copy(one)):
        assert same == one
        assert same.backend().get("repo") == b"1"


def test_an_in_memory_storage_that_is_gone_cannot_be_unpickled() -> None:
    storage = in_memory_storage()
    pickled = pickle.dumps(storage)
    del storage
    with pytest.raises(StorageError, match="lives in the process"):
        pickle.loads(pickled)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_in_memory_storage_does_not_travel_to_another_process() -> None:
    storage = in_memory_storage()
    storage.backend().put("repo", b"1")
    pickled = pickle.dumps(storage)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                pickle.loads(pickled)
            except StorageError:
                again = pickle.loads(pickle.dumps(storage))  # its own copy does
                code = 0 if again.backend().get("repo") == b"1" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_default_settings_are_those_that_icechunk_writes() -> None:
    assert local_filesystem_storage("x").default_settings() == StorageSettings(
        concurrency=StorageConcurrencySettings(5, 4096),
        retries=StorageRetriesSettings(1, 0, 0),
        unsafe_use_conditional_update=False,
        unsafe_use_metadata=False,
    )
    assert in_memory_storage().default_settings() == StorageSettings(
        concurrency=StorageConcurrencySettings(5, 1), retries=StorageRetriesSettings(1, 0, 0)
    )


def test_listing(tmp_path: Path) -> None:
    storage = local_filesystem_storage(str(tmp_path))
    assert storage.list_objects() == []
    for key in ("snapshots/b", "snapshots/a", "repo", "refs/branch.main/ref.json"):
        storage.backend().put(key, key.encode())
    assert storage.list_objects() == [
        ("refs/branch.main/ref.json", 25),
        ("repo", 4),
        ("snapshots/a", 11),
        ("snapshots/b", 11),
    ]
    for prefix in ("snapshots", "snapshots/", "/snapshots/"):
        assert storage.list_objects(prefix=prefix) == [("a", 11), ("b", 11)]
    assert storage.list_objects(StorageSettings(), prefix="refs") == [("branch.main/ref.json", 25)]
    assert storage.list_objects(prefix="snap") == []
    (found,) = storage.list_objects_metadata(prefix="refs/branch.main")
    assert (found.key, found.size_bytes) == ("ref.json", 25)
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(hours=1)
    assert str(found).startswith(
        "<frazil.storage.StorageObjectInfo>\nkey: ref.json\nsize_bytes: 25\ncreated_at: "
    )


def test_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "<frazil.Storage>\ntype: local filesystem\npath: some/where\n"
    storage = local_filesystem_storage("some/where")
    assert repr(storage) == str(storage) == shown
    assert repr(pickle.loads(pickle.dumps(storage))) == shown
    assert repr(in_memory_storage()) == "<frazil.Storage>\ntype: in-memory\n"
    assert "local filesystem" in storage._repr_html_()


def test_what_is_no_storage() -> None:
    with pytest.raises(TypeError, match="in_memory_storage"):
        Storage()
    with pytest.raises(InvalidInputError, match="name a folder"):
        local_filesystem_storage("")


def test_path_objects_are_folders_too(tmp_path: Path) -> None:
    assert local_filesystem_storage(tmp_path) == local_filesystem_storage(str(tmp_path))  # type: ignore[arg-type]


def test_public_names() -> None:
    for name in frazil.storage.__all__:
        assert getattr(frazil.storage, name) is not None
    assert frazil.storage.__all__ == sorted(frazil.storage.__all__)
