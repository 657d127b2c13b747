"""Deleting many objects: in batches, several at a time, counting what fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from frazil.errors import ConflictError, ErrorKind, StorageError
from frazil.model.keys import format_ids
from frazil.model.sweep import Objects
from frazil.ops import GCSummary
from frazil.progress import Task
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel

BATCH: Final = 1_000
MAX_TEXTS: Final = 10
THROTTLED_TRIES: Final = 6
PAUSE_SECONDS: Final = 0.1

NAMES: Final = {
    "snapshots": "snapshots",
    "transactions": "transaction_logs",
    "manifests": "manifests",
    "chunks": "chunks",
}
"""How a summary calls what is in each folder."""


class Deleter:
    """Deletes folder by folder; after a folder with failures, later ones are left alone."""

    def __init__(self, backend: Backend, *, parallel: int, failures: int, dry_run: bool) -> None:
        """parallel: requests at once; failures: how many in a row end it all."""
        self._backend = backend
        self._parallel = parallel
        self._limit = failures
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._deleted: dict[str, int] = {}
        self._bytes = 0
        self._failed = 0
        self._in_a_row = 0
        self._throttled = 0
        self._texts: list[str] = []
        self._skipped: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether anything could not be deleted."""
        return self._failed > 0

    def delete(self, folder: str, objects: Objects, progress: Task) -> None:
        """Delete these objects of a folder.

        `ConflictError` (`gc-deletes-failing`) after too many failures one after another.
        """
        name = NAMES[folder]
        if self._failed:
            self._skipped.append(name)
            return
        if self._dry_run:
            self._count(name, len(objects), int(objects.size.sum()))
            return
        size = min(max(-(-len(objects) // self._parallel), 1), BATCH)

        def delete(start: int) -> None:
            batch = objects.take(slice(start, start + size))
            self._batch(folder, batch)
            progress.step(len(batch))

        limit = 1 if self._backend.local else self._parallel
        map_parallel(delete, range(0, len(objects), size), limit=limit)

    def delete_backups(self, sizes: Mapping[str, int], progress: Task) -> None:
        """Delete copies of replaced objects, given by key with their sizes."""
        if self._failed and sizes:
            self._skipped.append("backups")
            return
        keys = list(sizes)
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            if not self._dry_run:
                self._patiently(batch)
            self._count("backups", len(batch), sum(sizes[key] for key in batch))
            progress.step(len(batch))

    def _batch(self, folder: str, batch: Objects) -> None:
        keys, name = [f"{folder}/{id_}" for id_ in format_ids(batch.ids)], NAMES[folder]
        try:
            self._patiently(keys)
        except StorageError:
            # Find out which ones: those that are gone already do not mind.
            for key, size in zip(keys, batch.size.tolist(), strict=True):
                try:
                    self._patiently([key])
                except StorageError as error:
                    self._fail(key, error)
                else:
                    self._count(name, 1, size)
        else:
            self._count(name, len(batch), int(batch.size.sum()))

    def _patiently(self, keys: list[str]) -> None:
        """Delete, and wait where the storage asks for that."""
        for attempt in range(THROTTLED_TRIES):
            try:
                self._backend.delete(keys)
                return
            except StorageError as error:
                if error.kind != ErrorKind.THROTTLED or attempt == THROTTLED_TRIES - 1:
                    raise
                with self._lock:
                    self._throttled += 1
                time.sleep(PAUSE_SECONDS * 2.0**attempt)

    def _count(self, name: str, count: int, size: int) -> None:
        with self._lock:
            self._in_a_row = 0
            self._deleted[name] = self._deleted.get(name, 0) + count
            self._bytes += size

    def _fail(self, key: str, error: StorageError) -> None:
        with self._lock:
            self._failed += 1
            self._in_a_row += 1
            if len(self._texts) < MAX_TEXTS:
                self._texts.append(f"{key}: {error.message}")
            if self._in_a_row >= self._limit:
                raise ConflictError(
                    message=f"{self._in_a_row} objects in a row could not be deleted, the last "
                    f"was {key}: {error.message}; nothing that is needed was touched: find out "
                    "why, and collect again",
                    kind=ErrorKind.GC_DELETES_FAILING,
                ) from error

    def summary(self) -> GCSummary:
        """What has been done."""
        return GCSummary(
            bytes_deleted=self._bytes,
            backups_deleted=self._deleted.get("backups", 0),
            **{f"{name}_deleted": self._deleted.get(name, 0) for name in NAMES.values()},
            objects_failed_to_delete=self._failed,
            throttled_batches=self._throttled,
            delete_errors=self._texts,
            skipped_phases=self._skipped,
        )
