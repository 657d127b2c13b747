"""Copying objects from one storage to another, and finding out whether they arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from frazil.engine.census import Budget
from frazil.engine.inventory import Numbers, sizes_of
from frazil.errors import ErrorKind, StorageError
from frazil.model.keys import Keys, KeySet, format_ids
from frazil.model.listed import SortedIds
from frazil.progress import task
from frazil.runner import Place, run
from frazil.storage import Storage, StorageSettings
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel

MEMORY = 512 * 1024 * 1024
"""Bytes of objects that are on their way at once."""
_ASSUMED = 8 * 1024 * 1024
"""The size of an object that no listing tells, for the budget."""
_ABSENT = -1


_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_OBJECTS = 500


@dataclass(frozen=True, slots=True)
class End:
    """A storage at one end of a copy, for a process that has yet to open it."""

    storage: Storage
    settings: StorageSettings | None

    def open(self) -> Backend:
        """The backend, in this process."""
        return self.storage.backend(self.settings)


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, and how: what all steps of a copy share.

    compare: read what was written and compare; optional: what the source does not have is
    left out.
    """

    source: End
    target: End
    compare: bool
    optional: bool


def copy_objects(route: Route, keys: list[str]) -> list[int]:
    """Copy these objects, in parallel; returns their sizes, -1 for those that were left out."""
    source, target = route.source.open(), route.target.open()

    def one(key: str) -> int:
        try:
            data = source.get(key)
        except StorageError as error:
            if route.optional and error.kind == ErrorKind.OBJECT_NOT_FOUND:
                return _ABSENT
            raise
        target.put(key, data)
        if route.compare and target.get(key) != data:
            raise _not_arrived([key])
        return len(data)

    copied = map_parallel(one, keys)
    target.sync()  # nobody else can, if this is not the process that refers to them
    return copied


class Copier:
    """Copies objects that are never changed, those that are missing at the target only.

    on: an executor or a Dask client whose workers copy; None for threads of this process.
    """

    def __init__(self, source: End, target: End, *, compare: bool, on: Place | None = None) -> None:
        self._ends = source, target
        self._source = source.open()
        self._target = target.open()
        self._compare = compare
        self._on = on
        self._budget = Budget(MEMORY)
        self.objects = 0
        self.bytes = 0
        self.present = 0
        self.found: dict[str, KeySet] = {}
        """Those of each folder that were there before."""

    def copy(self, folder: str, ids: Keys, *, optional: bool = False, final: bool = True) -> None:
        """Copy these objects of a folder, in parallel, and check that they arrived.

        optional: those that the source does not have are left out. final: an object of the
        same name but another size is damaged, and replaced; otherwise it is left alone.

        Raises `StorageError` if the source lacks one, or if the target does not have all of
        them in their size afterwards.
        """
        found, wanted = (
            _sizes(self._target, folder, ids),
            self._at_source(folder, ids),
        )
        present = found != _ABSENT
        if final:
            present &= (found == wanted) | (wanted == _ABSENT)
        self.present += int(present.sum())
        self.found.setdefault(folder, KeySet()).add(ids[present])
        rows = np.flatnonzero(~present)
        keys = [f"{folder}/{name}" for name in format_ids(ids[rows])]
        expected = np.where(wanted[rows] < 0, _ASSUMED, wanted[rows]).tolist()
        sizes: list[int] = []
        with task(f"Copying {folder}", len(keys)) as progress:
            for copied in self._run(Route(*self._ends, self._compare, optional), keys, expected):
                sizes += copied
                progress.step(len(copied))
        there = [size for size in sizes if size != _ABSENT]
        self.objects += len(there)
        self.bytes += sum(there)
        self._check(folder, ids[rows], sizes)

    def _run(self, route: Route, keys: list[str], sizes: list[int]) -> Iterator[list[int]]:
        step = partial(copy_objects, route)
        if self._on is not None:
            return run(step, _batches(keys, sizes), on=self._on)

        def one(item: tuple[str, int]) -> list[int]:
            with self._budget.held(item[1]):
                return step([item[0]])

        return run(one, zip(keys, sizes, strict=True))

    def missing(self, folder: str, ids: Keys) -> npt.NDArray[np.bool_]:
        """Which of these objects the target does not have."""
        return np.asarray(_sizes(self._target, folder, ids) == _ABSENT)

    def _at_source(self, folder: str, ids: Keys) -> Numbers:
        try:
            return _sizes(self._source, folder, ids)
        except StorageError:  # web servers, for example, have no lists
            return np.full(len(ids), _ABSENT, np.int64)

    def _check(self, folder: str, ids: Keys, sizes: list[int]) -> None:
        if not len(ids):
            return
        arrived = _sizes(self._target, folder, ids)
        lost = np.flatnonzero(arrived != np.array(sizes, np.int64))
        if len(lost):
            raise _not_arrived(f"{folder}/{name}" for name in format_ids(ids[lost[:3]]))


def _sizes(backend: Backend, folder: str, ids: Keys) -> Numbers:
    return sizes_of(backend, folder, SortedIds.of(ids))


def _batches(keys: list[str], sizes: list[int]) -> Iterator[list[str]]:
    """Parts for one worker each: what is done at once there, and lost if the worker dies."""
    batch: list[str] = []
    held = 0
    for key, size in zip(keys, sizes, strict=True):
        if batch and (held + size > _BATCH_BYTES or len(batch) == _BATCH_OBJECTS):
            yield batch
            batch, held = [], 0
        batch.append(key)
        held += size
    if batch:
        yield batch


def _not_arrived(keys: Iterable[str]) -> StorageError:
    return StorageError(
        f"objects that were copied are not as they should be at the target: {', '.join(keys)}; "
        "check that storage, and start the copy again: it goes on where it was",
        ErrorKind.STORAGE_OTHER,
    )
