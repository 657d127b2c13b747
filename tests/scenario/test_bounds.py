"""Settings that bound how much goes on at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype

import frazil
from frazil.library import files
from frazil.storage.doubles import Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around


class Busy:
    """The most threads that were at something at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.005)  # for the others to come, if they may
        yield
        with self._lock:
            self._now -= 1


class Slow(Wrapper):
    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.busy = Busy()

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        with self.busy.working():
            return self.inner.get(key, start=start, end=end)


def config(**options: Any) -> frazil.RepositoryConfig:
    one_each = frazil.ManifestSplittingConfig.from_dict(
        {frazil.ManifestSplitCondition.AnyArray(): {frazil.ManifestSplitDimCondition.Any(): 1}}
    )
    made = frazil.RepositoryConfig(
        inline_chunk_threshold_bytes=0,
        manifest=frazil.ManifestConfig(splitting=one_each),
        **options,
    )
    made.packs = frazil.PackConfig.off()
    return made


def written() -> tuple[Any, Slow]:
    """An array of eight chunks, each an object of its own with a manifest of its own."""
    backend = Slow()
    session = frazil.Repository.create(storage_around(backend), config()).writable_session("main")
    made: Any = zarr.create_array(session.store, name="a", shape=16, chunks=2, dtype="i4")
    made[:] = np.arange(16)
    session.commit("data")
    return storage_around(backend), backend


@pytest.mark.parametrize("part", [None, zarr.abc.store.RangeByteRequest(0, 4)])
def test_values_that_are_asked_for_together(part: Any) -> None:
    storage, backend = written()
    keys = [(f"a/c/{i}", part) for i in range(8)]
    for bound in (1, 2):
        repo = frazil.Repository.open(storage, config(get_partial_values_concurrency=bound))
        store = repo.readonly_session("main").store
        store._session._workspace.node("/a")
        for key, _ in keys:
            assert asyncio.run(store.exists(key))  # the manifests are read
        backend.busy = Busy()
        found = asyncio.run(store.get_partial_values(default_buffer_prototype(), keys))
        assert all(value is not None for value in found)
        assert backend.busy.most <= bound


def test_files_that_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, _ = written()
    decode = files.decode_manifest
    busy = Busy()

    def slowly(*args: Any, **kwargs: Any) -> Any:
        with busy.working():
            return decode(*args, **kwargs)

    monkeypatch.setattr(files, "decode_manifest", slowly)
    for bound in (1, 2):
        busy.most = 0
        repo = frazil.Repository.open(storage, config(max_concurrent_decodes=bound))
        array: Any = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")
        assert array[:].tolist() == list(range(16))
        assert 1 <= busy.most <= bound
