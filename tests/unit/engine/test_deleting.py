"""Deleting in batches: what is counted, what is tried again, when it ends."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from time import sleep

import pytest

from frazil.engine.census import Budget, Limits
from frazil.engine.collection import deleting
from frazil.engine.collection.deleting import Deleter
from frazil.errors import ConflictError, ErrorKind, StorageError
from frazil.ids import ChunkId
from frazil.model.sweep import Objects
from frazil.progress import Task
from frazil.storage.doubles import Wrapper
from frazil.storage.memory import MemoryBackend
from frazil.storage.pool import map_parallel

QUIET = Task("", None, None)


class Stubborn(Wrapper):
    """Refuses to delete some keys: some for ever, some as often as given."""

    def __init__(self, never: set[str], throttled: Counter[str] | None = None) -> None:
        super().__init__(MemoryBackend())
        self.never = never
        self.throttled = throttled or Counter()

    def _delete(self, key: str) -> None:
        if key in self.never:
            raise StorageError(f"no: {key}", ErrorKind.OBJECT_STORE)
        if self.throttled[key] > 0:
            self.throttled[key] -= 1
            raise StorageError("slow down", ErrorKind.THROTTLED)
        super()._delete(key)


def fill(backend: Stubborn, folder: str, count: int) -> tuple[Objects, list[str]]:
    ids = [ChunkId(bytes([i]) + bytes(11)) for i in range(count)]
    for id_ in ids:
        backend.put(f"{folder}/{id_}", b"12345")
    names = list(map(str, ids))
    return Objects.of(names, [5] * count, [0] * count), [f"{folder}/{name}" for name in names]


def deleter(backend: Stubborn, *, failures: int = 50, dry_run: bool = False) -> Deleter:
    return Deleter(backend, parallel=3, failures=failures, dry_run=dry_run)


def left(backend: Stubborn) -> set[str]:
    return {info.key for info in backend.list()}


def test_everything_is_deleted_and_counted() -> None:
    backend = Stubborn(set())
    one = deleter(backend)
    for folder, count in (("snapshots", 2), ("transactions", 3), ("manifests", 4), ("chunks", 5)):
        one.delete(folder, fill(backend, folder, count)[0], QUIET)
    summary = one.summary()
    assert left(backend) == set()
    assert summary.bytes_deleted == 5 * 14
    assert (summary.snapshots_deleted, summary.transaction_logs_deleted) == (2, 3)
    assert (summary.manifests_deleted, summary.chunks_deleted) == (4, 5)
    assert summary.skipped_phases == summary.delete_errors == []


def test_a_dry_run_deletes_nothing() -> None:
    backend = Stubborn(set())
    objects, keys = fill(backend, "chunks", 4)
    one = deleter(backend, dry_run=True)
    one.delete("chunks", objects, QUIET)
    assert one.summary().chunks_deleted == 4
    assert left(backend) == set(keys)


def test_failures_are_counted_and_later_folders_left_alone() -> None:
    backend = Stubborn(set())
    manifests, keys = fill(backend, "manifests", 20)
    chunks, others = fill(backend, "chunks", 2)
    backend.never = set(keys[:12])
    one = deleter(backend)
    one.delete("manifests", manifests, QUIET)
    one.delete("chunks", chunks, QUIET)
    summary = one.summary()
    assert left(backend) == {*keys[:12], *others}
    assert (summary.manifests_deleted, summary.bytes_deleted) == (8, 40)
    assert summary.objects_failed_to_delete == 12
    assert summary.chunks_deleted == 0
    assert summary.skipped_phases == ["chunks"]
    assert len(summary.delete_errors) == 10
    assert all("no: manifests/" in text for text in summary.delete_errors)


def test_too_many_failures_in_a_row_end_it() -> None:
    backend = Stubborn(set())
    objects, keys = fill(backend, "chunks", 30)
    backend.never = set(keys)
    with pytest.raises(ConflictError, match="3 objects in a row") as caught:
        deleter(backend, failures=3).delete("chunks", objects, QUIET)
    assert caught.value.kind == "gc-deletes-failing"


def test_failures_that_are_not_in_a_row_do_not() -> None:
    backend = Stubborn(set())
    objects, keys = fill(backend, "chunks", 30)
    backend.never = set(keys[::2])
    one = Deleter(backend, parallel=1, failures=2, dry_run=False)
    one.delete("chunks", objects, QUIET)
    assert one.summary().objects_failed_to_delete == 15


def test_throttled_requests_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "PAUSE_SECONDS", 0.0)
    backend = Stubborn(set())
    objects, keys = fill(backend, "chunks", 9)
    backend.throttled = Counter({keys[0]: 2, keys[8]: 1})
    one = deleter(backend)
    one.delete("chunks", objects, QUIET)
    assert left(backend) == set()
    assert (one.summary().throttled_batches, one.summary().chunks_deleted) == (3, 9)


def test_what_stays_throttled_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "PAUSE_SECONDS", 0.0)
    backend = Stubborn(set())
    objects, keys = fill(backend, "chunks", 2)
    backend.throttled = Counter({keys[0]: 1000})
    one = deleter(backend)
    one.delete("chunks", objects, QUIET)
    assert one.summary().objects_failed_to_delete == 1
    assert left(backend) == {keys[0]}


def test_a_budget_bounds_what_is_in_use() -> None:
    budget, lock, used, most = Budget(10), Lock(), [0], [0]

    def use(amount: int) -> None:
        with budget.held(amount):
            with lock:
                used[0] += min(amount, 10)
                most[0] = max(most[0], used[0])
            sleep(0)  # let others in
            with lock:
                used[0] -= min(amount, 10)

    map_parallel(use, [3, 7, 100, 1, 9, 10] * 20)
    assert most[0] <= 10


@pytest.mark.parametrize("bad", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, -1)])
def test_limits_below_one_are_refused(bad: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(*bad)
