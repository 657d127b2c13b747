"""The configuration of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from frazil.arguments import instance_of
from frazil.config.manifests import ManifestConfig
from frazil.config.packs import PackConfig
from frazil.display import Shown
from frazil.settings import U8, U16, U64, Choice, Group, Instance, Kind, Settings
from frazil.storage.settings import StorageRetriesSettings, StorageSettings
from frazil.types import NamedInt
from frazil.virtual import VirtualChunkContainer, checked_container, folder_prefix


class CompressionAlgorithm(NamedInt):
    """How metadata files are compressed."""

    Zstd = 0

    @staticmethod
    def default() -> CompressionAlgorithm:
        """The one used unless configured."""
        return CompressionAlgorithm.Zstd


@dataclass(eq=False, repr=False, slots=True)
class CompressionConfig(Settings):
    """How metadata files are compressed."""

    algorithm: Annotated[
        CompressionAlgorithm | None,
        Choice({CompressionAlgorithm.Zstd: "zstd"}, CompressionAlgorithm.Zstd),
    ] = None
    level: Annotated[int | None, U8(3)] = None

    _public_name: ClassVar[str] = "frazil.config.CompressionConfig"

    @staticmethod
    def default() -> CompressionConfig:
        """With everything unset."""
        return CompressionConfig()


@dataclass(eq=False, repr=False, slots=True)
class CachingConfig(Settings):
    """How much is kept in memory: numbers of things, and bytes.

    A node of a snapshot counts as 512 bytes, a chunk reference and a change of a transaction log
    as 64. Unset, snapshots have 256 MiB, manifests 1 GiB, logs 64 MiB, and chunks nothing.
    """

    num_snapshot_nodes: Annotated[int | None, U64(500_000)] = None
    num_chunk_refs: Annotated[int | None, U64(15_000_000)] = None
    num_transaction_changes: Annotated[int | None, U64(0)] = None
    num_bytes_attributes: Annotated[int | None, U64(0)] = None
    num_bytes_chunks: Annotated[int | None, U64(0)] = None

    _public_name: ClassVar[str] = "frazil.config.CachingConfig"

    @staticmethod
    def default() -> CachingConfig:
        """With everything unset."""
        return CachingConfig()


@dataclass(eq=False, repr=False, slots=True)
class RepoUpdateRetryConfig(Settings):
    """How often an update of the repository is tried when others come first."""

    default: Annotated[
        StorageRetriesSettings | None,
        Group(
            StorageRetriesSettings,
            StorageRetriesSettings(max_tries=100, initial_backoff_ms=50, max_backoff_ms=30_000),
        ),
    ] = None

    _public_name: ClassVar[str] = "frazil.config.RepoUpdateRetryConfig"


class _Containers(Kind):
    """Virtual chunk containers by their URL prefix; a merge replaces all of them."""

    def accept(self, name: str, value: object) -> dict[str, VirtualChunkContainer]:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} takes a dict, not {type(value).__name__}")
        for one in value.values():
            if not isinstance(one, VirtualChunkContainer):
                raise TypeError(
                    f"{name} takes VirtualChunkContainer values, not {type(one).__name__}"
                )
        return dict(value)

    def encode(self, value: dict[str, VirtualChunkContainer]) -> dict[str, Any]:
        return {prefix: one.to_document() for prefix, one in value.items()}

    def decode(self, name: str, document: object) -> dict[str, VirtualChunkContainer]:
        if not isinstance(document, Mapping):
            raise TypeError(f"{name} takes a map, not {type(document).__name__}")
        return {
            str(prefix): VirtualChunkContainer._decoded(f"{name}[{prefix!r}]", one)
            for prefix, one in document.items()
        }


class RepositoryConfig(Settings):
    """The configuration of a repository: everything is optional, None where unset.

    Part of it is stored in the repository; what is given when it is opened comes on top.

    `packs` is Frazil's own, and set as an attribute: Icechunk's configurations lack it. So is
    `verify_reads`: whether chunks are compared with their checksums where these are at hand.
    It concerns only the one who reads, and is not stored.
    """

    __slots__ = (
        "_previous_file",
        "_virtual_chunk_containers",
        "caching",
        "compression",
        "get_partial_values_concurrency",
        "inline_chunk_threshold_bytes",
        "manifest",
        "max_concurrent_decodes",
        "max_concurrent_requests",
        "num_updates_per_repo_info_file",
        "packs",
        "repo_update_retries",
        "storage",
        "verify_reads",
    )
    _public_name: ClassVar[str] = "frazil.config.RepositoryConfig"

    # In the order in which stored documents have them.
    inline_chunk_threshold_bytes: Annotated[int | None, U16(512)]
    get_partial_values_concurrency: Annotated[int | None, U16(10)]
    compression: Annotated[CompressionConfig | None, Group(CompressionConfig, CompressionConfig())]
    max_concurrent_requests: Annotated[int | None, U16(256)]
    max_concurrent_decodes: Annotated[int | None, U16(os.cpu_count() or 1)]
    caching: Annotated[CachingConfig | None, Group(CachingConfig, CachingConfig())]
    storage: Annotated[StorageSettings | None, Group(StorageSettings)]
    _virtual_chunk_containers: Annotated[dict[str, VirtualChunkContainer] | None, _Containers()]
    manifest: Annotated[ManifestConfig | None, Group(ManifestConfig, ManifestConfig())]
    _previous_file: Annotated[str | None, Instance(str)]
    repo_update_retries: Annotated[
        RepoUpdateRetryConfig | None, Group(RepoUpdateRetryConfig, RepoUpdateRetryConfig())
    ]
    num_updates_per_repo_info_file: Annotated[int | None, U16(1000)]
    packs: Annotated[PackConfig | None, Group(PackConfig, PackConfig())]
    verify_reads: Annotated[bool | None, Instance(bool, True)]

    def __init__(
        self,
        inline_chunk_threshold_bytes: int | None = None,
        get_partial_values_concurrency: int | None = None,
        compression: CompressionConfig | None = None,
        max_concurrent_requests: int | None = None,
        caching: CachingConfig | None = None,
        storage: StorageSettings | None = None,
        virtual_chunk_containers: Mapping[str, VirtualChunkContainer] | None = None,
        manifest: ManifestConfig | None = None,
        repo_update_retries: RepoUpdateRetryConfig | None = None,
        num_updates_per_repo_info_file: int | None = None,
        max_concurrent_decodes: int | None = None,
    ) -> None:
        self.inline_chunk_threshold_bytes = inline_chunk_threshold_bytes
        self.get_partial_values_concurrency = get_partial_values_concurrency
        self.compression = compression
        self.max_concurrent_requests = max_concurrent_requests
        self.caching = caching
        self.storage = storage
        containers: Any = virtual_chunk_containers  # which is copied into a dict
        self._virtual_chunk_containers = containers
        self.manifest = manifest
        self._previous_file = None
        self.repo_update_retries = repo_update_retries
        self.num_updates_per_repo_info_file = num_updates_per_repo_info_file
        self.max_concurrent_decodes = max_concurrent_decodes
        self.packs = None
        self.verify_reads = None

    @staticmethod
    def default() -> RepositoryConfig:
        """With everything unset."""
        return RepositoryConfig()

    @property
    def previous_file(self) -> str | None:
        """What stored configurations say under this name; nothing is done with it."""
        return self._previous_file

    @property
    def virtual_chunk_containers(self) -> dict[str, VirtualChunkContainer] | None:
        """The containers by URL prefix, a copy; see `set_virtual_chunk_container`."""
        containers = self._virtual_chunk_containers
        return deepcopy(containers)

    def set_virtual_chunk_container(self, cont: VirtualChunkContainer) -> None:
        """Add a container, in place of the one with its URL prefix or with its name.

        Its prefix is given the "/" at the end that it may lack. ValueError for a prefix that
        does not go with the store.
        """
        cont = deepcopy(checked_container(instance_of(VirtualChunkContainer, "cont", cont)))
        others = {
            prefix: other
            for prefix, other in (self._virtual_chunk_containers or {}).items()
            if cont.name is None or other.name != cont.name
        }
        self._virtual_chunk_containers = others | {cont.url_prefix: cont}

    def get_virtual_chunk_container(self, name: str) -> VirtualChunkContainer | None:
        """The container with this URL prefix, or None."""
        return (self._virtual_chunk_containers or {}).get(folder_prefix(name))

    def clear_virtual_chunk_containers(self) -> None:
        """Set the containers to none at all, which is not the same as unset."""
        self._virtual_chunk_containers = {}

    def to_document(self) -> dict[str, Any]:
        """The plain form, with every key that Icechunk has; `packs` only where it is set.

        `verify_reads` is never stored.
        """
        document = super().to_document()
        del document["verify_reads"]
        if self.packs is None:
            del document["packs"]
        return document

    def merge(self, other: RepositoryConfig) -> RepositoryConfig:
        """A new configuration: that of `other`, and this one's where that is unset.

        Groups are merged field by field, except that `manifest.preload`,
        `manifest.splitting` and the virtual chunk containers replace this one's as a whole.
        """
        return self._merged(instance_of(RepositoryConfig, "other", other))

    def _shown(self) -> Iterable[Shown]:
        shown = {field.name: field for field in super()._shown() if field.name != "previous_file"}
        if self.packs is None:
            del shown["packs"]
        containers = shown.pop("virtual_chunk_containers")
        if self.verify_reads is None:
            del shown["verify_reads"]
        numbers = [name for name in shown if isinstance(shown[name].fallback, int)]
        others = [name for name in shown if name not in numbers]
        return [*(shown[name] for name in [*numbers, *others]), containers]
