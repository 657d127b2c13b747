"""Which objects are stored in the folders of ids, how large they are and how old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from frazil.format.ragged import sort_keys
from frazil.model.keys import format_ids, parse_ids
from frazil.model.listed import Found, Listed, RawIds, SortedIds, raw_rows
from frazil.model.sweep import Objects
from frazil.model.window import Window
from frazil.progress import Task, task
from frazil.storage.base import Backend, Page
from frazil.storage.pool import map_parallel

FOLDERS = ("snapshots", "transactions", "manifests", "chunks")
"""In the order of deletion: nothing is deleted before what refers to it."""
_FEW = 200
"""So many objects are looked at one by one; for more of them, their folder is listed."""

Numbers = npt.NDArray[np.int64]


def stored(backend: Backend, folder: str) -> Iterator[Objects]:
    """The objects of a folder that are named by ids, some at a time, in no order.

    Their times are those that the storage tells.
    """
    with task("Listing objects") as progress:
        for page in _pages(backend, folder, progress, details=True):
            assert page.size is not None
            assert page.created is not None
            yield Objects(sort_keys(page.ids), page.size, page.created)


def sizes_of(backend: Backend, folder: str, wanted: SortedIds) -> Numbers:
    """The sizes in bytes of these objects of a folder, -1 for those that are not there."""
    if len(wanted) <= _FEW:
        return backend.look_at(folder, format_ids(wanted.take(slice(None))))[0]
    sizes = np.full(len(wanted), -1, np.int64)
    for objects in stored(backend, folder):
        rows = wanted.find(objects.raw())
        here = rows >= 0
        sizes[rows[here]] = objects.size[here]
    return sizes


def list_folders(
    backend: Backend, folders: Sequence[str], at_once: int | None = None
) -> dict[str, Listed]:
    """What is in folders of ids; at_once: how many of them are listed together.

    Times are the latest that they can be, here and in what else is for a collection.
    """
    # On a disk it is work, not waiting, and work is not done faster by more threads.
    limit = 1 if backend.local else at_once or len(folders)
    with task("Listing objects") as progress:
        listed = map_parallel(
            lambda folder: Listed(map(_at_latest, _pages(backend, folder, progress))),
            folders,
            limit=limit,
        )
    return dict(zip(folders, listed, strict=True))


def list_timed(backend: Backend, folder: str) -> Listed:
    """The same of one folder, with sizes and times, whatever it takes."""
    with task("Listing objects") as progress:
        return Listed(map(_at_latest, _pages(backend, folder, progress, details=True)))


def all_of(backend: Backend, folder: str, listed: Listed) -> Objects:
    """All that is listed, with sizes and times."""
    return look_at(backend, folder, listed, np.arange(len(listed)))


def list_window(backend: Backend, folder: str, low: int, most: int) -> tuple[Listed, int | None]:
    """Objects of a folder from the id that begins with `low` on, at most so many.

    Returns as well where the next window begins, None if there is no more.
    """
    window = Window(low, most)
    with task("Listing objects") as progress:
        for page in map(_at_latest, _pages(backend, folder, progress)):
            window.add(page)
    return window.listed(), window.high


def _pages(
    backend: Backend, folder: str, progress: Task, *, details: bool = False
) -> Iterator[Found]:
    for page in backend.pages(folder, details=details):
        yield _found(page)
        progress.step(len(page.names))


def _found(page: Page) -> Found:
    ids, valid = parse_ids(page.names)
    return Found(
        ids[valid],
        None if page.sizes is None else page.sizes[valid],
        None if page.times is None else page.times[valid],
    )


def _at_latest(found: Found) -> Found:
    return found if found.created is None else replace(found, created=_latest(found.created))


def _latest(times: Numbers) -> Numbers:
    """When it can have been at the latest: many storages cut off parts of a second."""
    return np.where(times % 1_000_000 == 0, times + 999_999, times)


def look_at(backend: Backend, folder: str, listed: Listed, rows: npt.NDArray[np.int64]) -> Objects:
    """Sizes and times of some of the listed objects; those that are gone are left out."""
    ids = listed.ids(rows)
    if listed.size is not None and listed.created is not None:
        return Objects(ids, listed.size[rows], listed.created[rows])
    return look_at_ids(backend, folder, raw_rows(ids))


def look_at_ids(backend: Backend, folder: str, ids: RawIds) -> Objects:
    """Sizes and times of the objects of these ids; those that are gone are left out."""
    keys = sort_keys(ids)
    size, times = backend.look_at(folder, format_ids(keys))
    return Objects(keys, size, _latest(times)).take(size >= 0)
