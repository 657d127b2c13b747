"""The made-up log of operations of a migrated repository."""

from __future__ import annotations

from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import RepoInfo, UpdateKind, decode_repo_info, encode_repo_info
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model.migration import Contents, migrated

ROOT = INITIAL_SNAPSHOT


def sid(n: int) -> SnapshotId:
    return SnapshotId(bytes([n * 37 % 256, n]) + bytes(10))


def record(n: int, parent: SnapshotId, at: int) -> SnapshotRecord:
    return SnapshotRecord(sid(n), parent, at, f"m{n}", {"n": n})


RECORDS = [
    SnapshotRecord(ROOT, None, 100_000, "Repository initialized"),
    record(1, ROOT, 110_000),
    record(2, sid(1), 120_000),
    record(3, sid(1), 130_000),
    record(4, sid(3), 140_000),
    record(5, ROOT, 150_000),
    record(6, ROOT, 160_000),
]
CONTENTS = Contents(
    branches={"z": sid(3), "main": sid(2), "b": sid(4), "root": ROOT},
    tags={"t2": sid(1), "t1": sid(1), "only": sid(5)},
    deleted_tags={"gone": sid(2), "lost": sid(6)},
    snapshots={r.id: r for r in RECORDS},
    config={"inline_chunk_threshold_bytes": 12},
)


def log(info: RepoInfo) -> list[tuple[str, int, str | None, SnapshotId | None]]:
    updates = [info.updates.update(i) for i in range(len(info.updates))][::-1]
    return [(u.kind.name, u.updated_at, u.name, u.new or u.previous) for u in updates]


def test_the_log_is_made_up_as_measured() -> None:
    assert log(migrated(CONTENTS, 900_000)) == [
        ("REPO_INITIALIZED", 100_000, None, None),
        ("BRANCH_CREATED", 101_000, "root", None),
        ("TAG_CREATED", 101_001, "lost", None),  # of what it pointed at nothing is known
        ("TAG_DELETED", 102_000, "lost", sid(6)),
        ("NEW_COMMIT", 110_000, "main", sid(1)),
        ("TAG_CREATED", 111_000, "t1", None),
        ("TAG_CREATED", 111_001, "t2", None),
        ("NEW_COMMIT", 120_000, "main", sid(2)),
        ("TAG_CREATED", 121_000, "gone", None),
        ("TAG_DELETED", 122_000, "gone", sid(2)),
        ("NEW_COMMIT", 130_000, "b", sid(3)),  # by name, b comes before z
        ("BRANCH_CREATED", 131_000, "z", None),
        ("NEW_COMMIT", 140_000, "b", sid(4)),
        ("BRANCH_CREATED", 141_000, "b", None),
        ("TAG_CREATED", 151_000, "only", None),
        ("REPO_MIGRATED", 900_000, None, None),
    ]


def test_the_state_is_that_of_before() -> None:
    info = migrated(CONTENTS, 900_000)
    info = decode_repo_info(encode_repo_info(info), where="repo")
    assert info.branches == CONTENTS.branches
    assert info.tags == CONTENTS.tags
    assert info.deleted_tags == {"gone", "lost"}
    assert info.config == CONTENTS.config
    assert (info.status.availability, info.status.set_at) == (0, 100_000)
    found = {info.snapshots.record(row).id for row in range(len(info.snapshots))}
    assert found == {r.id for r in RECORDS} - {sid(6)}
    assert info.snapshots.record(info.snapshots.find(sid(4))) == RECORDS[4]


def test_a_clock_that_is_behind_does_not_turn_the_log_around() -> None:
    times = [time for _, time, _, _ in log(migrated(CONTENTS, 5))]
    assert times == sorted(set(times))
    assert log(migrated(CONTENTS, 5))[-1][0] == UpdateKind.REPO_MIGRATED.name
