"""Creating and opening repositories; what all sessions of one share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from frazil.config import Attribution, RepositoryConfig
from frazil.display import brief
from frazil.engine.access import Access, checked_access, usable_containers
from frazil.engine.manifests import ManifestWriter
from frazil.engine.preloading import preload
from frazil.engine.ref_changes import Observer
from frazil.engine.session_state import SessionState
from frazil.engine.sources.reading import VirtualSources
from frazil.engine.sources.table import SourceTable
from frazil.engine.tuning import budgets, location_compression, pack_sizes, retries
from frazil.engine.workspace import Workspace
from frazil.errors import (
    ErrorKind,
    FormatError,
    IcechunkError,
    InvalidInputError,
    ReadOnlyError,
    RefNotFoundError,
    RepositoryNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
)
from frazil.format.snapshot import Node, Snapshot, initial_snapshot
from frazil.format.transaction_log import initial_transaction_log
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library import catalog_v1, catalog_v2
from frazil.library.catalog import Catalog, already_there, needs_spec_2
from frazil.library.catalog_v1 import CatalogV1
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.changes import ChangeSet
from frazil.model.flags import MOVE_NODE, check_enabled
from frazil.model.manifest_plan import Layout, default_sizes
from frazil.model.moments import NEVER, Moment
from frazil.model.notes import identity, new_notes, with_notes
from frazil.model.refs import check_not_archived
from frazil.model.splits import split_sizes
from frazil.storage import Storage
from frazil.storage.base import CREATE, Backend, PreconditionFailed
from frazil.storage.fork import ForksafeLock
from frazil.storage.gate import Gate
from frazil.storage.pool import map_parallel
from frazil.types import SpecVersion

T = TypeVar("T")

UNFINISHED = frozenset({f"snapshots/{INITIAL_SNAPSHOT}", f"transactions/{INITIAL_SNAPSHOT}"})
"""What somebody has stored who has not yet made a repository, or died before."""


class RepositoryCore:
    """One opened repository: its storage, effective configuration, files and catalog."""

    def __init__(
        self,
        storage: Storage,
        spec: int,
        config: RepositoryConfig,
        attribution: Attribution,
        default_metadata: dict[str, Any],
        library: Library | None = None,
    ) -> None:
        """library: its files, if they have been read by another object in this process."""
        self.storage = storage
        self.spec = spec
        self.attribution = attribution
        self.default_metadata = default_metadata
        self.access: Access = {}
        self.observer: Observer | None = None
        self.library = library or Library(storage.backend(config.storage), spec=spec)
        self.catalog: Catalog = CatalogV1(self.library) if spec == 1 else CatalogV2(self.library)
        self.library.identity = self.catalog.known_identity
        self.configure(config)

    def configure(self, config: RepositoryConfig) -> None:
        """Use this as the effective configuration."""
        self.config = config
        self.containers = usable_containers(config)
        self.library.connect(
            self.storage.backend(config.storage), budgets(config), config.max_concurrent_requests
        )
        self.authorize(self.access)
        compression = config.compression
        if compression is not None and compression.level is not None:
            self.library.level = compression.level
        self.library.location_compression = location_compression(config)
        self.library.verify_reads = config.verify_reads is not False
        self.library.decoding = Gate(config.max_concurrent_decodes)
        self.library.reads_at_once = config.get_partial_values_concurrency
        if isinstance(self.catalog, CatalogV2):
            if compression is not None and compression.level is not None:
                self.catalog.level = compression.level
            self.catalog.retries = retries(config)
            self.catalog.updates_per_file = config.num_updates_per_repo_info_file or 1000

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            _received,
            (
                self.storage,
                self.spec,
                self.config,
                self.attribution,
                self.default_metadata,
            ),
            (self.access, self.catalog.known_identity()),
        )

    def __setstate__(self, state: tuple[Access, UUID | None]) -> None:
        access, id_ = state
        self.authorize(access)
        self.catalog.tell_identity(id_)

    def authorize(self, access: Access) -> None:
        """Let virtual chunks be read: a credential for the URL prefix of each container."""
        self.access = checked_access(access, self.containers)
        own = self.config.storage
        settings = None if own == self.storage.default_settings() else own
        self.sources = SourceTable(self.containers, self.access, settings)

    def session(self, snapshot: SnapshotId) -> SessionState:
        """A read-only session on a snapshot."""
        return self._session(snapshot, branch=None, inline_bytes=None)

    def fork(self, snapshot: SnapshotId, changes: ChangeSet | None = None) -> SessionState:
        """A session on a snapshot that can be changed, and merged into others."""
        return self._session(
            snapshot, branch=None, inline_bytes=self._inline_bytes, changes=changes
        )

    def session_with(
        self,
        changes: ChangeSet,
        base: SnapshotId,
        branch: str,
        since: Moment,
        borrowed: Sequence[SnapshotId],
    ) -> SessionState:
        """A session with changes of any snapshot, for a branch that may be elsewhere.

        since, borrowed: as in `frazil.engine.commit.Committer`.
        """
        return self._session(
            base,
            branch=branch,
            inline_bytes=self._inline_bytes,
            changes=changes,
            since=since,
            borrowed=borrowed,
        )

    def check_writable(self) -> None:
        """Raise `ReadOnlyError` if the storage takes no changes."""
        if self.library.backend.read_only:
            raise _read_only_storage()

    @property
    def _inline_bytes(self) -> int:
        inline = self.config.inline_chunk_threshold_bytes
        return 512 if inline is None else inline

    @property
    def _fetches_at_once(self) -> int | None:
        manifest = self.config.manifest
        return None if manifest is None else manifest.max_concurrent_manifest_fetches_during_commit

    def _session(
        self,
        snapshot: SnapshotId,
        *,
        branch: str | None,
        inline_bytes: int | None,
        moves_only: bool = False,
        changes: ChangeSet | None = None,
        since: Moment | None = None,
        borrowed: Sequence[SnapshotId] = (),
    ) -> SessionState:
        if since is None:
            since = self.catalog.moment() if branch is not None else NEVER
        base = self.library.snapshot(snapshot)
        preload(
            self.library,
            base,
            None if self.config.manifest is None else self.config.manifest.preload,
        )
        workspace = Workspace(
            self.library,
            base,
            inline_bytes=inline_bytes,
            moves_only=moves_only,
            changes=changes,
            virtual=VirtualSources(self.sources),
            packs=pack_sizes(self.config),
        )
        return SessionState(
            workspace,
            self.catalog,
            ManifestWriter(self.library, self.layout, self._fetches_at_once),
            branch=branch,
            default_metadata=self.default_metadata,
            since=since,
            borrowed=borrowed,
            observer=self.observer,
        )

    def preview(self, workspace: Workspace) -> SessionState:
        """A read-only session on what a workspace shows, its changes included."""
        return SessionState(
            workspace.as_read_only(),
            self.catalog,
            ManifestWriter(self.library, self.layout, self._fetches_at_once),
            branch=None,
            default_metadata=self.default_metadata,
            since=NEVER,
        )

    def writable_session(self, branch: str) -> SessionState:
        """A session whose changes can be committed to the branch."""
        return self._session_for(branch, moves_only=False)

    def rearrange_session(self, branch: str) -> SessionState:
        """A session in which nodes are moved, for the branch; spec 2 only (`FormatError`)."""
        if not isinstance(self.catalog, CatalogV2):
            raise needs_spec_2("moving nodes")
        check_enabled(self.catalog.info(), MOVE_NODE)
        return self._session_for(branch, moves_only=True)

    def resumed_session(self, branch: str, snapshot: SnapshotId) -> SessionState:
        """A session for the branch with the changes that led to a snapshot."""
        from frazil.engine.resuming import changes_of

        if self.library.backend.read_only:
            raise _read_only_storage()
        tip = self.catalog.writable_tip(branch)
        since = self.catalog.moment()
        base, changes = changes_of(self.library, self.catalog.record(snapshot))
        if all(record.id != base for record in self.catalog.ancestry(tip)):
            raise SessionStateError(
                f"snapshot {snapshot} was made from {base}, which is not in the history of "
                f"branch {branch!r}",
                ErrorKind.NOT_ON_BRANCH,
            )
        return self.session_with(changes, base, branch, since, [snapshot])

    def _session_for(self, branch: str, *, moves_only: bool) -> SessionState:
        self.check_writable()
        tip = self._fetching(
            self.catalog.known_tip(branch), lambda: self.catalog.writable_tip(branch)
        )
        return self._session(
            tip, branch=branch, inline_bytes=self._inline_bytes, moves_only=moves_only
        )

    def resolve(
        self,
        branch: str | None,
        tag: str | None,
        snapshot_id: str | None,
        as_of: datetime | None = None,
    ) -> SnapshotId:
        """The snapshot that exactly one of branch, tag and id names."""
        if sum(name is not None for name in (branch, tag, snapshot_id)) != 1:
            raise ValueError("give exactly one of branch, tag and snapshot_id")
        if as_of is not None and branch is None:
            raise ValueError("as_of goes with a branch")
        if snapshot_id is not None:
            id_ = SnapshotId.parse(snapshot_id)
            self._fetching(id_, lambda: self.catalog.record(id_))
            return id_
        if tag is not None:
            return self.catalog.tag(tag)
        assert branch is not None
        if as_of is not None:
            return self._as_of(branch, self.catalog.branch(branch), as_of)
        return self._fetching(self.catalog.known_tip(branch), lambda: self.catalog.branch(branch))

    def _fetching(self, likely: SnapshotId | None, ask: Callable[[], T]) -> T:
        """The answer of `ask`; meanwhile the snapshot that it likely leads to is fetched."""
        library = self.library
        if (
            likely is None
            or library.backend.local
            or not library.keeps_snapshots
            or library.known_snapshot(likely) is not None
        ):
            return ask()
        answers: list[T] = []

        def fetch() -> None:
            with suppress(IcechunkError):  # whoever needs it will ask again, and be told
                library.snapshot(likely)

        map_parallel(lambda call: call(), [lambda: answers.append(ask()), fetch])
        return answers[0]

    def _as_of(self, branch: str, tip: SnapshotId, as_of: datetime) -> SnapshotId:
        from frazil.engine.times import microseconds

        limit = microseconds("as_of", as_of)
        for record in self.catalog.ancestry(tip):
            if record.flushed_at <= limit:
                return record.id
        raise SnapshotNotFoundError(
            f"branch {branch!r} has no snapshot as old as {as_of.isoformat()}",
            ErrorKind.NO_SNAPSHOT_AT_TIME,
        )

    def layout(self, node: Node) -> Layout:
        """How an array's manifests are cut."""
        counts = tuple(count for _, count in node.shape)
        manifest = self.config.manifest
        if manifest is None or manifest.splitting is None:
            return Layout(default_sizes(counts), exact=False)
        sizes = split_sizes(manifest.splitting, node.path, node.dimension_names, counts)
        return Layout(sizes, exact=True)


