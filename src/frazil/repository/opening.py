"""Creating and opening repositories."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self, TypeAlias

from frazil.arguments import instance_of
from frazil.config import Attribution, RepositoryConfig
from frazil.display import brief
from frazil.engine import repository_core
from frazil.engine.access import checked_access, unspecific_access
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ConflictError, InvalidInputError
from frazil.repository.base import RepositoryBase
from frazil.storage import Storage, StorageSettings
from frazil.telemetry import span
from frazil.twins import in_pool, twin
from frazil.types import SpecVersion
from frazil.virtual import checked_container

if TYPE_CHECKING:
    from frazil.credentials import AnyCredential
    from frazil.verification import Level, RepairReport

Authorization: TypeAlias = "Mapping[str, AnyCredential | None] | None"
"""A credential for the URL prefix of each virtual chunk container that may be used."""


class Opening(RepositoryBase):
    """Making a `Repository`, and finding out whether there is one."""

    def __init__(self, repository: RepositoryCore) -> None:
        self._open(repository)

    @classmethod
    def create(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        spec_version: SpecVersion | int | None = None,
        check_clean_root: bool = True,
        attribution: Attribution | None = None,
    ) -> Self:
        """Make a new repository with the branch `main` and one empty snapshot.

        config: stored with the repository if it differs from the default. spec_version: 1 or
        2, the newest by default. Raises `InvalidInputError` if the place is not empty, unless
        `check_clean_root` is False, and `ConflictError` if there is a repository already.
        """
        _check(config, authorize_virtual_chunk_access)
        core = repository_core.create(
            storage,
            config,
            attribution,
            spec=SpecVersion.current() if spec_version is None else spec_version,
            check_clean_root=check_clean_root,
        )
        _authorize(core, authorize_virtual_chunk_access)
        return cls(core)

    @classmethod
    def open(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        attribution: Attribution | None = None,
    ) -> Self:
        """Open a repository; `config` goes over the stored configuration.

        Raises `RepositoryNotFoundError` if there is none, and `ReadOnlyError` if it is
        archived: see `open_archived`.
        """
        _check(config, authorize_virtual_chunk_access)
        with span("frazil.open") as told:
            if told.recording:
                told.note(storage=brief(storage))
            core = repository_core.open_(storage, config, attribution)
            _authorize(core, authorize_virtual_chunk_access)
            return cls(core)

    @staticmethod
    def repair(
        storage: Storage,
        *,
        dry_run: bool = True,
        drop_lost: bool = False,
        branch: str = "main",
        level: Level = "objects",
    ) -> RepairReport:
        """Mend the repo object, manifests and transaction logs, as far as that can be proven.

        Only says what would be done, unless `dry_run` is False. A repo object that is lost,
        damaged or too old is replaced by its newest backup: the last update, of a branch, a tag
        or anything else, may be lost, as the report tells. A lost or damaged manifest is built
        anew from snapshots before and after, transaction logs, and the footers of chunk objects,
        if there is proof that it is the same. A lost or damaged transaction log is told from what
        differs between the snapshot and the one before it, and the report says what cannot be known
        of it. What is replaced is kept in `overwritten/`, and what is healthy is never touched.

        drop_lost: commit to `branch` a version without the chunks that are lost, which are fill
        values then; this also needs `dry_run=False`. level: how chunks are looked at, as for
        `verify`; "data" finds, and drops, those whose bytes are damaged.

        Raises `RepositoryNotFoundError` if there is neither a repository nor a backup of the repo
        object, `FormatError` if no backup will do, `PreconditionFailed` or `ConflictError` if
        somebody has changed the object or the branch meanwhile, `ValueError` for another level.
        """
        from frazil.engine.repairing.repair import Wish, repair
        from frazil.store.decoding import decodable

        if level not in ("metadata", "objects", "data"):
            raise ValueError(f"level is 'metadata', 'objects' or 'data', not {level!r}")
        return repair(storage, Wish(dry_run, branch if drop_lost else None, level), decodable)

    @staticmethod
    async def repair_async(
        storage: Storage,
        *,
        dry_run: bool = True,
        drop_lost: bool = False,
        branch: str = "main",
        level: Level = "objects",
    ) -> RepairReport:
        """As `repair`, awaitable."""
        return await in_pool(
            Opening.repair,
            storage,
            dry_run=dry_run,
            drop_lost=drop_lost,
            branch=branch,
            level=level,
        )

    @classmethod
    def open_archived(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        attribution: Attribution | None = None,
    ) -> Self:
        """Open a repository even if its status is archived; it can be read, and `set_status`.

        Icechunk opens archived repositories as if they were online.
        """
        _check(config, authorize_virtual_chunk_access)
        core = repository_core.open_(storage, config, attribution, even_if_archived=True)
        _authorize(core, authorize_virtual_chunk_access)
        return cls(core)

    @classmethod
    def open_or_create(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        create_version: SpecVersion | int | None = None,
        check_clean_root: bool = True,
        attribution: Attribution | None = None,
    ) -> Self:
        """Open the repository, or make one if there is none; see `create` and `open`.

        Any number of processes may do this at the same time.
        """
        if not cls.exists(storage):
            try:
                return cls.create(
                    storage,
                    config,
                    authorize_virtual_chunk_access,
                    create_version,
                    check_clean_root,
                    attribution,
                )
            except (ConflictError, InvalidInputError):
                if not cls.exists(storage):  # else somebody else has just made it
                    raise
        return cls.open(storage, config, authorize_virtual_chunk_access, attribution)

    @staticmethod
    def exists(storage: Storage, storage_settings: StorageSettings | None = None) -> bool:
        """Whether the storage holds a repository."""
        return repository_core.stored_spec(storage.backend(storage_settings)) is not None

    @staticmethod
    def fetch_spec_version(
        storage: Storage, storage_settings: StorageSettings | None = None
    ) -> SpecVersion | None:
        """The spec version of the repository in the storage; None if there is none."""
        spec = repository_core.stored_spec(storage.backend(storage_settings))
        return None if spec is None else SpecVersion(spec)

    @staticmethod
    def fetch_config(storage: Storage) -> RepositoryConfig | None:
        """The stored configuration; None if none was stored.

        Raises `RepositoryNotFoundError` if there is no repository.
        """
        core = repository_core.open_(storage, None, None, even_if_archived=True)
        document = core.catalog.config_document()
        return None if document is None else RepositoryConfig.from_document(document)

    @classmethod
    async def create_async(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        spec_version: SpecVersion | int | None = None,
        check_clean_root: bool = True,
        attribution: Attribution | None = None,
    ) -> Self:
        """As `create`, awaitable."""
        return await in_pool(
            cls.create,
            storage,
            config,
            authorize_virtual_chunk_access,
            spec_version,
            check_clean_root,
            attribution,
        )

    @classmethod
    async def open_async(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        attribution: Attribution | None = None,
    ) -> Self:
        """As `open`, awaitable."""
        return await in_pool(cls.open, storage, config, authorize_virtual_chunk_access, attribution)

    @classmethod
    async def open_archived_async(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        attribution: Attribution | None = None,
    ) -> Self:
        """As `open_archived`, awaitable."""
        return await in_pool(
            cls.open_archived, storage, config, authorize_virtual_chunk_access, attribution
        )

    @classmethod
    async def open_or_create_async(
        cls,
        storage: Storage,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
        create_version: SpecVersion | int | None = None,
        check_clean_root: bool = True,
        attribution: Attribution | None = None,
    ) -> Self:
        """As `open_or_create`, awaitable."""
        return await in_pool(
            cls.open_or_create,
            storage,
            config,
            authorize_virtual_chunk_access,
            create_version,
            check_clean_root,
            attribution,
        )

    @staticmethod
    async def exists_async(
        storage: Storage, storage_settings: StorageSettings | None = None
    ) -> bool:
        """As `exists`, awaitable."""
        return await in_pool(Opening.exists, storage, storage_settings)

    @staticmethod
    async def fetch_spec_version_async(
        storage: Storage, storage_settings: StorageSettings | None = None
    ) -> SpecVersion | None:
        """As `fetch_spec_version`, awaitable."""
        return await in_pool(Opening.fetch_spec_version, storage, storage_settings)

    @staticmethod
    async def fetch_config_async(storage: Storage) -> RepositoryConfig | None:
        """As `fetch_config`, awaitable."""
        return await in_pool(Opening.fetch_config, storage)

    def reopen(
        self,
        config: RepositoryConfig | None = None,
        authorize_virtual_chunk_access: Authorization = None,
    ) -> Self:
        """Another object for the same repository, with `config` over the current one.

        authorize_virtual_chunk_access: instead of what is authorized now.
        """
        _check(config, authorize_virtual_chunk_access)
        core = self._core
        merged = core.config if config is None else core.config.merge(config)
        other = RepositoryCore(
            core.storage, core.spec, merged, core.attribution, dict(core.default_metadata)
        )
        if authorize_virtual_chunk_access is None:
            other.authorize(core.access)
        else:
            _authorize(other, authorize_virtual_chunk_access)
        return type(self)(other)

    reopen_async = twin(reopen)


def _check(config: RepositoryConfig | None, authorize: Authorization) -> None:
    """Raise what is wrong with the containers and credentials given, before anything is done.

    ValueError, TypeError, `StorageError` (`storage-other`).
    """
    if config is not None:
        instance_of(RepositoryConfig, "config", config)
    containers = list(((config and config.virtual_chunk_containers) or {}).values())
    for container in containers:
        if checked_container(container) is not container:
            raise ValueError(
                f"url_prefix {container.url_prefix!r} must end with '/': add the container with "
                "RepositoryConfig.set_virtual_chunk_container"
            )
    checked_access(authorize or {}, containers)


def _authorize(core: RepositoryCore, access: Authorization) -> None:
    core.authorize(access or {})
    for prefix, advice in unspecific_access(core.access, core.containers).items():
        warnings.warn(
            f"None in authorize_virtual_chunk_access for {prefix!r} is deprecated: give {advice}",
            DeprecationWarning,
            stacklevel=3,
        )
