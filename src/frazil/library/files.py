"""Typed, cached access to the immutable files of one repository."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, TypeVar
from uuid import UUID
from weakref import WeakSet

from frazil.errors import ErrorKind, FormatError
from frazil.format.history import SnapshotRecord
from frazil.format.manifest import LocationCompression, Manifest, decode_manifest, encode_manifest
from frazil.format.manifest_digest import digest_of
from frazil.format.snapshot import (
    ManifestInfo,
    ManifestTable,
    NodeTable,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from frazil.format.transaction_log import (
    TransactionLog,
    decode_transaction_log,
    encode_transaction_log,
)
from frazil.ids import ManifestId, ObjectId, SnapshotId
from frazil.library.cache import Cache, CacheUse
from frazil.library.chunk_cache import ChunkCached, Range
from frazil.library.uploads import Uploads
from frazil.model.moments import Moment
from frazil.storage.base import OVERWRITE, Backend, PreconditionFailed, PutMode, Update
from frazil.storage.gate import Gate
from frazil.storage.metered import Meter, Metered

Id = TypeVar("Id", bound=ObjectId)
V = TypeVar("V")

SNAPSHOT_BUDGET = 256 * 1024 * 1024
MANIFEST_BUDGET = 1024 * 1024 * 1024
LOG_BUDGET = 64 * 1024 * 1024
_NBYTES = attrgetter("nbytes")


def system_now() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bytes that are kept in memory of snapshots, manifests, transaction logs and chunks."""

    snapshots: int = SNAPSHOT_BUDGET
    manifests: int = MANIFEST_BUDGET
    logs: int = LOG_BUDGET
    chunks: int = 0


class Renewable(Protocol):
    """A lease."""

    def keep_up(self) -> None:
        """Renew it if that is due."""


