"""Leases: what long writers have stored is not collected, whatever the clocks say."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from frazil.engine.collection import leases as module
from frazil.engine.collection.leases import read_leases
from frazil.storage.base import Backend, ObjectInfo
from frazil.storage.doubles import Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere, storage_around

BYTES = 1_100_000


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def write(repo: Repository, name: str = "a") -> frazil.Session:
    """A session that has stored a chunk and is not committed."""
    session = repo.writable_session("main")
    zarr.create_array(
        session.store,
        name=name,
        data=np.ones(BYTES, "u1"),
        chunks=BYTES,
        compressors=None,
        overwrite=True,
    )
    return session


def leases(repo: Repository) -> set[str]:
    return {info.key for info in repo.storage.backend().list("frazil/leases")}


@everywhere
def test_what_a_lease_keeps(repo: Repository) -> None:
    with repo.lease(hours=2) as lease:
        session = write(repo)
        assert repo.garbage_collect(future()).chunks_deleted == 0
        assert repo.garbage_collect(timedelta(0)).chunks_deleted == 0
        session.commit("late")
        assert leases(repo) == {f"frazil/leases/{lease.id}"}
    assert leases(repo) == set()
    assert zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")[0] == 1
    write(repo, "b")
    assert repo.garbage_collect(future()).chunks_deleted == 1


class Skewed(Wrapper):
    """A storage whose clock is `ahead` of ours."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__(MemoryBackend())
        self.ahead = ahead

    def _later(self, info: ObjectInfo) -> ObjectInfo:
        return ObjectInfo(info.key, info.size, info.last_modified + self.ahead)

    def info(self, key: str) -> ObjectInfo:
        return self._later(super().info(key))

    def list(self, prefix: str = "") -> Any:
        return map(self._later, super().list(prefix))

    def pages(self, folder: str, *, details: bool = False) -> Any:
        return Backend.pages(self, folder, details=details)

    def look_at(self, folder: str, names: Any) -> Any:
        return Backend.look_at(self, folder, names)


@pytest.mark.parametrize("days", [-400, 400])
def test_only_the_clock_of_the_storage_counts(days: int) -> None:
    ahead = timedelta(days=days)
    repo = Repository.create(storage_around(Skewed(ahead)))
    write(repo)
    assert repo.garbage_collect(timedelta(hours=1)).chunks_deleted == 0
    with repo.lease(hours=1) as lease:
        assert abs(lease.started - datetime.now(UTC) - ahead) < timedelta(hours=1)
        kept = write(repo)
        # What was stored before the lease was taken is not kept by it.
        assert repo.garbage_collect(timedelta(hours=-1)).chunks_deleted == 1
        kept.commit("kept")
    assert repo.garbage_collect(timedelta(hours=-1)).chunks_deleted == 0
    write(repo)
    assert repo.garbage_collect(timedelta(hours=-1)).chunks_deleted == 1
    assert not leases(repo)


def lapse(repo: Repository, seconds: float = -2.0) -> None:
    """As if all leases had been taken by somebody who died long ago."""
    backend = repo.storage.backend()
    for info in list(backend.list("frazil/leases")):
        document = json.loads(backend.get(info.key))
        backend.put(info.key, json.dumps(document | {"seconds": seconds}).encode())


def test_a_lease_of_the_dead_lapses(repo: Repository) -> None:
    lease = repo.lease(hours=1)
    write(repo)
    assert repo.garbage_collect(future()).chunks_deleted == 0
    lapse(repo)
    assert repo.garbage_collect(future(), dry_run=True).chunks_deleted == 1
    assert leases(repo)
    assert repo.garbage_collect(future()).chunks_deleted == 1
    assert not leases(repo)
    with pytest.raises(frazil.StorageError, match="has lapsed") as error:
        lease.renew()
    assert error.value.kind == "object-not-found"
    lease.release()


def test_the_oldest_lease_that_holds_counts(repo: Repository) -> None:
    first, second = repo.lease(hours=1), repo.lease(hours=1)
    assert first.started <= second.started
    write(repo)
    first.release()
    assert repo.garbage_collect(future()).chunks_deleted == 0
    second.release()
    assert repo.garbage_collect(future()).chunks_deleted == 1


