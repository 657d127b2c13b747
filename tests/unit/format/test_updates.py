"""The operations log: pushing updates and cutting what is old."""

from __future__ import annotations

import pytest

from frazil.errors import FormatError
from frazil.format.updates import Status, Update, UpdateKind, UpdateTable
from frazil.ids import SnapshotId

A, B = SnapshotId(b"snapshot aaa"), SnapshotId(b"snapshot bb\0")
ALL = [
    Update(UpdateKind.REPO_INITIALIZED, 1),
    Update(UpdateKind.REPO_MIGRATED, 2, from_version=1, to_version=2),
    Update(UpdateKind.CONFIG_CHANGED, 3, backup_path="repo.1.é"),
    Update(UpdateKind.METADATA_CHANGED, 4),
    Update(UpdateKind.TAG_CREATED, 5, name="tag"),
    Update(UpdateKind.TAG_DELETED, 6, name="", previous=A),
    Update(UpdateKind.BRANCH_CREATED, 7, name="é"),
    Update(UpdateKind.BRANCH_DELETED, 8, name="b", previous=B),
    Update(UpdateKind.BRANCH_RESET, 9, name="b", previous=A),
    Update(UpdateKind.NEW_COMMIT, 10, name="main", new=A),
    Update(UpdateKind.COMMIT_AMENDED, 11, name="main", previous=A, new=B),
    Update(UpdateKind.NEW_DETACHED_SNAPSHOT, 12, new=B),
    Update(UpdateKind.GC_RAN, 13),
    Update(UpdateKind.EXPIRATION_RAN, 14),
    Update(UpdateKind.FEATURE_FLAG_CHANGED, 15, flag_id=65535, flag_value=True),
    Update(UpdateKind.FEATURE_FLAG_CHANGED, 16, flag_id=1, flag_value=False),
    Update(UpdateKind.FEATURE_FLAG_CHANGED, 17, flag_id=0, flag_value=None),
    Update(UpdateKind.REPO_STATUS_CHANGED, 18, status=Status(1, 2**63, "why")),
    Update(UpdateKind.REPO_STATUS_CHANGED, 19, status=Status(0, 0, None)),
]


def updates(table: UpdateTable) -> list[Update]:
    return [table.update(i) for i in range(len(table))]


def commit(number: int) -> Update:
    return Update(UpdateKind.NEW_COMMIT, number, name=f"b{number}", new=A)


def test_updates_of_all_kinds_come_back() -> None:
    table = UpdateTable.of(ALL)
    assert updates(table) == ALL
    assert table.updated_at.tolist() == [update.updated_at for update in ALL]
    assert table.column("name")[4] == b"tag"
    assert {update.kind for update in ALL} == set(UpdateKind)


def test_an_unknown_kind_is_kept_but_not_shown() -> None:
    table = UpdateTable.of(ALL)
    table.rows["kind"][3] = 17
    assert table.update(2) == ALL[2]
    with pytest.raises(FormatError, match="unknown kind 17"):
        table.update(3)


def test_prepend_tells_the_previous_one_where_its_file_went() -> None:
    table = UpdateTable.of([]).prepend(commit(1), None)
    table = table.prepend(commit(2), "first").prepend(commit(3), "second")
    assert [(u.name, u.backup_path) for u in updates(table)] == [
        ("b3", None),
        ("b2", "second"),
        ("b1", "first"),
    ]


def test_the_newest_never_has_a_backup_path() -> None:
    given = Update(UpdateKind.GC_RAN, 1, backup_path="wrong")
    assert UpdateTable.of([]).prepend(given, "x").update(0).backup_path is None


def test_push_cuts_as_icechunk_does() -> None:
    """With three per file and nine operations: b8 b7 b6, then b5 b4 b3, then b2 b1 b0."""
    table, before = UpdateTable.of([commit(0)]), None
    files = {}
    for i in range(1, 9):
        backup = f"backup {i - 1}"
        files[backup] = (table, before)
        table, cut = table.push(commit(i), backup, limit=3)
        before = cut or before
    chain = []
    while True:
        chain.append([u.name for u in updates(table)])
        assert table.update(0).backup_path is None
        if before is None:
            break
        table, before = files[before]
    assert chain == [["b8", "b7", "b6"], ["b5", "b4", "b3"], ["b2", "b1", "b0"]]


def test_push_cuts_only_where_there_is_a_backup() -> None:
    # As after a migration, whose entries are made up and have no backups.
    table = UpdateTable.of([commit(i) for i in range(9, 0, -1)])
    table, before = table.push(commit(10), "x", limit=3)
    assert before is None
    assert len(table) == 10
    table, before = table.push(commit(11), "y", limit=3)
    assert before is None
    assert len(table) == 11
    table, before = table.push(commit(12), "z", limit=3)
    assert before == "x"
    assert [u.name for u in updates(table)] == ["b12", "b11", "b10"]
