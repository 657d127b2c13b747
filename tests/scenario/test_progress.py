"""What may take long tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import frazil
from frazil import Repository
from frazil.progress import Progress
from tests.scenario.trees import array, change, commit, group


def history(spec: int) -> Repository:
    """Two branches of three commits each, on different arrays."""
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    commit(repo, {"": group(), "a": array([4]), "b": array([4])})
    repo.create_branch("other", repo.lookup_branch("main"))
    for number in range(3):
        commit(repo, {f"a/c/{number}": b"1"})
        change(repo.writable_session("other"), {f"b/c/{number}": b"2"}).commit("theirs")
    return repo


def squash(repo: Repository) -> object:
    return repo.squash("main", [item.id for item in repo.ancestry(branch="main")][3], "squashed")


def diff(repo: Repository) -> object:
    line = [item.id for item in repo.ancestry(branch="main")]
    return repo.diff(from_snapshot_id=line[3], to_branch="main")


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


TOLD: dict[str, tuple[Callable[[Repository], object], dict[str, int]]] = {
    "merge": (lambda repo: repo.merge("other", "main"), {"Comparing arrays": 1}),
    "squash": (squash, {"Reading transaction logs": 3}),
    "diff": (diff, {"Reading transaction logs": 3}),
    "statistics": (
        lambda repo: repo.chunk_storage_stats(),
        {"Reading snapshots": 8, "Reading manifests": 6},
    ),
    "collection": (
        lambda repo: repo.garbage_collect(later(), dry_run=True),
        {"Reading snapshots": 8},
    ),
}


@pytest.mark.parametrize("what", TOLD)
def test_progress_is_told_to_the_last_step(spec: int, what: str) -> None:
    call, expected = TOLD[what]
    if what == "squash" and spec == 1:
        pytest.skip("spec 2 only")
    repo, seen = history(spec), list[Progress]()
    with frazil.progress.report(seen.append):
        call(repo)
    last = {progress.task: progress for progress in seen}
    assert {name: last[name].done for name in expected} == expected
    assert all(item.total in (None, item.done) for item in last.values())
