"""Edits of the repository information that scenarios cannot bring about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frazil.errors import FormatError, ReadOnlyError
from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import initial_repo_info
from frazil.format.updates import Status
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model import refs

INFO = initial_repo_info(1_000, 1_000)
RECORD = SnapshotRecord(SnapshotId(b"a" * 12), INITIAL_SNAPSHOT, 2_000, "a commit", {}, ())


@pytest.mark.parametrize(
    ("now", "newest", "expected"),
    [(10, 5, 10), (5, 5, 6), (5, 10, 11), (0, refs.CLOCK_TOLERANCE, refs.CLOCK_TOLERANCE + 1)],
)
def test_times_go_forward_whatever_the_clock_says(now: int, newest: int, expected: int) -> None:
    assert refs.next_time(now, newest) == expected


def test_a_clock_that_is_far_off_is_reported() -> None:
    with pytest.raises(FormatError, match="601 s in the future") as caught:
        refs.next_time(1_000_000, 602_000_000)
    assert caught.value.kind == "snapshot-timestamp"


def test_a_snapshot_is_listed_once() -> None:
    info, _ = refs.add_detached(RECORD)(INFO)
    for edit in (refs.add_detached(RECORD), refs.add_commit("main", RECORD)):
        with pytest.raises(FormatError, match="exists already") as caught:
            edit(info)
        assert caught.value.kind == "duplicate-snapshot-id"


def test_an_edit_leaves_the_value_it_starts_from_alone() -> None:
    info, update = refs.add_commit("main", RECORD)(INFO)
    assert INFO.branches == {"main": INITIAL_SNAPSHOT}
    assert len(INFO.snapshots) == 1
    assert info.branches == {"main": RECORD.id}
    assert info.snapshots.record(info.snapshots.find(RECORD.id)) == RECORD
    assert (update.name, update.new) == ("main", RECORD.id)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status(1, 0, "moving house"), "read-only: moving house"),
        (Status(1, 0, None), "read-only$"),
        (Status(2, 0, "old"), "archived: old"),
    ],
)
def test_a_read_only_repository_takes_no_changes(status: Status, message: str) -> None:
    refs.check_online(INFO)
    refs.check_online(replace(INFO, status=Status(3, 0, None)))  # a later release's
    with pytest.raises(ReadOnlyError, match=message) as caught:
        refs.check_online(replace(INFO, status=status))
    assert caught.value.kind == "read-only-repository"
