"""Collection of garbage, and leases that keep what is being written from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.engine.leases import Lease
    from frazil.ops import GCSummary


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
        incremental: bool = False,
        keep_backups: int | None = None,
    ) -> GCSummary:
        """Delete the objects that no branch or tag leads to; only count them in a dry run.

        Objects stored since `delete_object_older_than` are left alone. This must be before the
        start of the longest session that may still be committed and holds no `lease`: what that
        session has stored is not referred to yet. Ages are those that the storage gives. A
        `timedelta` counts back from now by the clock of the storage, whatever this computer's
        says; a `datetime` is compared as it is: leave a margin for clocks that differ.

        incremental: read only what has changed since the last collection that was called so
        (spec 2). It finds what was in the history then and is not needed any more, and leaves
        alone what never was in it, as what sessions have stored that were never committed: let a
        full collection follow now and then. The first one, and each for which the record of the
        last one does not fit, is a full one.

        keep_backups: delete the copies of the replaced repo object and configuration that are in
        `overwritten/`, but for the newest `keep_backups` of each, those that are younger than the
        time given, and those that the log of operations or the history of the configuration
        needs. None: leave all.

        An object stays as a whole while one chunk in it is needed. The limits bound memory and
        requests at a time; `ValueError` for those below one. Raises `ConflictError`
        (`gc-deletes-failing`) after `max_consecutive_delete_failures`.
        """
        from frazil.engine.census import Limits
        from frazil.engine.collect import Options, collect
        from frazil.engine.times import microseconds

        cutoff = delete_object_older_than
        options = Options(
            cutoff
            if isinstance(cutoff, timedelta)
            else microseconds("delete_object_older_than", cutoff),
            dry_run,
            Limits(
                max_snapshots_in_memory,
                max_compressed_manifest_mem_bytes,
                max_decoded_manifest_mem_bytes,
                max_concurrent_manifest_fetches,
            ),
            max_concurrent_deletes,
            max_consecutive_delete_failures,
            max_concurrent_listings,
            incremental,
            keep_backups,
        )
        return collect(self._core.library, self._core.catalog, options)

    garbage_collect_async = twin(garbage_collect)

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
        from frazil.engine.expire import check_writable
        from frazil.engine.leases import Lease

        check_writable(self._core.library)
        return Lease(self._core.library, hours * 3600, holder)
