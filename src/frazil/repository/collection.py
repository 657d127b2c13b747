"""Collection of garbage, and leases that keep what is being written from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.engine.collection.leases import Lease
    from frazil.garbage import GarbageReport
    from frazil.ops import GCSummary
    from frazil.runner import Place


_ID_BYTES = 100
"""What an id takes in memory, with all that is made from it, while a listing is sorted."""


class Collection(RepositoryBase):
    """Deleting what nothing needs, and nothing else."""

    def garbage_collect(
        self,
        delete_object_older_than: datetime | timedelta,
        *,
        dry_run: bool = False,
        max_snapshots_in_memory: int = 50,
        max_compressed_manifest_mem_bytes: int = 512 * 1024 * 1024,
        max_decoded_manifest_mem_bytes: int = 4 * 1024 * 1024 * 1024,
        max_concurrent_manifest_fetches: int = 500,
        max_concurrent_deletes: int = 10,
        max_consecutive_delete_failures: int = 50,
        max_concurrent_listings: int | None = None,
        max_memory_bytes: int | None = None,
        incremental: bool = False,
        keep_backups: int | None = None,
        on: Place | None = None,
    ) -> GCSummary:
        """Delete the objects that no branch or tag leads to; only count them in a dry run.

        Objects stored since `delete_object_older_than` are left alone. This must be before the
        start of the longest session that may still be committed and holds no `lease`: what that
        session has stored is not referred to yet. Ages are those that the storage gives. A
        `timedelta` counts back from now by the clock of the storage, whatever this computer's
        says; a `datetime` is compared as it is: leave a margin for clocks that differ.

        incremental: read only what has changed since the last collection that was called so
        (spec 2): the snapshots that came and went, and the manifests that these alone need. It
        leaves alone what no snapshot was written for, as what sessions have stored that were never
        committed, and files that killed writers did not finish: let a full one follow now and
        then. The first one, and each for which the record of the last one does not fit, is a full
        one: after a full one, a repack of the history, a collection by Icechunk.

        keep_backups: delete the copies of the replaced repo object and configuration that are in
        `overwritten/`, but for the newest `keep_backups` of each, those that are younger than the
        time given, and those that the repo object names: the log of operations ends earlier then,
        but not before twice the number of entries that this holds. None: leave all.

        on: a Dask client or an executor whose workers read the manifests; the storage must be
        reachable from there.

        max_memory_bytes: what the ids of stored chunk objects and the manifests that are being read
        may take, roughly; a manifest that is larger is read alone. If the ids are too many (100
        bytes each while they are sorted), the folder is listed and the manifests are read several
        times, for a range of ids each. None: all ids at once. An incremental collection has the
        record in memory, 16 bytes for each needed object, whatever is given here.

        An object stays as a whole while one chunk in it is needed. The limits bound memory and
        requests at a time; `ValueError` for those below one. Raises `ConflictError`
        (`gc-deletes-failing`) after `max_consecutive_delete_failures`.
        """
        from frazil.engine.census import Limits, check_positive
        from frazil.engine.collection.collect import Options, collect
        from frazil.engine.collection.marking import Elsewhere
        from frazil.engine.copying import End

        core = self._core
        check_positive("memory", max_memory_bytes)
        share = None if max_memory_bytes is None else max(max_memory_bytes // 4, 1)
        compressed, decoded = max_compressed_manifest_mem_bytes, max_decoded_manifest_mem_bytes
        options = Options(
            _cutoff(delete_object_older_than),
            dry_run,
            Limits(
                max_snapshots_in_memory,
                compressed if share is None else min(compressed, share),
                decoded if share is None else min(decoded, share),
                max_concurrent_manifest_fetches,
            ),
            max_concurrent_deletes,
            max_consecutive_delete_failures,
            max_concurrent_listings,
            incremental,
            keep_backups,
            None if on is None else Elsewhere(End(core.storage, core.config.storage), on),
            None if share is None else max(2 * share // _ID_BYTES, 1),
        )
        return collect(core.library, core.catalog, options)

    garbage_collect_async = twin(garbage_collect)

    def garbage_report(
        self,
        delete_object_older_than: datetime | timedelta,
        *,
        incremental: bool = False,
        keep_backups: int | None = None,
    ) -> GarbageReport:
        """What `garbage_collect` with these options would delete, by kind, array and month.

        Changes nothing. To find the arrays it reads the manifests that would go, and of the
        snapshots as many as it takes to know the paths.

            print(repo.garbage_report(timedelta(days=7)))
        """
        from frazil.engine.census import Limits
        from frazil.engine.collection.collect import Options
        from frazil.engine.collection.report import report

        options = Options(
            _cutoff(delete_object_older_than),
            True,
            Limits(50, 512 * 1024 * 1024, 4 * 1024 * 1024 * 1024, 500),
            incremental=incremental,
            keep_backups=keep_backups,
        )
        return report(self._core.library, self._core.catalog, options)

    garbage_report_async = twin(garbage_report)

    def lease(self, *, hours: float = 24.0, holder: str | None = None) -> Lease:
        """Keep what is stored from now on from being collected, while a `with` block runs.

            with repo.lease(hours=6):
                session = repo.writable_session("main")
                ...
                session.commit("after three days")

        For sessions that may take longer than the age that collections leave alone. The block may
        take as long as it likes: a thread renews the lease in the background. If the process dies,
        the lease holds for `hours` more. holder: who it is, for those who look; the user, host and
        process by default.

        Collections by Frazil keep what was stored since the oldest lease that holds was taken, by
        the clock of the storage. Icechunk's do not know leases. Raises `ReadOnlyError` if the
        storage cannot be written.
        """
        from frazil.engine.collection.leases import Lease
        from frazil.engine.expire import check_writable

        check_writable(self._core.library)
        return Lease(self._core.library, hours * 3600, holder)


def _cutoff(given: datetime | timedelta) -> int | timedelta:
    from frazil.engine.times import microseconds

    if isinstance(given, timedelta):
        return given
    return microseconds("delete_object_older_than", given)
