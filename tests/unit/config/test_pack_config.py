"""How small chunks share objects, as configured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from frazil import PackConfig, RepositoryConfig
from frazil.format.pack import footer_bytes
from frazil.storage.memory import MemoryBackend
from tests.interop.libraries import SPECS, icechunk
from tests.scenario.places import storage_around


def configured(packs: PackConfig | None) -> RepositoryConfig:
    config = RepositoryConfig()
    config.packs = packs
    return config


def objects(packs: PackConfig | None) -> list[int]:
    """The bytes of chunks in each object, of 40 chunks of 1,000 bytes."""
    backend = MemoryBackend()
    repo = frazil.Repository.create(storage_around(backend), configured(packs))
    session = repo.writable_session("main")
    array = zarr.create_array(
        session.store, name="a", shape=(40_000,), chunks=(1000,), dtype="u1", compressors=None
    )
    array[:] = np.arange(40_000) % 250 + 1
    session.commit("chunks")
    assert (array[:] == np.arange(40_000) % 250 + 1).all()
    stored = [backend.get(info.key) for info in backend.list("chunks")]
    return [len(data) - footer_bytes(data) for data in stored]


def test_what_it_does() -> None:
    assert objects(None) == [40_000]
    assert objects(PackConfig(target_bytes=10_000)) == [10_000] * 4
    assert objects(PackConfig(max_chunk_bytes=999)) == [1000] * 40
    assert objects(PackConfig.off()) == [1000] * 40


@pytest.mark.parametrize("spec", [1, 2])
def test_it_is_stored_with_a_repository_where_it_is_set(tmp_path: Path, spec: int) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path))
    config = configured(PackConfig(target_bytes=12345))
    frazil.Repository.create(storage, config, spec_version=spec)
    repo = frazil.Repository.open(storage)
    assert repo.config.packs == PackConfig(12345)
    assert repo.config.effective("packs").effective("max_chunk_bytes") == 1024 * 1024
    if spec in SPECS:
        theirs = icechunk.Repository.open(icechunk.local_filesystem_storage(str(tmp_path)))
        assert theirs.config.inline_chunk_threshold_bytes is None


def test_configurations_without_it_are_as_they_were() -> None:
    assert "packs" not in RepositoryConfig().to_document()
    assert "packs" not in repr(RepositoryConfig())
    assert "packs" in repr(configured(PackConfig.off()))
    merged = configured(PackConfig(1)).merge(configured(PackConfig.off()))
    assert merged.packs == PackConfig(1, 0)
