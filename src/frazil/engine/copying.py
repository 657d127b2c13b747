"""Copying objects from one storage to another, and finding out whether they arrived."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from frazil.engine.census import Budget
from frazil.errors import ErrorKind, StorageError
from frazil.model.keys import Keys, format_ids, parse_ids
from frazil.progress import task
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel

MEMORY = 512 * 1024 * 1024
"""Bytes of objects that are on their way at once."""
_ASSUMED = 8 * 1024 * 1024
"""The size of an object that no listing tells, for the budget."""
_ABSENT = -1


_FEW = 200
"""So many objects are asked for one by one; for more of them, their folder is listed."""

Sizes = npt.NDArray[np.int64]


def sizes_at(backend: Backend, folder: str, ids: Keys) -> Sizes:
    """The sizes in bytes of these objects of a folder, -1 for those that are not there."""
    if len(ids) <= _FEW:
        keys = [f"{folder}/{name}" for name in format_ids(ids)]
        return np.array(map_parallel(lambda key: _size(backend, key), keys), np.int64)
    names, listed = [], []
    for info in backend.list(folder):
        names.append(info.key[len(folder) + 1 :])
        listed.append(info.size)
    raw, valid = parse_ids(names)
    known = np.ascontiguousarray(raw[valid]).view("S12").reshape(-1)
    order = np.argsort(known)
    known, sizes = known[order], np.array(listed, np.int64)[valid][order]
    result = np.full(len(ids), _ABSENT, np.int64)
    if len(known):
        rows = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        found = known[rows] == ids
        result[found] = sizes[rows[found]]
    return result


def _size(backend: Backend, key: str) -> int:
    try:
        return backend.info(key).size
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return _ABSENT


class Copier:
    """Copies objects that are never changed, those that are missing at the target only."""

    def __init__(self, source: Backend, target: Backend, *, compare: bool) -> None:
        self._source = source
        self._target = target
        self._compare = compare
        self._budget = Budget(MEMORY)
        self._lock = threading.Lock()
        self.objects = 0
        self.bytes = 0
        self.present = 0

    def copy(self, folder: str, ids: Keys, *, optional: bool = False, final: bool = True) -> None:
        """Copy these objects of a folder, in parallel, and check that they arrived.

        optional: those that the source does not have are left out. final: an object of the
        same name but another size is damaged, and replaced; otherwise it is left alone.

        Raises `StorageError` if the source lacks one, or if the target does not have all of
        them in their size afterwards.
        """
        found, wanted = sizes_at(self._target, folder, ids), self._at_source(folder, ids)
        present = found != _ABSENT
        if final:
            present &= (found == wanted) | (wanted == _ABSENT)
        with self._lock:
            self.present += int(present.sum())
        rows = np.flatnonzero(~present)
        keys = [f"{folder}/{name}" for name in format_ids(ids[rows])]
        sizes = np.where(wanted[rows] < 0, _ASSUMED, wanted[rows]).tolist()
        with task(f"Copying {folder}", len(keys)) as progress:

            def one(item: tuple[str, int]) -> int:
                with self._budget.held(item[1]):
                    copied = self._one(item[0], optional=optional)
                progress.step()
                return copied

            copied = map_parallel(one, zip(keys, sizes, strict=True))
        self._check(folder, ids[rows], copied)

    def missing(self, folder: str, ids: Keys) -> npt.NDArray[np.bool_]:
        """Which of these objects the target does not have."""
        return np.asarray(sizes_at(self._target, folder, ids) == _ABSENT)

    def _at_source(self, folder: str, ids: Keys) -> Sizes:
        try:
            return sizes_at(self._source, folder, ids)
        except StorageError:  # web servers, for example, have no lists
            return np.full(len(ids), _ABSENT, np.int64)

    def _one(self, key: str, *, optional: bool) -> int:
        try:
            data = self._source.get(key)
        except StorageError as error:
            if optional and error.kind == ErrorKind.OBJECT_NOT_FOUND:
                return _ABSENT
            raise
        self._target.put(key, data)
        if self._compare and self._target.get(key) != data:
            raise _not_arrived([key])
        with self._lock:
            self.objects += 1
            self.bytes += len(data)
        return len(data)

    def _check(self, folder: str, ids: Keys, sizes: list[int]) -> None:
        if not len(ids):
            return
        arrived = sizes_at(self._target, folder, ids)
        lost = np.flatnonzero(arrived != np.array(sizes, np.int64))
        if len(lost):
            raise _not_arrived(f"{folder}/{name}" for name in format_ids(ids[lost[:3]]))


def _not_arrived(keys: Iterable[str]) -> StorageError:
    return StorageError(
        f"objects that were copied are not as they should be at the target: {', '.join(keys)}; "
        "check that storage, and start the copy again: it goes on where it was",
        ErrorKind.STORAGE_OTHER,
    )
