"""Removing something from all of history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.purging import PurgeReport


class Purging(RepositoryBase):
    """What must not be kept, such as data of people who do not want that."""

    def purge(
        self,
        path: str,
        *,
        region: slice | tuple[slice, ...] | None = None,
        attribute: str | None = None,
        whole_chunks: bool = False,
        dry_run: bool = True,
    ) -> PurgeReport:
        """Remove an array, some of its elements, or an attribute from all of history, for good.

        path: an array, or a group with all below; whatever ever was there is concerned, also where
        it was moved to. region: only these elements of an array, in the coordinates of each
        version; they read as fill value then. attribute: only this one, of this array or group.

        Only says what it takes, unless `dry_run` is False. Spec 2 only (`FormatError`): migrate
        first. Snapshots that told of it are written anew under other ids, branches and tags follow
        in one step, and the old files, with the backups that name them, are deleted at once.
        Objects that hold other chunks, too, are written anew without it. Then every file is read to
        see that nothing is left: `report.is_clean`, `report.remaining`. All chunk objects are
        listed and the ends of each read; files of metadata are read whole, several times.

        Chunks that have elements of a region and others are decoded, filled and encoded by the
        codecs that the array has in each version, a dry run included; one that then has nothing but
        fill value is dropped. Of those in foreign files the rest becomes the repository's own, and
        the files stay as they are (`report.foreign_files`). whole_chunks: purge them with all that
        is in them, undecoded: for codecs that are not at hand, and files that are not.

        Sessions on such snapshots cannot read or commit any more (`ConflictError`): they have to
        begin anew. Nobody should write meanwhile, since what a session has stored of it and not yet
        committed may come after the look. Copies, and caches on other machines, are not reached.

        Raises, before anything has changed: `NodeNotFoundError` if nothing ever was at the path;
        `InvalidInputError` for what is no region of all versions, chunks that cannot be decoded
        here, and bytes that are to go and are those of another chunk, too; `FormatError`
        (`chunk-corrupted`) and `StorageError` for a chunk that is damaged or cannot be read.

            repo.purge("/people/names", dry_run=False).is_clean
        """
        from frazil.engine.purging.purge import purge
        from frazil.store.erasing import Eraser

        if region is not None and attribute is not None:
            raise ValueError("give a region or an attribute, not both")
        catalog = self._v2("removing something from all of history")
        parts = (region,) if isinstance(region, slice) else region
        return purge(
            self._core,
            catalog,
            path,
            region=parts,
            attribute=attribute,
            whole_chunks=whole_chunks,
            make_eraser=Eraser,
            dry_run=dry_run,
        )

    purge_async = twin(purge)
