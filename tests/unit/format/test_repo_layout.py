"""`repo` files that are written one after another, each with most of its rows taken over."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from frazil.format.header import FileType, unwrap
from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import (
    RepoInfo,
    SnapshotTable,
    Status,
    Update,
    UpdateKind,
    decode_repo_info,
    encode_repo_info,
    initial_repo_info,
)
from frazil.ids import SnapshotId

LIMIT = 30


def sid(number: int) -> SnapshotId:
    return SnapshotId(hashlib.sha256(str(number).encode()).digest()[:12])


def as_values(info: RepoInfo) -> list[object]:
    return [
        info.branches,
        [info.snapshots.record(i) for i in range(len(info.snapshots))],
        [info.updates.update(i) for i in range(len(info.updates))],
        info.repo_before_updates,
    ]


def changed(info: RepoInfo, number: int, limit: int = LIMIT) -> RepoInfo:
    """The repository after one more change: mostly commits, some with metadata."""
    update = Update(UpdateKind.NEW_COMMIT, number, name="main", new=sid(number))
    if number % 7 == 3:
        update = Update(UpdateKind.TAG_CREATED, number, name=f"tag {number}")
    elif number % 7 == 5:
        status = Status(1, number, "why" * number)
        update = Update(UpdateKind.REPO_STATUS_CHANGED, number, status=status)
    elif number % 7 == 6:
        update = Update(UpdateKind.COMMIT_AMENDED, number, None, "main", sid(1), sid(number))
    record = SnapshotRecord(
        sid(number),
        info.branches["main"],
        number,
        f"é {number}" * (number % 3),
        {"a": [number], "b": {}} if number % 5 == 2 else {},
        (sid(-1), sid(-2)) if number % 11 == 4 else (),
    )
    snapshots = info.snapshots.add([record])
    updates, older = info.updates.push(update, f"repo.{number}", limit)
    return replace(
        info,
        branches={"main": record.id},
        snapshots=snapshots,
        updates=updates,
        repo_before_updates=older or info.repo_before_updates,
    )


@pytest.mark.parametrize("known", [1, 40])
@pytest.mark.parametrize("limit", [1, 2, LIMIT])
def test_each_file_says_what_one_written_anew_says(known: int, limit: int) -> None:
    info = initial_repo_info(0, 0)
    for number in range(1, known):
        info = changed(info, number)
    if known > 1:
        info = decode_repo_info(encode_repo_info(info), where="test")
    for number in range(known, known + 80):
        info = changed(info, number, limit)
        data = encode_repo_info(info)
        assert as_values(decode_repo_info(data, where="test")) == as_values(info)


def test_only_new_rows_are_laid_out() -> None:
    info = initial_repo_info(0, 0)
    encode_repo_info(info)
    for number in range(1, 20):
        before = info.snapshots.layout.known
        assert before is not None
        info = changed(info, number)
        encode_repo_info(info)
        after = info.snapshots.layout.known
        assert after is not None
        assert bytes(after.data[: len(before.data)]) == bytes(before.data)


def test_rows_that_nobody_refers_to_do_not_pile_up() -> None:
    info = initial_repo_info(0, 0)
    sizes = []
    for number in range(1, 200):
        info = changed(info, 7 * number)
        info = replace(info, snapshots=SnapshotTable.of([SnapshotRecord(sid(0), None, 0, "")]))
        info = replace(info, branches={"main": sid(0)})
        body = unwrap(encode_repo_info(info), FileType.REPO, where="test")[1]
        sizes.append(len(body))
    assert max(sizes) < 1.5 * sizes[2 * LIMIT]


def test_an_edit_that_is_not_made_leaves_the_next_one_alone() -> None:
    info = initial_repo_info(0, 0)
    encode_repo_info(info)
    encode_repo_info(changed(info, 1))
    other = changed(info, 2)
    decoded = decode_repo_info(encode_repo_info(other), where="test")
    assert as_values(decoded) == as_values(other)
