"""The branches, tags and history of a repository, whatever its spec version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from frazil.errors import ConflictError, ErrorKind, FormatError
from frazil.format.history import Described, SnapshotRecord, described
from frazil.ids import SnapshotId
from frazil.library.uploads import Uploads
from frazil.model.moments import Moment
from frazil.model.notes import Change


class Catalog(ABC):
    """Every read sees the state at the time of the call; every change is atomic."""

    spec: int
    _told: UUID | None = None

    @abstractmethod
    def identity(self) -> UUID:
        """The repository's id; with a request only if this process has not asked before."""

    def known_identity(self) -> UUID | None:
        """The repository's id if it takes no request."""
        return self._told

    def tell_identity(self, id_: UUID | None) -> None:
        """Take over what another process knows."""
        self._told = id_

    def as_read(self) -> AbstractContextManager[None]:
        """Within, the state that was read last is now, where one request reads all of it.

        For what is part of opening. Not for a catalog that other threads use as well.
        """
        return nullcontext()

    def at_once(self) -> Catalog:
        """One whose reads all see the repository as it is now, where one request reads all of it.

        For what asks for several things, and does it soon.
        """
        return self

    @abstractmethod
    def notes(self) -> dict[str, Any]:
        """What Frazil has written down about the repository: JSON values by name."""

    @abstractmethod
    def change_notes(self, change: Change) -> None:
        """Write down something else, in one step; `change` may be called more than once."""

    @abstractmethod
    def branches(self) -> dict[str, SnapshotId]:
        """All branches with their tips."""

    @abstractmethod
    def tags(self) -> dict[str, SnapshotId]:
        """All tags with their targets."""

    @abstractmethod
    def branch(self, name: str) -> SnapshotId:
        """The tip of a branch; `RefNotFoundError` if there is none."""

    @abstractmethod
    def known_tip(self, name: str) -> SnapshotId | None:
        """The tip of a branch as it was last seen, without a request; None if never."""

    def known_metadata(self) -> dict[str, Any]:
        """The repository's metadata as last seen, without a request; none in spec 1."""
        return {}

    @abstractmethod
    def writable_tip(self, name: str) -> SnapshotId:
        """As `branch`, or `ReadOnlyError` if the repository takes no changes."""

    @abstractmethod
    def tag(self, name: str) -> SnapshotId:
        """The target of a tag; `RefNotFoundError` if there is none."""

    @abstractmethod
    def record(self, id_: SnapshotId) -> SnapshotRecord:
        """What is known of a snapshot without its nodes."""

    @abstractmethod
    def ancestry(self, id_: SnapshotId) -> Iterator[SnapshotRecord]:
        """The snapshot and all before it, newest first."""

    def lineage(self, id_: SnapshotId) -> Iterator[Described]:
        """As `ancestry`, in words."""
        return map(described, self.ancestry(id_))

    @abstractmethod
    def lookup(self) -> Callable[[SnapshotId], SnapshotRecord | None]:
        """A function for many records of one state; it returns None for unknown snapshots."""

    @abstractmethod
    def create_branch(self, name: str, target: SnapshotId) -> None:
        """Add a branch."""

    @abstractmethod
    def delete_branch(self, name: str) -> None:
        """Remove a branch."""

    @abstractmethod
    def reset_branch(self, name: str, target: SnapshotId, expected: SnapshotId | None) -> None:
        """Point a branch at a snapshot; `ConflictError` if it is not at `expected`."""

    @abstractmethod
    def create_tag(self, name: str, target: SnapshotId) -> None:
        """Add a tag."""

    @abstractmethod
    def delete_tag(self, name: str) -> None:
        """Remove a tag; its name cannot be used again."""

    @abstractmethod
    def commit_tip(self, branch: str) -> SnapshotId:
        """The tip a commit would follow; raises what `add_commit` would raise without one."""

    @abstractmethod
    def moment(self) -> Moment:
        """The present, as far as it is known: to be asked for before anything is read that what
        will be committed refers to.
        """

    @abstractmethod
    def new_moment(self) -> Moment:
        """The present, looked up."""

    @abstractmethod
    def check_kept(self, since: Moment) -> None:
        """Raise `Collected` if what was read since then may be gone, as far as is known."""

    @abstractmethod
    def collected_before(self) -> int:
        """What was stored before this (us since the epoch, by the clock of the storage), and was
        not needed, Frazil has collected or is about to, as far as is known.
        """

    @abstractmethod
    def add_commit(
        self,
        branch: str,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        """Move a branch from `record.parent` to the record; `ConflictError` if it moved.

        What is in `uploads` is stored before the branch moves. since: before what the snapshot
        refers to was read; `Collected` if it may be gone.
        """

    @abstractmethod
    def amend_commit(
        self,
        branch: str,
        replaced: SnapshotId,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        """As `add_commit`, but put the record in the place of the branch's tip."""

    @abstractmethod
    def add_detached(
        self,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        """Make a snapshot known without a branch, once what is in `uploads` is stored."""

    @abstractmethod
    def config_document(self) -> dict[str, Any] | None:
        """The stored configuration, None if there is none."""

    @abstractmethod
    def save_config(self, document: dict[str, Any]) -> None:
        """Store a configuration."""


def already_there(spec: int) -> ConflictError:
    """The error for creating a repository where there is one."""
    return ConflictError(
        message="there is already a repository here: open it instead",
        kind=ErrorKind.BRANCH_UPDATE_CONFLICT if spec == 1 else ErrorKind.REPO_INFO_UPDATED,
    )


def needs_spec_2(what: str) -> FormatError:
    """The error for what spec 1 repositories do not have."""
    return FormatError(
        f"{what} needs a spec 2 repository, and this one is spec 1: "
        "migrate it with upgrade_icechunk_repository, or frazil migrate",
        ErrorKind.UNSUPPORTED_SPEC_VERSION,
    )