class Library:
    """Snapshots, manifests and transaction logs by id.

    spec: the version in which new files are written; level: of their zstd compression;
    now: the clock, in microseconds since the Unix epoch; random_bytes: the source of ids.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        spec: int,
        level: int = 3,
        now: Callable[[], int] = system_now,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.meter = Meter()
        self.generation = 0
        self.leases: WeakSet[Renewable] = WeakSet()
        """What this process holds against collections."""
        self.lapses = 0
        """How often one of them had lapsed when it was renewed."""
        self.seen: Moment | None = None
        """Since when snapshots in memory have been read at the earliest, as far as is known."""
        self._chunks: Cache[Range, bytes] = Cache(0, len)
        self.connect(backend)
        self.spec = spec
        self.level = level
        self.location_compression = LocationCompression()
        self.verify_reads = True
        self.decoding = Gate()
        """How many threads decode files at the same time."""
        self.reads_at_once: int | None = None
        """How many reads of `Workspace.get_chunks` go on at the same time, if that is bound."""
        self.now = now
        self.identity: Callable[[], UUID | None] = lambda: None
        """The repository's id as far as it is known without a request."""
        self._random_bytes = random_bytes
        self._snapshots: Cache[SnapshotId, Snapshot] = Cache(SNAPSHOT_BUDGET, _NBYTES)
        self._manifests: Cache[ManifestId, Manifest] = Cache(MANIFEST_BUDGET, _NBYTES)
        self._logs: Cache[SnapshotId, TransactionLog] = Cache(LOG_BUDGET, _NBYTES)

    def connect(
        self, backend: Backend, budgets: Budgets | None = None, at_once: int | None = None
    ) -> None:
        """Use this storage from now on, with at most `at_once` requests at the same time."""
        self.place = backend
        self.backend: Backend = Metered(backend, self.meter, at_once)
        if budgets is not None:
            self._snapshots.resize(budgets.snapshots)
            self._manifests.resize(budgets.manifests)
            self._logs.resize(budgets.logs)
            self._chunks.resize(budgets.chunks)
            if budgets.chunks:
                self.backend = ChunkCached(self.backend, self._chunks)

    def aside(self) -> Library:
        """The same files, with what is read from now on neither counted nor kept here."""
        other = Library(
            self.place,
            spec=self.spec,
            level=self.level,
            now=self.now,
            random_bytes=self._random_bytes,
        )
        other.location_compression = self.location_compression
        other.verify_reads = self.verify_reads
        other.decoding, other.reads_at_once = self.decoding, self.reads_at_once
        other.identity = self.identity
        other.seen = self.seen
        other._snapshots, other._manifests = self._snapshots.copy(), self._manifests.copy()
        other._logs = self._logs.copy()
        return other

    def use_of_caches(self) -> dict[str, CacheUse]:
        """What is in memory, by kind."""
        return {
            "snapshots": self._snapshots.use(),
            "manifests": self._manifests.use(),
            "transaction_logs": self._logs.use(),
            "chunks": self._chunks.use(),
        }

    def new_id(self, kind: type[Id]) -> Id:
        """A new random id."""
        return kind(self._random_bytes(kind.SIZE))

    def new_uuid(self) -> UUID:
        """A new random id for a repository."""
        return UUID(bytes=self._random_bytes(16), version=4)

    def snapshot(self, id_: SnapshotId) -> Snapshot:
        """A snapshot; `StorageError` of kind `object-not-found` if there is no such file.

        `FormatError` if it is another file under this name. So it is for manifests.
        """
        key = f"snapshots/{id_}"
        return self._snapshots.load(
            id_, lambda: _named(id_, self._decoded(decode_snapshot, key), key)
        )

    @property
    def keeps_snapshots(self) -> bool:
        """Whether there is room for any in memory."""
        return self._snapshots.use().budget > 0

    def known_snapshot(self, id_: SnapshotId) -> Snapshot | None:
        """A snapshot if it is in memory."""
        return self._snapshots.get(id_)

    def read_snapshot(self, id_: SnapshotId) -> Snapshot:
        """A snapshot as it is stored now, whatever is in memory or in a cache on disk.

        Two things can change in a snapshot file: the parent, when a spec 1 repository is expired,
        and the manifests, when a history is repacked.
        """
        key = f"snapshots/{id_}"
        fetched = self.backend.fetch(key)
        assert fetched is not None
        snapshot = _named(id_, decode_snapshot(fetched.data, where=key), key)
        self._snapshots.put(id_, snapshot)
        return snapshot

    def forget_snapshots(self) -> None:
        """Read snapshots anew: those in memory may refer to other manifests than the stored ones.

        `generation` counts how often that was so.
        """
        self._snapshots.clear()
        self.generation += 1

    def manifest(self, id_: ManifestId) -> Manifest:
        """A manifest; `StorageError` of kind `object-not-found` if there is no such file."""
        known = self._manifests.get(id_)
        if known is not None:
            return known
        key = f"manifests/{id_}"
        return self._manifests.load(
            id_, lambda: _named(id_, self._decoded(decode_manifest, key), key)
        )

    def known_manifest(self, id_: ManifestId) -> Manifest | None:
        """A manifest if it is in memory."""
        return self._manifests.get(id_)

    def take_as_stored(self, manifest: Manifest) -> None:
        """Answer with this manifest while it is in memory, whatever is stored under its id."""
        self._manifests.put(manifest.id, manifest)

    def transaction_log(self, id_: SnapshotId) -> TransactionLog:
        """What the commit of this snapshot changed.

        `StorageError` of kind `object-not-found` if there is no such file, as for the initial
        snapshot of spec 1 repositories.
        """
        key = f"transactions/{id_}"
        return self._logs.load(id_, lambda: self._decoded(decode_transaction_log, key))

    def _decoded(self, decode: Callable[..., V], key: str) -> V:
        data = self.backend.get(key)
        with self.decoding.passed():
            return decode(data, where=key)

    def snapshot_of(
        self, record: SnapshotRecord, nodes: NodeTable, manifests: ManifestTable
    ) -> Snapshot:
        """The snapshot that the history has this record of; spec 1 writes its parent into it."""
        return Snapshot(
            id=record.id,
            parent_id=record.parent if self.spec == 1 else None,
            flushed_at=record.flushed_at,
            message=record.message,
            metadata=record.metadata,
            nodes=nodes,
            manifests=manifests,
        )

    def write_snapshot(
        self, snapshot: Snapshot, uploads: Uploads | None = None, *, mode: PutMode = OVERWRITE
    ) -> None:
        """Store a new snapshot, with `uploads` in the background, or else on a condition."""
        data = encode_snapshot(snapshot, spec=self.spec, level=self.level)
        key = f"snapshots/{snapshot.id}"
        if uploads is not None:
            uploads.put(key, data)
        else:
            self.backend.put(key, data, mode=mode)
        self._snapshots.put(snapshot.id, snapshot)

    def replace_snapshot(
        self, id_: SnapshotId, change: Callable[[Snapshot], Snapshot | None]
    ) -> bool:
        """Put what `change` makes of a stored snapshot in its place; whether it makes anything.

        If somebody else replaces it in the same moment, `change` gets what that has left. Durable
        when it returns.
        """
        key = f"snapshots/{id_}"
        while True:
            fetched = self.backend.fetch(key)
            assert fetched is not None
            after = change(_named(id_, decode_snapshot(fetched.data, where=key), key))
            if after is None:
                return False
            data = encode_snapshot(after, spec=self.spec, level=self.level)
            try:
                self.backend.put(key, data, mode=Update(fetched.version))
            except PreconditionFailed:
                continue
            self._snapshots.put(id_, after)
            return True

    def write_manifest(self, manifest: Manifest, uploads: Uploads | None = None) -> ManifestInfo:
        """Store a new manifest, with `uploads` in the background.

        Returns what a snapshot has to say of it.
        """
        data = encode_manifest(
            manifest,
            spec=self.spec,
            level=self.level,
            location_compression=self.location_compression,
        )
        (uploads or self.backend).put(f"manifests/{manifest.id}", data)
        self._manifests.put(manifest.id, manifest)
        count = sum(map(len, manifest.arrays.values()))
        # Spec 1 has no place for it.
        digest = digest_of(manifest.arrays) if self.spec > 1 else 0
        return ManifestInfo(manifest.id, size_bytes=len(data), num_refs=count, digest=digest)

    def write_log(self, log: TransactionLog, uploads: Uploads | None = None) -> None:
        """Store a new transaction log, with `uploads` in the background."""
        data = encode_transaction_log(log, spec=self.spec, level=self.level)
        (uploads or self.backend).put(f"transactions/{log.id}", data)
        self._logs.put(log.id, log)


File = TypeVar("File", Snapshot, Manifest)


def _named(id_: ObjectId, file: File, key: str) -> File:
    """The file, if it is the one that belongs under this name."""
    if file.id != id_:
        raise FormatError(
            f"{key} holds {file.id}: it is another file under this name; put the right one back "
            "from a copy of the repository",
            ErrorKind.INVALID_FILE_FORMAT,
        )
    return file