def test_a_renewed_lease_starts_when_it_was_taken(repo: Repository) -> None:
    lease = repo.lease(hours=1, holder="a test")
    (before,) = read_leases(repo._core.library)
    lease.renew()
    (after,) = read_leases(repo._core.library)
    assert (after.started, after.seconds, after.holder) == (before.started, 3600.0, "a test")
    assert after.renewed >= before.renewed
    assert after.holds(after.renewed + 3_600_000_000)
    assert not after.holds(after.renewed + 3_602_000_000)
    assert "holder: a test" in str(lease)
    assert lease.lasts == timedelta(hours=1)
    lease.release()


def test_a_lease_that_was_cut_short_starts_when_it_was_stored(repo: Repository) -> None:
    """Its writer died between the two requests that make one."""
    lease = repo.lease(hours=1)
    backend = repo.storage.backend()
    key = f"frazil/leases/{lease.id}"
    backend.put(key, json.dumps({"started": None, "seconds": 60, "holder": "?"}).encode())
    (found,) = read_leases(repo._core.library)
    assert found.started == found.renewed
    write(repo)
    assert repo.garbage_collect(future()).chunks_deleted == 0


def test_leases_are_renewed_while_the_block_runs(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    class Ended:
        """Lets the thread renew twice, the second time without success."""

        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            if len(waits) == 2:
                repo.storage.backend().delete(leases(repo))
            return len(waits) == 3

        def set(self) -> None:
            pass

    lease = repo.lease(hours=3)
    (before,) = read_leases(repo._core.library)
    monkeypatch.setattr(lease, "_ended", Ended())
    with caplog.at_level(logging.WARNING, "frazil.leases"):
        lease._keep()
    assert waits == [3600.0] * 3
    assert "had lapsed, and was taken again" in caplog.text
    assert before.started


def test_commits_renew_leases_that_are_due(repo: Repository) -> None:
    session = write(repo)
    clock = repo._core.library.now
    with repo.lease(hours=3) as lease:
        (before,) = read_leases(repo._core.library)
        repo._core.library.now = lambda: clock() + 1_800_000_000
        session.flush("not due")
        assert read_leases(repo._core.library) == [before]
        repo._core.library.now = lambda: clock() + 3_700_000_000
        write(repo, "b").commit("due")
        (after,) = read_leases(repo._core.library)
        assert after.renewed > before.renewed
        assert after.started == before.started == int(lease.started.timestamp() * 1e6)
    assert not leases(repo)


@pytest.mark.parametrize("spec", [1, 2])
@pytest.mark.parametrize("collected", [False, True])
def test_a_commit_notices_that_its_lease_had_lapsed(spec: int, collected: bool) -> None:
    """As it does when a computer was asleep."""
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    clock = repo._core.library.now
    with repo.lease(hours=0.01) as lease:
        session = write(repo)
        session._workspace.writer.flush()  # type: ignore[union-attr]
        lapse(repo)
        if collected:
            other = Repository.open(repo.storage)
            assert other.garbage_collect(future()).chunks_deleted == 1
            assert not leases(repo)
        repo._core.library.now = lambda: clock() + 60_000_000
        if not collected:
            session.commit("all is there")
        else:
            with pytest.raises(frazil.ConflictError, match="1 of 1 objects"):
                session.commit("lost")
        assert leases(repo) == {f"frazil/leases/{lease.id}"}
        (again,) = read_leases(repo._core.library)
        assert again.started == int(lease.started.timestamp() * 1e6)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"started": 1, "seconds": "x", "holder": 1}']
)
def test_a_lease_that_cannot_be_read_ends_a_collection(repo: Repository, data: bytes) -> None:
    write(repo)
    repo.storage.backend().put("frazil/leases/X", data)
    with pytest.raises(frazil.FormatError, match="frazil/leases/X"):
        repo.garbage_collect(future())


def test_what_cannot_be_leased(repo: Repository) -> None:
    with pytest.raises(ValueError, match="above 0"):
        repo.lease(hours=0)
    assert not leases(repo)


def test_who_holds_a_lease_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(module.getpass, "getuser", fail)
    assert module._whoever().startswith("?@")
