"""Looking after a repository: what is old, what is left over, what it takes."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frazil.errors import ErrorKind, FormatError
from frazil.repository.base import RepositoryBase
from frazil.twins import twin
from frazil.types import CommitMethod

if TYPE_CHECKING:
    import os

    from frazil.runner import Place
    from frazil.statistics import StorageStatistics
    from frazil.stats import ChunkStorageStats
    from frazil.verification import LastVerification, Level, VerifyReport


class Maintenance(RepositoryBase):
    """Expiration, statistics, verification, and the layout of manifests."""

    def expire_snapshots(
        self,
        older_than: datetime,
        *,
        delete_expired_branches: bool = False,
        delete_expired_tags: bool = False,
        dry_run: bool = False,
    ) -> set[str]:
        """Take snapshots made before `older_than` out of the history; returns their ids.

        The first snapshot and the tips of branches and tags are kept in the history. With
        `delete_expired_branches` and `delete_expired_tags`, branches (never `main`) and tags
        with old tips are deleted. Nothing else is: `garbage_collect` removes the files. dry_run:
        change nothing, only return the ids.
        """
        from frazil.engine.expire import expire_snapshots
        from frazil.engine.times import microseconds

        return expire_snapshots(
            self._core.library,
            self._core.catalog,
            microseconds("older_than", older_than),
            delete_branches=delete_expired_branches,
            delete_tags=delete_expired_tags,
            dry_run=dry_run,
        )

    expire_snapshots_async = twin(expire_snapshots)

    def chunk_storage_stats(
        self,
        *,
        max_snapshots_in_memory: int = 50,
        max_compressed_manifest_mem_bytes: int = 512 * 1024 * 1024,
        max_decoded_manifest_mem_bytes: int = 4 * 1024 * 1024 * 1024,
        max_concurrent_manifest_fetches: int = 500,
    ) -> ChunkStorageStats:
        """Bytes of all chunks that branches and tags lead to, through the whole history.

        A chunk that many snapshots share counts once. Where several chunks share an object,
        each counts; Icechunk counts one for each object.
        """
        from frazil.engine.census import Limits
        from frazil.engine.statistics import chunk_storage_stats

        limits = Limits(
            max_snapshots_in_memory,
            max_compressed_manifest_mem_bytes,
            max_decoded_manifest_mem_bytes,
            max_concurrent_manifest_fetches,
        )
        return chunk_storage_stats(self._core.library, self._core.catalog, limits)

    chunk_storage_stats_async = twin(chunk_storage_stats)

    def statistics(
        self,
        *,
        branch: str | None = None,
        objects: bool = False,
        max_snapshots_in_memory: int = 50,
        max_compressed_manifest_mem_bytes: int = 512 * 1024 * 1024,
        max_decoded_manifest_mem_bytes: int = 4 * 1024 * 1024 * 1024,
        max_concurrent_manifest_fetches: int = 500,
    ) -> StorageStatistics:
        """What chunks take by array, snapshot, kind and age, through the whole history.

            statistics = repo.statistics()
            print(statistics.table("array"))
            statistics.plot("growth.svg")

        branch: only the history of this one; otherwise of all branches and tags. objects: also list
        the objects of chunks, for the dead space in packs and what nothing refers to.

        Each snapshot and manifest is read once, and only what is new the next time it is asked in
        this process (of format 1 all snapshots: only they know what came before them). The limits
        bound what is in memory at a time; beyond them it takes 32 bytes for each distinct chunk.
        Raises `RefNotFoundError` for a branch that is not there.
        """
        from frazil.engine.census import Limits
        from frazil.engine.statistics import storage_statistics

        core = self._core
        limits = Limits(
            max_snapshots_in_memory,
            max_compressed_manifest_mem_bytes,
            max_decoded_manifest_mem_bytes,
            max_concurrent_manifest_fetches,
        )
        return storage_statistics(
            core.library, core.catalog, branch=branch, objects=objects, limits=limits
        )

    statistics_async = twin(statistics)

    def total_chunks_storage(
        self,
        *,
        max_snapshots_in_memory: int = 50,
        max_compressed_manifest_mem_bytes: int = 512 * 1024 * 1024,
        max_decoded_manifest_mem_bytes: int = 4 * 1024 * 1024 * 1024,
        max_concurrent_manifest_fetches: int = 500,
    ) -> int:
        """Deprecated: the `native_bytes` of `chunk_storage_stats`."""
        warnings.warn(
            "total_chunks_storage is deprecated: use chunk_storage_stats().native_bytes",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.chunk_storage_stats(
            max_snapshots_in_memory=max_snapshots_in_memory,
            max_compressed_manifest_mem_bytes=max_compressed_manifest_mem_bytes,
            max_decoded_manifest_mem_bytes=max_decoded_manifest_mem_bytes,
            max_concurrent_manifest_fetches=max_concurrent_manifest_fetches,
        ).native_bytes

    total_chunks_storage_async = twin(total_chunks_storage)

    def verify(
        self,
        level: Level = "objects",
        *,
        branch: str | None = None,
        tag: str | None = None,
        path: str = "/",
        since: datetime | None = None,
        sample: float = 1.0,
        max_memory: int = 1024 * 1024 * 1024,
        resume: str | os.PathLike[str] | None = None,
        on: Place | None = None,
        note: bool = True,
    ) -> VerifyReport:
        """Look whether everything that branches and tags lead to is there and as it was written.

        level: "metadata": all files but chunks can be read and agree with each other; "objects":
        as well, chunk objects are there with enough bytes, and chunks do not overlap; "data": as
        well, the bytes of chunks have the checksums that were written with them, or can be decoded
        where there are none: this reads all chunks. Caches are not used.

        branch, tag: only what these lead to; path: only this node and those below; since: only
        snapshots from then on; sample: the share of chunk objects that "data" reads, above 0.

        max_memory: bytes that references may take, 96 each; if there are more, manifests are
        read several times. resume: a local file in which progress is noted; a verification that
        was interrupted goes on from there: it looks at what it began with, reads no chunk object
        twice, and all other files again. The file is removed at the end. on: a Dask client or an
        executor whose workers read; the storage must be reachable from there. note: write down
        when the whole repository was looked at, for `last_verification`, if the storage can be
        written; nothing else is changed.

        `ValueError` for another level, sample or memory; `InvalidInputError` if `resume` is of
        another verification; `NodeNotFoundError` if no version has the path; errors of the
        storage are raised, unless they are about an object that is missing or too short.
        """
        from frazil.engine.census import check_positive
        from frazil.engine.times import microseconds
        from frazil.engine.verification import record as verify_record
        from frazil.engine.verification.verify import Scope, verify
        from frazil.store.decoding import decodable

        _check_level(level)
        if not 0 < sample <= 1:
            raise ValueError(f"sample is above 0 and at most 1, not {sample}")
        check_positive("memory", max_memory)
        start = 0 if since is None else microseconds("since", since)
        scope = Scope(branch, tag, path, start, sample)
        report = verify(
            self._core,
            level,
            scope,
            memory=max_memory,
            decode=decodable,
            on=on,
            resume=None if resume is None else Path(resume),
        )
        if note and scope.is_whole:
            verify_record.note(self._core.library.place, report, sample)
        return report

    verify_async = twin(verify)

    def last_verification(self, level: Level = "metadata") -> LastVerification | None:
        """The last verification of the whole repository that looked at this much or more.

        None if there was none that is noted. Costs one request. `ValueError` for another level.
        """
        from frazil.engine.verification import record as verify_record

        _check_level(level)
        return verify_record.last(self._core.library.backend, level)

    last_verification_async = twin(last_verification)

    def rewrite_manifests(
        self,
        message: str,
        *,
        branch: str,
        metadata: dict[str, Any] | None = None,
        commit_method: CommitMethod = "new_commit",
    ) -> str:
        """Cut the manifests of the branch as the configuration says now; returns the snapshot.

        Manifests that are cut so already stay. commit_method: "new_commit", or "amend" to put
        the result in the place of the newest commit (spec 2). The splitting that was used is
        noted in the commit's metadata, null if the configuration does not say.
        """
        from frazil.engine.expire import check_writable
        from frazil.engine.rewrite import rewrite_manifests

        if commit_method not in ("new_commit", "amend"):
            raise ValueError(f"commit_method is 'new_commit' or 'amend', not {commit_method!r}")
        core = self._core
        if commit_method == "amend" and core.spec < 2:
            raise FormatError(
                "a spec 1 repository cannot amend: rewrite its manifests as a new commit",
                ErrorKind.UNSUPPORTED_OPERATION_FOR_VERSION,
            )
        check_writable(core.library)
        given = core.default_metadata | (metadata or {})
        document = core.config.to_document()["manifest"] or {}
        own = given.get("__icechunk")
        note = {"splitting_config": document.get("splitting")}
        tagged = given | {"__icechunk": (own if isinstance(own, dict) else {}) | note}
        amend = commit_method == "amend"
        return str(rewrite_manifests(core, branch, message, tagged, amend=amend))

    rewrite_manifests_async = twin(rewrite_manifests)


def _check_level(level: str) -> None:
    if level not in ("metadata", "objects", "data"):
        raise ValueError(f"level is 'metadata', 'objects' or 'data', not {level!r}")
