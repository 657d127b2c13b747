"""One folder, used by the real Icechunk and by the local storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.storage import osfiles
from frazil.storage.base import CREATE, Update
from frazil.storage.local import LocalBackend
from frazil.storage.rootlock import LOCK_NAME

icechunk = pytest.importorskip("icechunk")

NAMES = ["ü", "a b", "..", ".", "%", "a%20b", "nul\0x", "back\\slash", "q?*", "x#1", "a~b", "日本"]


def create_v1(root: Path) -> icechunk.Repository:
    storage = icechunk.local_filesystem_storage(str(root))
    if icechunk.__version__.startswith("1."):
        return icechunk.Repository.create(storage)
    return icechunk.Repository.create(storage, spec_version=1)


def test_branches_of_any_name_are_found_by_either(tmp_path: Path) -> None:
    repository = create_v1(tmp_path)
    snapshot = repository.lookup_branch("main")
    content = b'{"snapshot":"%s"}' % snapshot.encode()
    for name in NAMES:
        repository.create_branch(name, snapshot)
    backend = LocalBackend(tmp_path)
    keys = {f"refs/branch.{name}/ref.json" for name in [*NAMES, "main"]}
    assert {info.key for info in backend.list("refs")} == keys
    assert {backend.get(key) for key in keys} == {content}
    for name in NAMES:
        backend.put(f"refs/branch.own {name}/ref.json", content, mode=CREATE)
    for name in NAMES:
        assert repository.lookup_branch(f"own {name}") == snapshot


def test_icechunk_does_not_see_the_lock_nor_unfinished_files(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    backend.put("repo", b"gone in a moment", mode=CREATE)
    backend.delete(["repo"])
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks" / osfiles.scratch_name()).write_bytes(b"half")
    assert (tmp_path / LOCK_NAME).exists()
    repository = create_v1(tmp_path)  # refuses a folder with anything in it
    assert repository.lookup_branch("main")


def test_a_hard_linked_backup_survives_a_write_of_icechunk(tmp_path: Path) -> None:
    repository = create_v1(tmp_path)
    repository.save_config()
    backend = LocalBackend(tmp_path)
    found = backend.fetch("config.yaml")
    assert found is not None
    backend.copy("config.yaml", "overwritten/mine", version=found.version)
    repository.create_branch("other", repository.lookup_branch("main"))
    config = icechunk.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 7
    icechunk.Repository.open(
        icechunk.local_filesystem_storage(str(tmp_path)), config=config
    ).save_config()
    changed = backend.fetch("config.yaml", unless=found.version)
    assert changed is not None
    assert b"inline_chunk_threshold_bytes: 7" in changed.data
    assert backend.get("overwritten/mine") == found.data
    backend.put("config.yaml", found.data, mode=Update(changed.version))
