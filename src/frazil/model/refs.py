"""Edits of the repository information: pure, from one `RepoInfo` to the next.

Each edit returns the new value and the entry of the operations log that tells of it, or
raises if it must not be made. Time and storage are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    FormatError,
    ReadOnlyError,
    RefNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.jsonvalue import normalize
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Status, Update, UpdateKind
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model import notes
from frazil.model.flags import CREATE_TAG, DELETE_TAG, check_enabled

Edit = Callable[[RepoInfo], tuple[RepoInfo, Update]]

MAIN = "main"
READ_ONLY, ARCHIVED = 1, 2
"""Values of the status in which nothing can be changed but the status."""
_CLOSED = {READ_ONLY: "set to read-only", ARCHIVED: "archived"}
UNSTAMPED = 0
"""The time of an entry that is not in the log yet: whoever stores it sets it."""
CLOCK_TOLERANCE = 600 * 1_000_000
"""Microseconds by which another writer's clock may be ahead of ours."""


def next_time(now: int, newest: int) -> int:
    """A time in microseconds that is after `newest`, and now unless the clocks differ.

    Raises `FormatError` (`snapshot-timestamp`) where they differ too much.
    """
    if newest - now > CLOCK_TOLERANCE:
        raise FormatError(
            f"the newest entry of the repository was written {(newest - now) / 1e6:.0f} s in the "
            "future: set the clock of this machine, or find the one that is wrong",
            ErrorKind.SNAPSHOT_TIMESTAMP,
        )
    return max(now, newest + 1)


def check_online(info: RepoInfo) -> None:
    """Raise `ReadOnlyError` if the repository does not take changes."""
    if info.status.availability in _CLOSED:
        reason = f": {info.status.reason}" if info.status.reason else ""
        raise ReadOnlyError(
            f"the repository is {_CLOSED[info.status.availability]}{reason}",
            ErrorKind.READ_ONLY_REPOSITORY,
        )


def check_not_archived(info: RepoInfo) -> None:
    """Raise `ReadOnlyError` if the repository is not for opening without a second thought."""
    if info.status.availability == ARCHIVED:
        reason = f": {info.status.reason}" if info.status.reason else ""
        raise ReadOnlyError(
            f"the repository is archived{reason}; to read it all the same, open it with "
            "Repository.open_archived, and to use it again, set its status there",
            ErrorKind.READ_ONLY_REPOSITORY,
        )


def branch_tip(info: RepoInfo, name: str) -> SnapshotId:
    """The snapshot a branch points at."""
    try:
        return info.branches[name]
    except KeyError:
        raise no_ref("branch", name) from None


def tag_target(info: RepoInfo, name: str) -> SnapshotId:
    """The snapshot a tag points at."""
    try:
        return info.tags[name]
    except KeyError:
        raise no_ref("tag", name) from None


def create_branch(name: str, target: SnapshotId) -> Edit:
    """Add a branch."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        if name in info.branches:
            raise AlreadyExistsError(
                f"branch {name!r} already exists", ErrorKind.BRANCH_ALREADY_EXISTS
            )
        _check_snapshot(info, target)
        info = replace(info, branches=info.branches | {name: target})
        return info, Update(UpdateKind.BRANCH_CREATED, UNSTAMPED, name=name)

    return edit


def delete_branch(name: str) -> Edit:
    """Remove a branch."""
    check_deletable(name)

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        tip = branch_tip(info, name)
        branches = {n: target for n, target in info.branches.items() if n != name}
        update = Update(UpdateKind.BRANCH_DELETED, UNSTAMPED, name=name, previous=tip)
        return replace(info, branches=branches), update

    return edit


def check_deletable(name: str) -> None:
    """Raise if the branch must always be there."""
    if name == MAIN:
        raise SessionStateError("the main branch cannot be deleted", ErrorKind.CANNOT_DELETE_MAIN)


def reset_branch(name: str, target: SnapshotId, expected: SnapshotId | None) -> Edit:
    """Point a branch at any snapshot; with `expected` only if it points there."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        tip = branch_tip(info, name)
        check_tip(name, tip, expected)
        _check_snapshot(info, target)
        info = replace(info, branches=info.branches | {name: target})
        return info, Update(UpdateKind.BRANCH_RESET, UNSTAMPED, name=name, previous=tip)

    return edit


