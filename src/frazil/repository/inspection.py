"""Looking into a repository: at files, at those of virtual chunks, at what it has asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frazil.ids import ManifestId, SnapshotId
from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.checkup import Checkup
    from frazil.stats import RepositoryStats


class Inspection(RepositoryBase):
    """Files decoded to plain values, for finding out what is going on.

    Each raises `StorageError` (`object-not-found`) if there is no such file. All begin with a
    `header`: who wrote the file, by which version of the format, and what it is.
    """

    @property
    def stats(self) -> RepositoryStats:
        """What this object and its sessions have asked the storage for, and kept in memory.

        Costs no request. The difference of two of them tells of what went on in between.
        """
        from frazil.stats import CacheStats, RepositoryStats

        library = self._core.library
        requests, read, written = library.meter.totals()
        caches = {
            name: CacheStats(use.hits, use.misses, use.entries, use.nbytes, use.budget)
            for name, use in library.use_of_caches().items()
        }
        return RepositoryStats(requests, read, written, caches)

    def read_file(self, key: str) -> bytes:
        """The bytes of a file as they are stored: `repo`, `snapshots/7B331Z08...`."""
        return self._core.library.backend.get(key)

    read_file_async = twin(read_file)

    def inspect_snapshot(self, snapshot_id: str) -> dict[str, Any]:
        """A snapshot file: message, metadata, manifests, nodes with shapes and manifests."""
        from frazil.engine import inspect

        return inspect.inspect_snapshot(self._core.library, SnapshotId.parse(snapshot_id))

    inspect_snapshot_async = twin(inspect_snapshot)

    def inspect_manifest(self, manifest_id: str) -> dict[str, Any]:
        """A manifest file: the number of references of each kind, in all and for each array."""
        from frazil.engine import inspect

        return inspect.inspect_manifest(self._core.library, ManifestId.parse(manifest_id))

    inspect_manifest_async = twin(inspect_manifest)

    def inspect_transaction_log(self, snapshot_id: str) -> dict[str, Any]:
        """What a commit created, changed, moved and deleted, by node id.

        After an expiration, what the expired commits before it did is included.
        """
        from frazil.engine import inspect

        return inspect.inspect_transaction_log(
            self._core.library, self._core.catalog, SnapshotId.parse(snapshot_id)
        )

    inspect_transaction_log_async = twin(inspect_transaction_log)

    def inspect_repo_info(self) -> dict[str, Any]:
        """The `repo` file: branches, tags, snapshots, latest operations; spec 2 only."""
        from frazil.engine import inspect

        self._v2("the repo file")
        return inspect.inspect_repo_info(self._core.library)

    inspect_repo_info_async = twin(inspect_repo_info)

    def doctor(
        self,
        branch: str | None = None,
        *,
        tag: str | None = None,
        snapshot_id: str | None = None,
        sample: int | None = 100,
    ) -> Checkup:
        """Whether the virtual chunks of a version, that of `main` unless given, can be read.

        Tells which containers there are, which of them lack a credential, which files are
        missing or have changed, and what to do. sample: how many files of each container are
        looked at; None: all of them.
        """
        from frazil.engine.doctor import examine

        if branch is None and tag is None and snapshot_id is None:
            branch = "main"
        core = self._core
        state = core.session(core.resolve(branch, tag, snapshot_id))
        return examine(state.workspace, core.containers, sample)

    doctor_async = twin(doctor)
