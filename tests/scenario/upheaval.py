"""A repository whose objects age when told to, and what upkeep does behind a writer's back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import zarr
from typing_extensions import override

import frazil
from frazil import PackConfig, Repository, RepositoryConfig
from frazil.storage.base import Backend, Numbers, ObjectInfo, Page
from frazil.storage.memory import MemoryBackend
from frazil.storage.wrapper import Wrapper
from tests.scenario.places import storage_around

YEAR = timedelta(days=365)
HOUR = timedelta(hours=1)


class Aging(Wrapper):
    """What is there when `grow_old` is called was written some time before it was."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self._ages: dict[str, timedelta] = {}
        self.before: Callable[[str, str], None] = lambda operation, key: None

    def grow_old(self, by: timedelta = YEAR) -> None:
        for info in self.inner.list():
            self._ages.setdefault(info.key, by)

    def _aged(self, info: ObjectInfo) -> ObjectInfo:
        age = self._ages.get(info.key, timedelta(0))
        return replace(info, last_modified=info.last_modified - age)

    @override
    def request(self, operation: str, key: str, call: Any, sent: int = 0) -> Any:
        self.before(operation, key)
        if operation == "put":
            self._ages.pop(key, None)
        return super().request(operation, key, call, sent)

    @override
    def info(self, key: str) -> ObjectInfo:
        return self._aged(super().info(key))

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return map(self._aged, super().list(prefix))

    @override
    def pages(self, folder: str, *, details: bool = False) -> Iterator[Page]:
        return Backend.pages(self, folder, details=details)

    @override
    def look_at(self, folder: str, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        return Backend.look_at(self, folder, names)

    def once(self, operation: str, start: str, act: Callable[[], object]) -> list[bool]:
        """Act before the first request of a kind to a key that begins so; whether it was done."""
        done: list[bool] = []

        def look(of: str, key: str) -> None:
            if of == operation and key.startswith(start) and not done:
                done.append(True)
                act()

        self.before = look
        return done


def singly() -> RepositoryConfig:
    """An object for each chunk, however small."""
    config = RepositoryConfig(inline_chunk_threshold_bytes=0)
    config.packs = PackConfig.off()
    return config


class Ground:
    """`u` and `v` of 8 chunks each, in two commits on `main`, all of it a year old."""

    def __init__(self, spec: int) -> None:
        self.backend = Aging()
        self.storage = storage_around(self.backend)
        repo = Repository.create(self.storage, singly(), spec_version=spec)
        for i in range(2):
            session = repo.writable_session("main")
            root = zarr.open_group(session.store, mode="a")
            for k, name in enumerate("uv"):
                array = root.require_array(name, shape=(8, 4), chunks=(1, 4), dtype="i4")
                array[:] = 10 * k + i + 1
            session.commit(f"commit {i}")
        self.backend.grow_old()

    def open(self) -> Repository:
        return Repository.open(self.storage, singly())

    def collect(self, grace: timedelta = HOUR) -> frazil.ops.GCSummary:
        """Somebody deletes what is older than that and not needed."""
        return self.open().garbage_collect(grace)

    def commit(self, message: str = "meanwhile", branch: str = "main") -> str:
        """Somebody commits something that is in nobody's way."""
        session = self.open().writable_session(branch)
        zarr.open_group(session.store).attrs[message] = 1
        return session.commit(message)

    def upheaval(self, branch: str = "main") -> None:
        """The tip gets other manifests, its old ones are deleted, and it is the tip again."""
        repo = self.open()
        tip = repo.lookup_branch(branch)
        self.commit(branch=branch)
        done = repo.repack(history=True)
        assert done.snapshots_rewritten
        gone = self.collect()
        assert gone.manifests_deleted
        assert gone.chunks_deleted
        repo.reset_branch(branch, tip)

    def check(self, branch: str = "main") -> dict[str, np.ndarray[Any, Any]]:
        """Nothing that any branch leads to is missing; what is on one."""
        repo = self.open()
        found = repo.verify("data")
        assert found.is_healthy, str(found)
        root = zarr.open_group(repo.readonly_session(branch).store, mode="r")
        return {name: np.asarray(root[name]) for name in "uv"}

    def is_as_before(self) -> bool:
        """Whether the newest version on `main` is the second commit."""
        return next(iter(self.open().ancestry(branch="main"))).message == "commit 1"


def now() -> datetime:
    return datetime.now(UTC)