def check_tip(name: str, tip: SnapshotId, expected: SnapshotId | None) -> None:
    """Raise `ConflictError` if a branch is not where its user believes it to be."""
    if expected is not None and tip != expected:
        raise ConflictError(
            str(expected),
            str(tip),
            f"branch {name!r} is at {tip}, not at {expected}: somebody moved it",
            ErrorKind.BRANCH_UPDATE_CONFLICT,
        )


def create_tag(name: str, target: SnapshotId) -> Edit:
    """Add a tag; names of deleted tags cannot be used again."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        check_enabled(info, CREATE_TAG)
        if name in info.tags:
            raise AlreadyExistsError(f"tag {name!r} already exists", ErrorKind.TAG_ALREADY_EXISTS)
        if name in info.deleted_tags:
            raise AlreadyExistsError(
                f"tag {name!r} existed and was deleted: choose another name",
                ErrorKind.TAG_PREVIOUSLY_DELETED,
            )
        _check_snapshot(info, target)
        info = replace(info, tags=info.tags | {name: target})
        return info, Update(UpdateKind.TAG_CREATED, UNSTAMPED, name=name)

    return edit


def delete_tag(name: str) -> Edit:
    """Remove a tag for ever."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        check_enabled(info, DELETE_TAG)
        target = tag_target(info, name)
        tags = {n: t for n, t in info.tags.items() if n != name}
        info = replace(info, tags=tags, deleted_tags=info.deleted_tags | {name})
        return info, Update(UpdateKind.TAG_DELETED, UNSTAMPED, name=name, previous=target)

    return edit


def add_commit(branch: str, record: SnapshotRecord) -> Edit:
    """Move a branch from the record's parent to the record."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        tip = commit_tip(info, branch)
        if tip != record.parent:
            raise ConflictError(str(record.parent), str(tip))
        info = replace(
            info,
            snapshots=_added(info, record),
            branches=info.branches | {branch: record.id},
        )
        return info, Update(UpdateKind.NEW_COMMIT, UNSTAMPED, name=branch, new=record.id)

    return edit


def amend_commit(branch: str, replaced: SnapshotId, record: SnapshotRecord) -> Edit:
    """Put the record in the place of the branch's tip, which stays listed."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        tip = commit_tip(info, branch)
        if tip != replaced:
            raise ConflictError(str(replaced), str(tip))
        info = replace(
            info,
            snapshots=_added(info, record),
            branches=info.branches | {branch: record.id},
        )
        update = Update(
            UpdateKind.COMMIT_AMENDED, UNSTAMPED, name=branch, previous=replaced, new=record.id
        )
        return info, update

    return edit


def check_amendable(tip: SnapshotId) -> None:
    """Raise if the tip is the commit that made the repository."""
    if tip == INITIAL_SNAPSHOT:
        raise SessionStateError(
            "the first commit of a repository cannot be amended",
            ErrorKind.NO_AMEND_FOR_INITIAL_COMMIT,
        )


def commit_tip(info: RepoInfo, branch: str) -> SnapshotId:
    """Where a commit to the branch would go."""
    tip = info.branches.get(branch)
    if tip is None:
        raise RefNotFoundError(
            f"branch {branch!r} was deleted: create it again, or commit to another one",
            ErrorKind.BRANCH_NOT_FOUND,
        )
    return tip


def add_detached(record: SnapshotRecord) -> Edit:
    """List a snapshot that no branch points at."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        if record.parent is not None and info.snapshots.find(record.parent) < 0:
            raise SnapshotNotFoundError(
                f"snapshot {record.parent}, on which this session is based, is no longer in the "
                "history: write the changes again in a new session",
                ErrorKind.SNAPSHOT_NOT_FOUND,
            )
        info = replace(info, snapshots=_added(info, record))
        return info, Update(UpdateKind.NEW_DETACHED_SNAPSHOT, UNSTAMPED, new=record.id)

    return edit


def change_config(document: dict[str, Any]) -> Edit:
    """Store another configuration."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        return replace(info, config=document), Update(UpdateKind.CONFIG_CHANGED, UNSTAMPED)

    return edit


