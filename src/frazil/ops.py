"""The operations log and the summary of a garbage collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar

from frazil.display import Displayed, Shown, literal, record
from frazil.status import RepoStatus


class UpdateType:
    """What an update of a repository did: one subclass for each kind.

    The subclasses are also reachable as `UpdateType.NewCommit` and so on.
    """

    __slots__ = ()

    RepoInitialized: ClassVar[type[RepoInitialized]]
    RepoMigrated: ClassVar[type[RepoMigrated]]
    ConfigChanged: ClassVar[type[ConfigChanged]]
    MetadataChanged: ClassVar[type[MetadataChanged]]
    TagCreated: ClassVar[type[TagCreated]]
    TagDeleted: ClassVar[type[TagDeleted]]
    BranchCreated: ClassVar[type[BranchCreated]]
    BranchDeleted: ClassVar[type[BranchDeleted]]
    BranchReset: ClassVar[type[BranchReset]]
    NewCommit: ClassVar[type[NewCommit]]
    CommitAmended: ClassVar[type[CommitAmended]]
    NewDetachedSnapshot: ClassVar[type[NewDetachedSnapshot]]
    GCRan: ClassVar[type[GCRan]]
    ExpirationRan: ClassVar[type[ExpirationRan]]
    FeatureFlagChanged: ClassVar[type[FeatureFlagChanged]]
    RepoStatusChanged: ClassVar[type[RepoStatusChanged]]


@dataclass(frozen=True, repr=False, slots=True)
class _Kind(UpdateType):
    """Base of the kinds: shown as a call, on one line unless a field takes more."""

    def __repr__(self) -> str:
        inside = ", ".join(f"{f.name}={literal(getattr(self, f.name))}" for f in fields(self))
        return f"frazil.ops.UpdateType.{type(self).__name__}({inside})"


@dataclass(frozen=True, repr=False, slots=True)
class RepoInitialized(_Kind):
    """The repository was created."""


@dataclass(frozen=True, repr=False, slots=True)
class RepoMigrated(_Kind):
    """The repository was brought from one version of the format to another."""

    from_version: int
    to_version: int


@dataclass(frozen=True, repr=False, slots=True)
class ConfigChanged(_Kind):
    """The stored configuration was replaced."""


@dataclass(frozen=True, repr=False, slots=True)
class MetadataChanged(_Kind):
    """The repository's metadata was replaced."""


@dataclass(frozen=True, repr=False, slots=True)
class TagCreated(_Kind):
    """A tag was created."""

    name: str


@dataclass(frozen=True, repr=False, slots=True)
class TagDeleted(_Kind):
    """A tag was deleted; it pointed to `previous_snap_id`."""

    name: str
    previous_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class BranchCreated(_Kind):
    """A branch was created."""

    name: str


@dataclass(frozen=True, repr=False, slots=True)
class BranchDeleted(_Kind):
    """A branch was deleted; it pointed to `previous_snap_id`."""

    name: str
    previous_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class BranchReset(_Kind):
    """A branch was pointed elsewhere; before, it pointed to `previous_snap_id`."""

    name: str
    previous_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class NewCommit(_Kind):
    """A commit was added to a branch."""

    branch: str
    new_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class CommitAmended(_Kind):
    """The newest commit of a branch was replaced."""

    branch: str
    previous_snap_id: str
    new_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class NewDetachedSnapshot(_Kind):
    """A snapshot was written that is on no branch."""

    new_snap_id: str


@dataclass(frozen=True, repr=False, slots=True)
class GCRan(_Kind):
    """Unreachable files were collected."""


@dataclass(frozen=True, repr=False, slots=True)
class ExpirationRan(_Kind):
    """Old snapshots were expired."""


@dataclass(frozen=True, repr=False, slots=True)
class FeatureFlagChanged(_Kind):
    """A feature flag was set, or with None reset to its default."""

    id: int
    new_value: bool | None


@dataclass(frozen=True, repr=False, slots=True)
class RepoStatusChanged(_Kind):
    """The repository's status was set."""

    status: RepoStatus

    def __repr__(self) -> str:
        s = self.status
        return (
            f"frazil.ops.UpdateType.RepoStatusChanged(availability={s.availability}, "
            f"set_at={s.set_at.isoformat()}, "
            f"limited_availability_reason={literal(s.limited_availability_reason)})"
        )


UPDATE_KINDS: tuple[type[UpdateType], ...] = tuple(
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, _Kind) and value is not _Kind
)
for _kind in UPDATE_KINDS:
    setattr(UpdateType, _kind.__name__, _kind)


@dataclass(frozen=True, repr=False, slots=True)
class Update(Displayed):
    """One entry of the operations log.

    backup_path: where the state before the next update is kept, relative to the
    repository's `overwritten` folder; None for the newest entry.
    """

    kind: UpdateType
    updated_at: datetime
    backup_path: str | None = None

    _public_name: ClassVar[str] = "frazil.ops.Update"

    def _shown(self) -> Iterable[Shown]:
        return record(("kind", "updated_at", "backup_path"), self)


@dataclass(frozen=True, repr=False, slots=True)
class ConfigChange(Displayed):
    """One change of a repository's stored configuration.

    changes: the value before and after of each setting that changed, by its name in the
    configuration document: `{"inline_chunk_threshold_bytes": (None, 1024)}`,
    `{"manifest.preload.max_total_refs": (10, None)}`. None: not set, so the default holds.
    written_by: the program that made the change, as it signs its files: `fz-0.1.0` for this one.
    That is all that the format has to say about who it was.
    """

    updated_at: datetime
    changes: dict[str, tuple[Any, Any]]
    written_by: str

    _public_name: ClassVar[str] = "frazil.ops.ConfigChange"

    def __hash__(self) -> int:
        return hash((self.updated_at, tuple(self.changes)))

    def _shown(self) -> Iterable[Shown]:
        return record(("updated_at", "changes", "written_by"), self)


@dataclass(frozen=True, repr=False, slots=True)
class GCSummary(Displayed):
    """What a garbage collection deleted, or in a dry run would delete.

    Counts of objects and bytes; `delete_errors` holds the first texts, `skipped_phases` the
    kinds of files left alone because deleting of an earlier kind had failed; `backups_deleted`
    counts copies of replaced objects, which are deleted only where that is asked for.
    """

    bytes_deleted: int = 0
    chunks_deleted: int = 0
    manifests_deleted: int = 0
    snapshots_deleted: int = 0
    attributes_deleted: int = 0
    transaction_logs_deleted: int = 0
    objects_failed_to_delete: int = 0
    throttled_batches: int = 0
    delete_errors: list[str] = field(default_factory=list)
    skipped_phases: list[str] = field(default_factory=list)
    backups_deleted: int = 0

    _public_name: ClassVar[str] = "frazil.ops.GCSummary"

    def __hash__(self) -> int:
        return hash((self.bytes_deleted, self.chunks_deleted, self.snapshots_deleted))

    def _shown(self) -> Iterable[Shown]:
        names = [f.name for f in fields(self)]
        return record(names if self.backups_deleted else names[:-1], self)


@dataclass(frozen=True, repr=False, slots=True)
class CopySummary(Displayed):
    """What a copy of a repository to another place did.

    objects_copied, bytes_copied: what was written there; objects_present: what was there
    before; branches, tags: those that were made or moved.
    """

    objects_copied: int = 0
    bytes_copied: int = 0
    objects_present: int = 0
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    _public_name: ClassVar[str] = "frazil.ops.CopySummary"

    def _shown(self) -> Iterable[Shown]:
        return record([f.name for f in fields(self)], self)
