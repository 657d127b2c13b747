"""Every kind of entry of the operations log has a public form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from frazil import ops
from frazil.engine.ops_log import public_update
from frazil.format.updates import Status, Update, UpdateKind
from frazil.ids import SnapshotId
from frazil.status import RepoStatus
from frazil.types import RepoAvailability

OLD, NEW = SnapshotId(b"o" * 12), SnapshotId(b"n" * 12)
FIELDS: dict[str, Any] = {
    "name": "x",
    "previous": OLD,
    "new": NEW,
    "from_version": 1,
    "to_version": 2,
    "flag_id": 3,
    "flag_value": False,
    "status": Status(1, 2_000_000, "why"),
}
STATUS = RepoStatus(RepoAvailability.read_only, datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "why")

CASES: dict[UpdateKind, ops.UpdateType] = {
    UpdateKind.REPO_INITIALIZED: ops.RepoInitialized(),
    UpdateKind.REPO_MIGRATED: ops.RepoMigrated(from_version=1, to_version=2),
    UpdateKind.CONFIG_CHANGED: ops.ConfigChanged(),
    UpdateKind.METADATA_CHANGED: ops.MetadataChanged(),
    UpdateKind.TAG_CREATED: ops.TagCreated(name="x"),
    UpdateKind.TAG_DELETED: ops.TagDeleted(name="x", previous_snap_id=str(OLD)),
    UpdateKind.BRANCH_CREATED: ops.BranchCreated(name="x"),
    UpdateKind.BRANCH_DELETED: ops.BranchDeleted(name="x", previous_snap_id=str(OLD)),
    UpdateKind.BRANCH_RESET: ops.BranchReset(name="x", previous_snap_id=str(OLD)),
    UpdateKind.NEW_COMMIT: ops.NewCommit(branch="x", new_snap_id=str(NEW)),
    UpdateKind.COMMIT_AMENDED: ops.CommitAmended(
        branch="x", previous_snap_id=str(OLD), new_snap_id=str(NEW)
    ),
    UpdateKind.NEW_DETACHED_SNAPSHOT: ops.NewDetachedSnapshot(new_snap_id=str(NEW)),
    UpdateKind.GC_RAN: ops.GCRan(),
    UpdateKind.EXPIRATION_RAN: ops.ExpirationRan(),
    UpdateKind.FEATURE_FLAG_CHANGED: ops.FeatureFlagChanged(id=3, new_value=False),
    UpdateKind.REPO_STATUS_CHANGED: ops.RepoStatusChanged(status=STATUS),
}


@pytest.mark.parametrize("kind", list(UpdateKind))
def test_each_kind(kind: UpdateKind) -> None:
    found = public_update(Update(kind, 1_500_000, backup_path="before", **FIELDS))
    assert found.kind == CASES[kind]
    assert type(found.kind) is type(CASES[kind])
    assert found.updated_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert found.backup_path == "before"


@pytest.mark.parametrize(
    ("stored", "shown"), [(0, "online"), (1, "read_only"), (2, "archived"), (3, "online")]
)
def test_a_status_that_is_not_known_shows_as_online(stored: int, shown: str) -> None:
    update = Update(UpdateKind.REPO_STATUS_CHANGED, 0, status=Status(stored, 0, None))
    assert public_update(update).kind.status.availability.name == shown  # type: ignore[attr-defined]
