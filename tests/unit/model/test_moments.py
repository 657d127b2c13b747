"""Whether the log of operations tells of a collection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frazil.errors import AlreadyExistsError
from frazil.format.repo_info import RepoInfo, initial_repo_info
from frazil.format.updates import Update, UpdateKind, UpdateTable
from frazil.model.moments import NEVER, Collected, collected_since, moment_of, unless_collected
from frazil.model.refs import UNSTAMPED, Edit, collected_before, create_branch, note_collection

FIRST = initial_repo_info(1, 2)


def after(info: RepoInfo, *kinds: UpdateKind, keep: int = 100) -> RepoInfo:
    """The repository after operations of these kinds."""
    for kind in kinds:
        time = moment_of(info).made_at + 10
        updates, _ = info.updates.push(Update(kind, time), f"copy-{time}", keep)
        info = replace(info, updates=updates)
    return info


def test_only_collections_count() -> None:
    since = moment_of(FIRST)
    assert not collected_since(FIRST, since)
    others = [kind for kind in UpdateKind if kind is not UpdateKind.GC_RAN]
    for kind in others:
        assert not collected_since(after(FIRST, kind), since)
    collected = after(FIRST, UpdateKind.CONFIG_CHANGED, UpdateKind.GC_RAN)
    assert collected_since(collected, since)
    assert collected_since(after(collected, UpdateKind.CONFIG_CHANGED), since)
    assert not collected_since(after(collected, UpdateKind.CONFIG_CHANGED), moment_of(collected))


def test_what_a_newer_release_did_may_be_a_collection() -> None:
    later = after(FIRST, UpdateKind.CONFIG_CHANGED)
    rows = later.updates.rows.copy()
    rows["kind"][0] = 17
    unknown = UpdateTable(rows, later.updates.heap)
    assert collected_since(replace(later, updates=unknown), moment_of(FIRST))


def test_a_log_that_does_not_reach_back_tells_nothing() -> None:
    kinds = [UpdateKind.CONFIG_CHANGED] * 5
    assert not collected_since(after(FIRST, *kinds), moment_of(FIRST))
    assert collected_since(after(FIRST, *kinds, keep=2), moment_of(FIRST))
    assert collected_since(FIRST, NEVER)


def test_an_edit_that_is_wrong_anyway_says_so_first() -> None:
    collected = after(FIRST, UpdateKind.GC_RAN)
    with pytest.raises(Collected):
        unless_collected(note(1), moment_of(FIRST))(collected)
    assert unless_collected(note(1), moment_of(collected))(collected)
    assert unless_collected(note(1), None)(collected)
    with pytest.raises(AlreadyExistsError):
        unless_collected(create_branch("main", FIRST.branches["main"]), moment_of(FIRST))(collected)


def note(cutoff: int) -> Edit:
    return lambda info: (note_collection(info, cutoff), Update(UpdateKind.GC_RAN, UNSTAMPED))


def test_the_latest_cutoff_is_noted() -> None:
    assert collected_before(FIRST) == 0
    noted = note_collection(note_collection(FIRST, 7), 5)
    assert collected_before(noted) == 7
    assert collected_before(note_collection(noted, 9)) == 9
