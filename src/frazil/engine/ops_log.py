"""Entries of the operations log in their public form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from frazil import ops
from frazil.format.updates import Status, Update, UpdateKind
from frazil.status import RepoStatus
from frazil.types import RepoAvailability

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CLASSES: dict[UpdateKind, tuple[type[ops.UpdateType], dict[str, str]]] = {
    UpdateKind.REPO_INITIALIZED: (ops.RepoInitialized, {}),
    UpdateKind.REPO_MIGRATED: (
        ops.RepoMigrated,
        {"from_version": "from_version", "to_version": "to_version"},
    ),
    UpdateKind.CONFIG_CHANGED: (ops.ConfigChanged, {}),
    UpdateKind.METADATA_CHANGED: (ops.MetadataChanged, {}),
    UpdateKind.TAG_CREATED: (ops.TagCreated, {"name": "name"}),
    UpdateKind.TAG_DELETED: (ops.TagDeleted, {"name": "name", "previous_snap_id": "previous"}),
    UpdateKind.BRANCH_CREATED: (ops.BranchCreated, {"name": "name"}),
    UpdateKind.BRANCH_DELETED: (
        ops.BranchDeleted,
        {"name": "name", "previous_snap_id": "previous"},
    ),
    UpdateKind.BRANCH_RESET: (ops.BranchReset, {"name": "name", "previous_snap_id": "previous"}),
    UpdateKind.NEW_COMMIT: (ops.NewCommit, {"branch": "name", "new_snap_id": "new"}),
    UpdateKind.COMMIT_AMENDED: (
        ops.CommitAmended,
        {"branch": "name", "previous_snap_id": "previous", "new_snap_id": "new"},
    ),
    UpdateKind.NEW_DETACHED_SNAPSHOT: (ops.NewDetachedSnapshot, {"new_snap_id": "new"}),
    UpdateKind.GC_RAN: (ops.GCRan, {}),
    UpdateKind.EXPIRATION_RAN: (ops.ExpirationRan, {}),
    UpdateKind.FEATURE_FLAG_CHANGED: (
        ops.FeatureFlagChanged,
        {"id": "flag_id", "new_value": "flag_value"},
    ),
    UpdateKind.REPO_STATUS_CHANGED: (ops.RepoStatusChanged, {"status": "status"}),
}
"""For each kind its public class, and which field of the entry each of its fields is."""


def public_update(update: Update) -> ops.Update:
    """The entry with times, names and ids as users see them."""
    cls, fields = _CLASSES[update.kind]
    kind = cls(**{name: _public(getattr(update, source)) for name, source in fields.items()})
    return ops.Update(kind, _time(update.updated_at), update.backup_path)


def _public(value: Any) -> Any:
    match value:
        case bytes():
            return str(value)
        case Status():
            return public_status(value)
        case _:
            return value


def public_status(status: Status) -> RepoStatus:
    """The status as users see it; what is neither online nor read-only counts as online."""
    read_only = status.availability == RepoAvailability.read_only
    return RepoStatus(
        RepoAvailability.read_only if read_only else RepoAvailability.online,
        _time(status.set_at),
        status.reason,
    )


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
