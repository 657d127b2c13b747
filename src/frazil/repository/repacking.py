"""Gathering the chunks of existing history into fewer objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.jsonvalue import normalize
from frazil.ids import SnapshotId
from frazil.paths import check_path, is_under
from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.repacking import RepackSummary
    from frazil.runner import Place


class Repacking(RepositoryBase):
    """Small objects into large ones, and dead space out of them."""

    def repack(
        self,
        message: str = "Repack chunks",
        *,
        branch: str | None = None,
        history: bool | Collection[str] = False,
        path: str = "/",
        pattern: str | None = None,
        regex: str | None = None,
        written_before: datetime | None = None,
        written_after: datetime | None = None,
        smaller_than: int | None = None,
        dead: float | None = 0.5,
        together: Sequence[str] = (),
        recompress: int | None = None,
        recompress_saves: float = 0.05,
        metadata: dict[str, Any] | None = None,
        dry_run: bool = False,
        on: Place | None = None,
    ) -> RepackSummary:
        """Gather small chunk objects into packs, and drop the dead space of partly dead ones.

        What it is about: by default the newest version of `branch` (`main`), which gets a commit
        that changes nothing else. history: all versions that the branch leads to, or without one
        all branches and tags; or only the snapshots with these ids. Tips of branches get a commit,
        older snapshots keep their ids and refer to the new objects. In either case old objects
        stay until nothing refers to them and they are collected.

        Which chunks: of arrays at or below `path`, whose path fits `pattern` ("*" stands for
        anything but "/", "**" for anything) and in which `regex` is found; from objects written
        before or after a time that the storage gives; from objects of fewer than `smaller_than`
        bytes (a quarter of a full pack), and from those of which none of the versions needs a
        share of more than `dead` (None: whatever is dead). Virtual and inline chunks stay.

        together: paths of arrays whose chunks are put side by side, for those who read them
        together; others are put array by array, in the order of their coordinates. recompress: a
        level; where a sample of an array gets smaller by `recompress_saves` or more, its chunks
        are compressed anew, if they end in zstd, gzip, zlib or blosc, which read any level.

        Others may read and commit meanwhile. A repack that was interrupted finds what it has
        stored when it is repeated within a day. on: a Dask client or an executor whose workers
        copy the chunks. dry_run: only say what would happen.

            summary = repo.repack(history=True, dry_run=True)
            print(summary.objects_before, summary.objects_after)

        Raises `FormatError` (`chunk-corrupted`) for a chunk that is damaged, `StorageError` for
        one that cannot be read, `ConflictError` if others commit all the time,
        `SnapshotNotFoundError` for an id that is not in the history, `ValueError` for numbers that
        make no sense.
        """
        from frazil.engine.census import check_positive
        from frazil.engine.repacking.publish import Note
        from frazil.engine.repacking.repack import Anew, Options, repack

        check_positive("smaller_than", smaller_than)
        check_positive("recompress", recompress)
        if dead is not None and not 0 <= dead < 1:
            raise ValueError(f"dead is at least 0 and below 1, not {dead}")
        if not 0 <= recompress_saves < 1:
            raise ValueError(f"recompress_saves is at least 0 and below 1, not {recompress_saves}")
        older = history is not False
        ids = None if isinstance(history, bool) else frozenset(map(SnapshotId.parse, history))
        options = Options(
            branch=branch if branch is not None or older else "main",
            older=older,
            snapshots=ids,
            chosen=_chosen(path, pattern, regex),
            together=tuple(check_path("/" + one.strip("/")) for one in together),
            smaller_than=smaller_than,
            dead=dead,
            before=_time("written_before", written_before),
            after=_time("written_after", written_after),
            anew=None if recompress is None else Anew(recompress, recompress_saves),
            note=Note(message, normalize(self._core.default_metadata | (metadata or {}))),
            dry_run=dry_run,
        )
        return repack(self._core, options, on)

    repack_async = twin(repack)


def _time(name: str, value: datetime | None) -> int | None:
    from frazil.engine.times import microseconds

    return None if value is None else microseconds(name, value)


def _chosen(path: str, pattern: str | None, regex: str | None) -> Callable[[str], bool]:
    """Whether an array at a path is meant."""
    from frazil.model.globs import compile_glob

    top = check_path("/" + path.strip("/"))
    glob = None if pattern is None else compile_glob(pattern)
    try:
        found = None if regex is None else re.compile(regex)
    except re.error as error:
        raise InvalidInputError(
            f"the regular expression {regex!r} cannot be used: {error}", ErrorKind.INVALID_PATH
        ) from error

    def chosen(array: str) -> bool:
        return (
            is_under(array, top)
            and (glob is None or glob.fullmatch(array) is not None)
            and (found is None or found.search(array) is not None)
        )

    return chosen