_libraries: OrderedDict[tuple[Storage, int, int | None], Library] = OrderedDict()
_LIBRARIES = 4
"""As many repositories' files are kept for the next object that is unpickled."""
_libraries_lock = ForksafeLock()


def _received(
    storage: Storage,
    spec: int,
    config: RepositoryConfig,
    attribution: Attribution,
    default_metadata: dict[str, Any],
) -> RepositoryCore:
    """A core that was pickled. Thousands of tasks come with one each: they read files once."""
    level = None if config.compression is None else config.compression.level
    key = storage, spec, level
    with _libraries_lock:
        library = _libraries.pop(key, None)
        core = RepositoryCore(storage, spec, config, attribution, default_metadata, library)
        _libraries[key] = core.library
        while len(_libraries) > _LIBRARIES:
            _libraries.popitem(last=False)
    return core


def create(
    storage: Storage,
    config: RepositoryConfig | None,
    attribution: Attribution | None,
    *,
    spec: int,
    check_clean_root: bool,
) -> RepositoryCore:
    """Make a new repository with the branch `main` and one empty snapshot."""
    spec = check_spec(spec)
    effective = effective_config(storage, None, config)
    backend = storage.backend(effective.storage)
    if backend.read_only:
        raise _read_only_storage()
    storage.check_creation()
    if stored_spec(backend) is not None and not check_clean_root:
        # Also one of the other version: it would be hidden for ever.
        raise already_there(spec)
    if check_clean_root and any(info.key not in UNFINISHED for info in backend.list()):
        raise InvalidInputError(
            f"cannot create a repository here ({brief(storage)}): there are other objects; choose "
            "an empty place, or pass check_clean_root=False",
            ErrorKind.PARENT_DIRECTORY_NOT_CLEAN,
        )
    core = RepositoryCore(storage, spec, effective, attribution or Attribution(), {})
    library = core.library
    snapshot = _first_snapshot(library)
    core.catalog.tell_identity(identity(snapshot))
    steps: list[Callable[[], None]] = [
        lambda: backend.check_conditions(f"snapshots/{snapshot.id}"),
        lambda: None if spec == 1 else library.write_log(initial_transaction_log()),
    ]
    map_parallel(lambda step: step(), steps)
    stored = config is not None and config != RepositoryConfig()
    if spec == 1:
        catalog_v1.create(library)
        core.catalog.config_document()  # so that it knows what a later save replaces
        if stored:
            core.catalog.save_config(effective.to_document())
    else:
        catalog_v2.create(library, snapshot, effective.to_document() if stored else None)
    return core


