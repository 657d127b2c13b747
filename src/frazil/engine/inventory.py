"""Which objects are stored in the folders of ids, how large they are and how old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from frazil.engine.times import microseconds
from frazil.errors import ErrorKind, StorageError
from frazil.format.ragged import sort_keys
from frazil.model.keys import format_ids, parse_ids
from frazil.model.listed import Found, Listed, RawIds, raw_rows
from frazil.model.sweep import Objects
from frazil.model.window import Window
from frazil.progress import Task, task
from frazil.storage.base import Backend, ObjectInfo, Page
from frazil.storage.pool import WORKERS, map_parallel

FOLDERS = ("snapshots", "transactions", "manifests", "chunks")
"""In the order of deletion: nothing is deleted before what refers to it."""


def list_folders(
    backend: Backend, folders: Sequence[str], at_once: int | None = None
) -> dict[str, Listed]:
    """What is in folders of ids; at_once: how many of them are listed together."""
    # On a disk it is work, not waiting, and work is not done faster by more threads.
    limit = 1 if backend.local else at_once or len(folders)
    with task("Listing objects") as progress:
        listed = map_parallel(
            lambda folder: Listed(_pages(backend, folder, progress)), folders, limit=limit
        )
    return dict(zip(folders, listed, strict=True))


def list_window(backend: Backend, folder: str, low: int, most: int) -> tuple[Listed, int | None]:
    """Objects of a folder from the id that begins with `low` on, at most so many.

    Returns as well where the next window begins, None if there is no more.
    """
    window = Window(low, most)
    with task("Listing objects") as progress:
        for page in _pages(backend, folder, progress):
            window.add(page)
    return window.listed(), window.high


def _pages(backend: Backend, folder: str, progress: Task) -> Iterator[Found]:
    for page in backend.pages(folder):
        yield _found(page)
        progress.step(len(page.names))


def _found(page: Page) -> Found:
    ids, valid = parse_ids(page.names)
    if page.sizes is None or page.times is None:
        return Found(ids[valid])
    times = np.fromiter(map(_written_at, page.times), np.int64, len(page.times))
    return Found(ids[valid], np.array(page.sizes, np.int64)[valid], times[valid])


def _written_at(modified: datetime) -> int:
    """The latest time at which it can have been: many storages cut off parts of a second."""
    told = microseconds("last_modified", modified)
    return told if told % 1_000_000 else told + 999_999


def look_at(backend: Backend, folder: str, listed: Listed, rows: npt.NDArray[np.int64]) -> Objects:
    """Sizes and times of some of the listed objects; those that are gone are left out."""
    ids = listed.ids(rows)
    if listed.size is not None and listed.created is not None:
        return Objects(ids, listed.size[rows], listed.created[rows])
    return look_at_ids(backend, folder, raw_rows(ids))


def look_at_ids(backend: Backend, folder: str, ids: RawIds) -> Objects:
    """Sizes and times of the objects of these ids; those that are gone are left out."""
    keys = sort_keys(ids)
    found = map_parallel(
        lambda name: _info(backend, f"{folder}/{name}"),
        format_ids(keys),
        limit=1 if backend.local else WORKERS + 1,
    )
    there = np.array([info is not None for info in found], np.bool_)
    infos = [info for info in found if info is not None]
    return Objects(
        keys[there],
        np.array([info.size for info in infos], np.int64),
        np.array([_written_at(info.last_modified) for info in infos], np.int64),
    )


def _info(backend: Backend, key: str) -> ObjectInfo | None:
    try:
        return backend.info(key)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None  # removed in this moment
