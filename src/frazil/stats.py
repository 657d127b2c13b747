"""How many bytes of chunks a repository refers to; what an opened one has asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from frazil.display import Displayed, Shown, record


@dataclass(frozen=True, repr=False, slots=True)
class ChunkStorageStats(Displayed):
    """Bytes in own objects, in foreign files, and inside manifests; can be added."""

    native_bytes: int = 0
    virtual_bytes: int = 0
    inlined_bytes: int = 0

    _public_name: ClassVar[str] = "frazil.stats.ChunkStorageStats"

    def non_virtual_bytes(self) -> int:
        """Bytes that this repository itself stores."""
        return self.native_bytes + self.inlined_bytes

    def total_bytes(self) -> int:
        """Bytes of all kinds."""
        return self.native_bytes + self.virtual_bytes + self.inlined_bytes

    def __add__(self, other: ChunkStorageStats) -> ChunkStorageStats:
        return ChunkStorageStats(
            self.native_bytes + other.native_bytes,
            self.virtual_bytes + other.virtual_bytes,
            self.inlined_bytes + other.inlined_bytes,
        )

    def _shown(self) -> Iterable[Shown]:
        return record(("native_bytes", "virtual_bytes", "inlined_bytes"), self)


@dataclass(frozen=True, repr=False, slots=True)
class CacheStats(Displayed):
    """How often something was in memory, and how often it was fetched; what is there now."""

    hits: int
    misses: int
    entries: int
    nbytes: int
    budget: int

    _public_name: ClassVar[str] = "frazil.stats.CacheStats"

    def _shown(self) -> Iterable[Shown]:
        return record(("hits", "misses", "entries", "nbytes", "budget"), self)


@dataclass(frozen=True, repr=False, slots=True)
class RepositoryStats(Displayed):
    """What an opened repository has asked its storage for so far.

    requests: their number by operation (`get`, `put`, ...); bytes_read, bytes_written: what they
    brought and took; caches: by kind of file, `snapshots`, `manifests`, `transaction_logs` and
    `chunks`.
    """

    requests: Mapping[str, int]
    bytes_read: int
    bytes_written: int
    caches: Mapping[str, CacheStats]

    _public_name: ClassVar[str] = "frazil.stats.RepositoryStats"

    @property
    def num_requests(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())

    def _shown(self) -> Iterable[Shown]:
        return record(("requests", "bytes_read", "bytes_written", "caches"), self)


@dataclass(frozen=True, repr=False, slots=True)
class ReadEstimate(Displayed):
    """What reading chunks will ask the storage for.

    chunks: those of the selection; initialized: of these, those that have been written; virtual:
    of these, those in other files, whose requests are not counted; manifests: files of references
    to be read, as they are not in memory; requests and bytes_read: of manifests and chunks.
    """

    chunks: int
    initialized: int
    virtual: int
    manifests: int
    requests: int
    bytes_read: int

    _public_name: ClassVar[str] = "frazil.stats.ReadEstimate"

    def _shown(self) -> Iterable[Shown]:
        names = ("chunks", "initialized", "virtual", "manifests", "requests", "bytes_read")
        return record(names, self)


@dataclass(frozen=True, repr=False, slots=True)
class CommitEstimate(Displayed):
    """What a commit will ask the storage for, if nobody else commits meanwhile.

    arrays: those with changed chunks; manifests_read, manifests_written: files of references;
    requests: of all kinds; bytes_read, bytes_written: of everything but the repo object or the
    branch.
    """

    arrays: int
    manifests_read: int
    manifests_written: int
    requests: int
    bytes_read: int
    bytes_written: int

    _public_name: ClassVar[str] = "frazil.stats.CommitEstimate"

    def _shown(self) -> Iterable[Shown]:
        names = ("arrays", "manifests_read", "manifests_written", "requests")
        return record((*names, "bytes_read", "bytes_written"), self)
