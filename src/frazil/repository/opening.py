"""Creating and opening repositories."""

from __future__ import annotations

from typing import Any, Self

from frazil.config import Attribution, RepositoryConfig
from frazil.engine import repository_core
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ConflictError, ErrorKind, InvalidInputError
from frazil.repository.base import RepositoryBase
from frazil.storage import Storage, StorageSettings
from frazil.twins import in_pool, twin
from frazil.types import SpecVersion

Authorization = dict[str, Any] | None


class Opening(RepositoryBase):
    """Making a `Repository`, and finding out whether there is one."""

    def __init__(self, repository: RepositoryCore) -> None:
        self._core = repository

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
        _refuse_authorization(authorize_virtual_chunk_access)
        return cls(
            repository_core.create(
                storage,
                config,
                attribution,
                spec=SpecVersion.current() if spec_version is None else spec_version,
                check_clean_root=check_clean_root,
            )
        )

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
        _refuse_authorization(authorize_virtual_chunk_access)
        return cls(repository_core.open_(storage, config, attribution))

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
        _refuse_authorization(authorize_virtual_chunk_access)
        return cls(repository_core.open_(storage, config, attribution, even_if_archived=True))

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
        return repository_core.stored_spec(storage.backend()) is not None

    @staticmethod
    def fetch_spec_version(
        storage: Storage, storage_settings: StorageSettings | None = None
    ) -> SpecVersion | None:
        """The spec version of the repository in the storage; None if there is none."""
        spec = repository_core.stored_spec(storage.backend())
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
        """Another object for the same repository, with `config` over the current one."""
        _refuse_authorization(authorize_virtual_chunk_access)
        core = self._core
        merged = core.config if config is None else core.config.merge(config)
        return type(self)(
            RepositoryCore(
                core.storage, core.spec, merged, core.attribution, dict(core.default_metadata)
            )
        )

    reopen_async = twin(reopen)


def _refuse_authorization(authorize: Authorization) -> None:
    if authorize:
        raise InvalidInputError(
            "virtual chunk containers cannot be read by this version: leave out "
            "authorize_virtual_chunk_access",
            ErrorKind.UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER,
        )