def _first_snapshot(library: Library) -> Snapshot:
    """Store the snapshot that a repository begins with; it says which repository it is.

    If others are making one here at the same time, or died while they did, theirs is taken, so
    that all agree.
    """
    first = initial_snapshot(library.now())
    first = replace(first, metadata=with_notes(first.metadata, new_notes(library.new_uuid())))
    try:
        library.write_snapshot(first, mode=CREATE)
    except PreconditionFailed:
        try:
            return library.read_snapshot(first.id)
        except FormatError:
            library.write_snapshot(first)
    return first


def open_(
    storage: Storage,
    config: RepositoryConfig | None,
    attribution: Attribution | None,
    *,
    even_if_archived: bool = False,
) -> RepositoryCore:
    """Open a repository; the given configuration goes over the stored one.

    Raises `ReadOnlyError` for one that is archived, unless told to open it all the same.
    """
    for_now = effective_config(storage, None, config)

    def core_of(spec: int, library: Library | None = None) -> RepositoryCore:
        return RepositoryCore(storage, spec, for_now, attribution or Attribution(), {}, library)

    core = core_of(2)
    assert isinstance(core.catalog, CatalogV2)
    try:
        info = core.catalog.info()
    except RepositoryNotFoundError:
        core.library.spec = 1
        core = core_of(1, core.library)
        asked: list[Callable[[], Any]] = [
            lambda: _has_main(core.catalog),
            core.catalog.config_document,
            lambda: _learn_identity(core.catalog),
        ]
        found, stored, _ = map_parallel(lambda ask: ask(), asked)
        if not found:
            raise RepositoryNotFoundError(
                f"there is no repository here ({brief(storage)}): create one, or check the place",
                ErrorKind.REPOSITORY_NOT_FOUND,
            ) from None
    else:
        if not even_if_archived:
            check_not_archived(info)
        stored = info.config
    core.configure(effective_config(storage, stored, config))
    return core


