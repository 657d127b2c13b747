"""Repositories: creating and opening them, their branches, tags, history and sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Self, TypeVar

from frazil.config import Attribution, RepositoryConfig
from frazil.conflicts import ConflictSolver
from frazil.display import Displayed, Shown, record
from frazil.engine import repository_core
from frazil.engine.history import diff_between
from frazil.engine.ops_log import public_update
from frazil.engine.repository_core import EPOCH, RepositoryCore
from frazil.errors import ConflictError, ErrorKind, InvalidInputError
from frazil.format.history import SnapshotRecord
from frazil.graph import GraphRow
from frazil.ids import SnapshotId
from frazil.library.catalog import needs_spec_2
from frazil.library.catalog_v2 import CatalogV2
from frazil.ops import Update
from frazil.session import Session
from frazil.snapshots import AncestryGraph, Diff, ManifestFileInfo, SnapshotInfo
from frazil.storage import Storage, StorageSettings
from frazil.store import IcechunkStore
from frazil.store.iterators import AsyncCloseableIterator
from frazil.twins import in_pool, twin
from frazil.types import SpecVersion

T = TypeVar("T")

Authorization = dict[str, Any] | None


class Repository(Displayed):
    """A versioned tree of groups and arrays in one storage.

    Made by `create`, `open` or `open_or_create`. It can be pickled and used by any number of
    threads.
    """

    _public_name = "frazil.repository.Repository"

    def __init__(self, repository: RepositoryCore) -> None:
        self._core = repository

    def __getstate__(self) -> object:
        return self._core

    def __setstate__(self, state: Any) -> None:
        self._core = state

    def _shown(self) -> Iterable[Shown]:
        return record(("storage", "spec_version", "config"), self)

    # Creating and opening

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

        Raises `RepositoryNotFoundError` if there is none.
        """
        _refuse_authorization(authorize_virtual_chunk_access)
        return cls(repository_core.open_(storage, config, attribution))

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
        document = repository_core.open_(storage, None, None).catalog.config_document()
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
        return await in_pool(Repository.exists, storage, storage_settings)

    @staticmethod
    async def fetch_spec_version_async(
        storage: Storage, storage_settings: StorageSettings | None = None
    ) -> SpecVersion | None:
        """As `fetch_spec_version`, awaitable."""
        return await in_pool(Repository.fetch_spec_version, storage, storage_settings)

    @staticmethod
    async def fetch_config_async(storage: Storage) -> RepositoryConfig | None:
        """As `fetch_config`, awaitable."""
        return await in_pool(Repository.fetch_config, storage)

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

    # What it is

    @property
    def config(self) -> RepositoryConfig:
        """A copy of the effective configuration."""
        return RepositoryConfig.from_document(self._core.config.to_document())

    @property
    def storage(self) -> Storage:
        """Where the repository lives."""
        return self._core.storage

    @property
    def attribution(self) -> Attribution:
        """What requests say of who makes them."""
        return self._core.attribution

    @property
    def spec_version(self) -> SpecVersion:
        """The version of the format that the repository has."""
        return SpecVersion(self._core.spec)

    @property
    def authorized_virtual_container_prefixes(self) -> set[str]:
        """URL prefixes of the virtual chunk containers that may be read."""
        return set()

    def save_config(self) -> None:
        """Store the effective configuration with the repository.

        In a spec 1 repository this raises `ConflictError` (`config-updated`) if the stored one
        has changed since it was opened.
        """
        self._core.catalog.save_config(self._core.config.to_document())

    save_config_async = twin(save_config)

    def set_default_commit_metadata(self, metadata: dict[str, Any]) -> None:
        """Add these values to every commit made through this object, under its own ones."""
        self._core.default_metadata.clear()
        self._core.default_metadata.update(metadata)

    def default_commit_metadata(self) -> dict[str, Any]:
        """What `set_default_commit_metadata` has set."""
        return dict(self._core.default_metadata)

    # History

    def ancestry(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
    ) -> Iterator[SnapshotInfo]:
        """The snapshots up to the given branch, tag or snapshot (exactly one), newest first."""
        start = self._core.resolve(branch, tag, snapshot_id)
        return map(_public_snapshot, self._core.catalog.ancestry(start))

    def async_ancestry(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
    ) -> AsyncCloseableIterator[SnapshotInfo]:
        """As `ancestry`, for `async for`."""
        return AsyncCloseableIterator(
            _batches(lambda: self.ancestry(branch=branch, tag=tag, snapshot_id=snapshot_id))
        )

    def ancestry_graph(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        plain: bool = False,
    ) -> AncestryGraph:
        """A drawing of the history of a branch, tag or snapshot; of all branches without one.

        plain: without colours.
        """
        catalog = self._core.catalog
        branches, tags = catalog.branches(), catalog.tags()
        one = any(name is not None for name in (branch, tag, snapshot_id))
        starts = [self._core.resolve(branch, tag, snapshot_id)] if one else branches.values()
        records: dict[SnapshotId, SnapshotRecord] = {}
        for start in starts:
            for item in catalog.ancestry(start):
                if item.id in records:
                    break
                records[item.id] = item
        rows = tuple(
            GraphRow(
                id=str(item.id),
                parent=None if item.parent is None else str(item.parent),
                branches=tuple(sorted(n for n, t in branches.items() if t == item.id)),
                tags=tuple(sorted(n for n, t in tags.items() if t == item.id)),
                message=item.message,
            )
            for item in sorted(records.values(), key=lambda item: -item.flushed_at)
        )
        return AncestryGraph(rows, plain=plain)

    ancestry_graph_async = twin(ancestry_graph)

    def ops_log(self) -> Iterator[Update]:
        """All operations on the repository, newest first; spec 2 only (`FormatError`)."""
        return map(public_update, self._v2("the operations log").ops_log())

    def ops_log_async(self) -> AsyncCloseableIterator[Update]:
        """As `ops_log`, for `async for`."""
        return AsyncCloseableIterator(_batches(self.ops_log))

    def lookup_snapshot(self, snapshot_id: str) -> SnapshotInfo:
        """A snapshot by its id."""
        return _public_snapshot(self._core.catalog.record(SnapshotId.parse(snapshot_id)))

    lookup_snapshot_async = twin(lookup_snapshot)

    def list_manifest_files(self, snapshot_id: str) -> list[ManifestFileInfo]:
        """The manifest files that a snapshot refers to."""
        id_ = self._core.resolve(None, None, snapshot_id)
        manifests = self._core.library.snapshot(id_).manifests
        infos = map(manifests.info, range(len(manifests)))
        return [ManifestFileInfo(str(i.id), i.size_bytes, i.num_refs) for i in infos]

    list_manifest_files_async = twin(list_manifest_files)

    def diff(
        self,
        *,
        from_branch: str | None = None,
        from_tag: str | None = None,
        from_snapshot_id: str | None = None,
        to_branch: str | None = None,
        to_tag: str | None = None,
        to_snapshot_id: str | None = None,
    ) -> Diff:
        """What changed between two versions: `from` must be an ancestor of `to`.

        Raises `InvalidInputError` (`bad-snapshot-chain-for-diff`) otherwise.
        """
        older = self._core.resolve(from_branch, from_tag, from_snapshot_id)
        newer = self._core.resolve(to_branch, to_tag, to_snapshot_id)
        return diff_between(self._core.library, self._core.catalog, older, newer)

    diff_async = twin(diff)

    # Branches and tags

    def create_branch(self, branch: str, snapshot_id: str) -> None:
        """Add a branch at a snapshot."""
        self._core.catalog.create_branch(branch, SnapshotId.parse(snapshot_id))

    create_branch_async = twin(create_branch)

    def list_branches(self) -> set[str]:
        """The names of all branches."""
        return set(self._core.catalog.branches())

    list_branches_async = twin(list_branches)

    def lookup_branch(self, branch: str) -> str:
        """The id of a branch's newest snapshot."""
        return str(self._core.catalog.branch(branch))

    lookup_branch_async = twin(lookup_branch)

    def reset_branch(
        self, branch: str, snapshot_id: str, *, from_snapshot_id: str | None = None
    ) -> None:
        """Point a branch at any snapshot; what it had after that leaves its history.

        from_snapshot_id: refuse (`ConflictError`) unless the branch is at this snapshot.
        """
        expected = None if from_snapshot_id is None else SnapshotId.parse(from_snapshot_id)
        self._core.catalog.reset_branch(branch, SnapshotId.parse(snapshot_id), expected)

    reset_branch_async = twin(reset_branch)

    def delete_branch(self, branch: str) -> None:
        """Remove a branch; `main` must stay (`SessionStateError`)."""
        self._core.catalog.delete_branch(branch)

    delete_branch_async = twin(delete_branch)

    def create_tag(self, tag: str, snapshot_id: str) -> None:
        """Give a snapshot a name for ever."""
        self._core.catalog.create_tag(tag, SnapshotId.parse(snapshot_id))

    create_tag_async = twin(create_tag)

    def list_tags(self) -> set[str]:
        """The names of all tags."""
        return set(self._core.catalog.tags())

    list_tags_async = twin(list_tags)

    def lookup_tag(self, tag: str) -> str:
        """The id of the snapshot that a tag names."""
        return str(self._core.catalog.tag(tag))

    lookup_tag_async = twin(lookup_tag)

    def delete_tag(self, tag: str) -> None:
        """Remove a tag; its name cannot be used again."""
        self._core.catalog.delete_tag(tag)

    delete_tag_async = twin(delete_tag)

    # Sessions

    def readonly_session(
        self,
        branch: str | None = None,
        *,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
    ) -> Session:
        """A view of the snapshot that a branch, tag or id (exactly one) names.

        as_of: of a branch, the newest snapshot that is not younger than this.
        """
        id_ = self._core.resolve(branch, tag, snapshot_id, as_of)
        return Session((self._core, self._core.session(id_)))

    readonly_session_async = twin(readonly_session)

    def writable_session(self, branch: str) -> Session:
        """A session whose changes can be committed to the branch."""
        return Session((self._core, self._core.writable_session(branch)))

    writable_session_async = twin(writable_session)

    @contextmanager
    def transaction(
        self,
        branch: str,
        *,
        message: str,
        metadata: dict[str, Any] | None = None,
        rebase_with: ConflictSolver | None = None,
        rebase_tries: int = 1_000,
    ) -> Iterator[IcechunkStore]:
        """A store whose changes are committed at the end of the `with` block.

        An exception in the block is passed on and nothing is committed.
        """
        session = self.writable_session(branch)
        yield session.store
        session.commit(message, metadata, rebase_with=rebase_with, rebase_tries=rebase_tries)

    def _v2(self, what: str) -> CatalogV2:
        catalog = self._core.catalog
        if not isinstance(catalog, CatalogV2):
            raise needs_spec_2(what)
        return catalog


def _public_snapshot(item: SnapshotRecord) -> SnapshotInfo:
    return SnapshotInfo(
        id=str(item.id),
        parent_id=None if item.parent is None else str(item.parent),
        written_at=EPOCH + timedelta(microseconds=item.flushed_at),
        message=item.message,
        metadata=item.metadata,
    )


def _batches(items: Callable[[], Iterator[T]]) -> Iterator[list[T]]:
    iterator = items()
    while batch := list(islice(iterator, 100)):
        yield batch


def _refuse_authorization(authorize: Authorization) -> None:
    if authorize:
        raise InvalidInputError(
            "virtual chunk containers cannot be read by this version: leave out "
            "authorize_virtual_chunk_access",
            ErrorKind.UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER,
        )