def change_metadata(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Edit:
    """Replace the repository's metadata by what `change` makes of it."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        info = replace(info, metadata=normalize(change(info.metadata)))
        return info, Update(UpdateKind.METADATA_CHANGED, UNSTAMPED)

    return edit


def first_snapshot(info: RepoInfo) -> SnapshotRecord:
    """The snapshot that the repository began with; `SnapshotNotFoundError` if it is lost."""
    row = info.snapshots.find(INITIAL_SNAPSHOT)
    if row < 0:
        raise no_snapshot(INITIAL_SNAPSHOT)
    return info.snapshots.record(row)


def collected_before(info: RepoInfo) -> int:
    """The latest cutoff of Frazil's collections (us), as the notes tell; 0 if there was none."""
    row = info.snapshots.find(INITIAL_SNAPSHOT)
    return notes.collected_before(info.snapshots.record(row).metadata) if row >= 0 else 0


def note_collection(info: RepoInfo, cutoff: int) -> RepoInfo:
    """Write down that what was stored before `cutoff` (us) and is not needed is going to go."""
    row = info.snapshots.find(INITIAL_SNAPSHOT)
    if row < 0 or cutoff <= collected_before(info):
        return info
    first = info.snapshots.record(row)
    first = replace(first, metadata=notes.with_collected(first.metadata, cutoff))
    return replace(info, snapshots=info.snapshots.replace([first]))


def change_notes(change: notes.Change) -> Edit:
    """Replace the notes about the repository by what `change` makes of them."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        first = first_snapshot(info)
        after = change(notes.notes_of(first.metadata))
        first = replace(first, metadata=notes.with_notes(first.metadata, after))
        info = replace(info, snapshots=info.snapshots.replace([first]))
        return info, Update(UpdateKind.METADATA_CHANGED, UNSTAMPED)

    return edit


def change_status(status: Status) -> Edit:
    """Set whether the repository takes changes."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        update = Update(UpdateKind.REPO_STATUS_CHANGED, UNSTAMPED, status=status)
        return replace(info, status=status), update

    return edit


def set_flag(id_: int, setting: bool | None) -> Edit:
    """Turn a feature flag on or off, or with None back to its default."""

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        enabled, disabled = info.enabled_flags - {id_}, info.disabled_flags - {id_}
        info = replace(
            info,
            enabled_flags=enabled | {id_} if setting is True else enabled,
            disabled_flags=disabled | {id_} if setting is False else disabled,
        )
        update = Update(UpdateKind.FEATURE_FLAG_CHANGED, UNSTAMPED, flag_id=id_, flag_value=setting)
        return info, update

    return edit


def no_ref(kind: str, name: str) -> RefNotFoundError:
    """The error for a missing branch or tag."""
    return RefNotFoundError(f"there is no {kind} {name!r}", ErrorKind.REF_NOT_FOUND)


def no_snapshot(id_: SnapshotId) -> SnapshotNotFoundError:
    """The error for a snapshot that the repository does not have."""
    return SnapshotNotFoundError(
        f"there is no snapshot {id_} in this repository", ErrorKind.SNAPSHOT_NOT_FOUND
    )


def _check_snapshot(info: RepoInfo, id_: SnapshotId) -> None:
    if info.snapshots.find(id_) < 0:
        raise no_snapshot(id_)


def _added(info: RepoInfo, record: SnapshotRecord) -> Any:
    if record.parent is not None:
        _check_snapshot(info, record.parent)
    if info.snapshots.find(record.id) >= 0:
        raise FormatError(f"snapshot {record.id} exists already", ErrorKind.DUPLICATE_SNAPSHOT_ID)
    return info.snapshots.add([record])