def _learn_identity(catalog: Catalog) -> None:
    with suppress(IcechunkError):  # whoever needs it is told what is wrong
        catalog.identity()


def _has_main(catalog: Catalog) -> bool:
    try:
        catalog.branch("main")
    except RefNotFoundError:
        return False
    except FormatError:
        pass  # damaged, but there: it can be reset
    return True


def stored_spec(backend: Backend) -> int | None:
    """The spec version of the repository in a storage; None if there is none."""
    if backend.exists(catalog_v2.KEY):
        return 2
    return 1 if backend.exists(catalog_v1.MAIN_KEY) else None


def check_spec(spec: int) -> int:
    """The number itself if repositories of that version can be written."""
    try:
        return int(SpecVersion(spec))
    except ValueError:
        raise ValueError(f"spec_version {spec!r} is not one of 1 and 2") from None


def effective_config(
    storage: Storage, stored: dict[str, Any] | None, given: RepositoryConfig | None
) -> RepositoryConfig:
    """The storage's own defaults, under the stored configuration, under the given one."""
    config = RepositoryConfig(storage=storage.default_settings())
    if stored is not None:
        config = config.merge(RepositoryConfig.from_document(stored))
    return config if given is None else config.merge(given)


def _read_only_storage() -> ReadOnlyError:
    return ReadOnlyError("the storage cannot be written", ErrorKind.READ_ONLY_STORAGE)
