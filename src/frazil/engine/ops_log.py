"""Entries of the operations log in their public form."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from frazil import ops
from frazil.engine.times import moment
from frazil.errors import ErrorKind, StorageError
from frazil.format.header import peek
from frazil.format.repo_info import decode_repo_info
from frazil.format.updates import Status, Update, UpdateKind
from frazil.library.catalog_v2 import KEY, CatalogV2
from frazil.library.files import Library
from frazil.model.document_diff import document_diff
from frazil.status import RepoStatus
from frazil.storage.pool import map_parallel
from frazil.types import RepoAvailability

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

_BEGINNINGS = (UpdateKind.REPO_INITIALIZED, UpdateKind.REPO_MIGRATED)
_CONFIGURING = (UpdateKind.CONFIG_CHANGED, *_BEGINNINGS)


def public_update(update: Update) -> ops.Update:
    """The entry with times, names and ids as users see them."""
    cls, fields = _CLASSES[update.kind]
    kind = cls(**{name: _public(getattr(update, source)) for name, source in fields.items()})
    return ops.Update(kind, moment(update.updated_at), update.backup_path)


def config_history(library: Library, catalog: CatalogV2) -> list[ops.ConfigChange]:
    """All changes of the stored configuration, newest first.

    The states in between are in the copies of the repo object that each operation leaves.
    What the repository began with counts as a change if it is not the default.
    """
    present = library.backend.get(KEY)
    marks, beginning = [], False
    for update in catalog.ops_log(decode_repo_info(present, where=KEY)):
        if update.kind in _CONFIGURING:
            marks.append(update)
        beginning = update.kind in _BEGINNINGS
        if beginning:
            break

    def state(update: Update) -> tuple[dict[str, Any] | None, str] | None:
        """The configuration after it, and who signed the file; None if that has been removed."""
        key = KEY if update.backup_path is None else f"overwritten/{update.backup_path}"
        try:
            data = present if update.backup_path is None else library.backend.get(key)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            return None
        return decode_repo_info(data, where=key).config, peek(data, where=key).written_by

    # Where the log has been cut, what was there before its oldest change is not known.
    known = list(takewhile(lambda found: found is not None, map_parallel(state, marks)))
    beginning = beginning and len(known) == len(marks)
    states = [found for found in (*known, (None, "") if beginning else None) if found is not None]
    changes = [
        ops.ConfigChange(moment(mark.updated_at), document_diff(before, after), written_by)
        for mark, (after, written_by), (before, _) in zip(marks, states, states[1:], strict=False)
    ]
    began_with_none = beginning and changes and not changes[-1].changes
    return changes[:-1] if began_with_none else changes


def _public(value: Any) -> Any:
    match value:
        case bytes():
            return str(value)
        case Status():
            return public_status(value)
        case _:
            return value


def public_status(status: Status) -> RepoStatus:
    """The status as users see it; values that are not known count as online."""
    known = status.availability in set(RepoAvailability)
    return RepoStatus(
        RepoAvailability(status.availability) if known else RepoAvailability.online,
        moment(status.set_at),
        status.reason,
    )
