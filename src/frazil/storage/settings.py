"""How a storage is used: values, which repositories keep in their configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from typing_extensions import override

from frazil.display import Displayed, Shown, record
from frazil.settings import (
    U32,
    U64,
    Choice,
    Group,
    Instance,
    PositiveU16,
    PositiveU64,
    Settings,
)
from frazil.types import NamedInt


class ChecksumAlgorithm(NamedInt):
    """The checksum that S3 is asked to keep of each object."""

    Crc32 = 0
    Crc32c = 1
    Crc64Nvme = 2
    Sha1 = 3
    Sha256 = 4


_CHECKSUM_NAMES = {
    ChecksumAlgorithm.Crc32: "crc32",
    ChecksumAlgorithm.Crc32c: "crc32c",
    ChecksumAlgorithm.Crc64Nvme: "crc64_nvme",
    ChecksumAlgorithm.Sha1: "sha1",
    ChecksumAlgorithm.Sha256: "sha256",
}


@dataclass(eq=False, repr=False, slots=True)
class StorageConcurrencySettings(Settings):
    """How one large object is read: at most so many requests at once, of about so many bytes."""

    max_concurrent_requests_for_object: Annotated[int | None, PositiveU16(18)] = None
    ideal_concurrent_request_size: Annotated[int | None, PositiveU64(12_582_912)] = None

    _public_name: ClassVar[str] = "frazil.storage.StorageConcurrencySettings"


@dataclass(eq=False, repr=False, slots=True)
class StorageRetriesSettings(Settings):
    """How often a request is tried, the first time included, and the pauses in between."""

    max_tries: Annotated[int | None, PositiveU16(10)] = None
    initial_backoff_ms: Annotated[int | None, U32(100)] = None
    max_backoff_ms: Annotated[int | None, U32(180_000)] = None

    _public_name: ClassVar[str] = "frazil.storage.StorageRetriesSettings"


@dataclass(eq=False, repr=False, slots=True)
class StorageTimeoutSettings(Settings):
    """How long requests to S3 may take, in milliseconds; what is unset is left to the client."""

    connect_timeout_ms: Annotated[int | None, U32()] = None
    read_timeout_ms: Annotated[int | None, U32()] = None
    operation_timeout_ms: Annotated[int | None, U32()] = None
    operation_attempt_timeout_ms: Annotated[int | None, U32()] = None

    _public_name: ClassVar[str] = "frazil.storage.StorageTimeoutSettings"


@dataclass(eq=False, repr=False, slots=True)
class StorageSettings(Settings):
    """How a storage is used.

    The two specific storage classes fall back to `storage_class`;
    `minimum_size_for_multipart_upload` is in bytes.
    """

    concurrency: Annotated[
        StorageConcurrencySettings | None,
        Group(StorageConcurrencySettings, StorageConcurrencySettings()),
    ] = None
    retries: Annotated[
        StorageRetriesSettings | None, Group(StorageRetriesSettings, StorageRetriesSettings())
    ] = None
    unsafe_use_conditional_create: Annotated[bool | None, Instance(bool, True)] = None
    unsafe_use_conditional_update: Annotated[bool | None, Instance(bool, True)] = None
    unsafe_use_metadata: Annotated[bool | None, Instance(bool, True)] = None
    storage_class: Annotated[str | None, Instance(str)] = None
    metadata_storage_class: Annotated[str | None, Instance(str)] = None
    chunks_storage_class: Annotated[str | None, Instance(str)] = None
    minimum_size_for_multipart_upload: Annotated[int | None, U64(104_857_600)] = None
    timeouts: Annotated[StorageTimeoutSettings | None, Group(StorageTimeoutSettings)] = None

    _public_name: ClassVar[str] = "frazil.storage.StorageSettings"

    def merge(self, other: StorageSettings) -> StorageSettings:
        """New settings: those of `other`, and these where `other` has none, field by field."""
        return self._merged(other)

    @override
    def _shown(self) -> Iterable[Shown]:
        # Single values before groups.
        return sorted(Settings._shown(self), key=lambda shown: shown.name in _GROUPS)


_GROUPS = frozenset({"concurrency", "retries", "timeouts"})


@dataclass(eq=False, repr=False, slots=True)
class S3Options(Settings):
    """Where an S3 service is and how to talk to it."""

    region: Annotated[str | None, Instance(str)] = None
    endpoint_url: Annotated[str | None, Instance(str)] = None
    allow_http: Annotated[bool, Instance(bool)] = False
    anonymous: Annotated[bool, Instance(bool)] = False
    force_path_style: Annotated[bool, Instance(bool)] = False
    network_stream_timeout_seconds: Annotated[int | None, U32()] = None
    requester_pays: Annotated[bool, Instance(bool)] = False
    checksum_algorithm: Annotated[ChecksumAlgorithm | None, Choice(_CHECKSUM_NAMES)] = None

    _public_name: ClassVar[str] = "frazil.storage.S3Options"

    @override
    def __setattr__(self, name: str, value: object) -> None:
        if value is None and name in _S3_FLAGS:
            raise TypeError(f"S3Options.{name} takes a bool, not None")
        Settings.__setattr__(self, name, value)


_S3_FLAGS = frozenset({"allow_http", "anonymous", "force_path_style", "requester_pays"})


@dataclass(frozen=True, slots=True, repr=False)
class StorageObjectInfo(Displayed):
    """An object in a listing; `created_at` is the time of its last write (aware, UTC)."""

    key: str
    size_bytes: int
    created_at: datetime

    _public_name: ClassVar[str] = "frazil.storage.StorageObjectInfo"

    @override
    def _shown(self) -> Iterable[Shown]:
        return record(("key", "size_bytes", "created_at"), self)
