"""Expiration, as plans: measured examples, and random histories against the rules in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.repo_info import RepoInfo, UpdateKind, initial_repo_info
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model.expiration import Expired, Ref, expire, plan_v1
from frazil.model.keys import raw_ids

ROOT = INITIAL_SNAPSHOT
ALL = 10**9


def sid(n: int) -> SnapshotId:
    """Ids in another order than they are made in."""
    return SnapshotId(bytes([n * 37 % 256, n]) + bytes(10))


def repository(
    parents: dict[SnapshotId, SnapshotId],
    branches: dict[str, SnapshotId],
    tags: dict[str, SnapshotId] | None = None,
    pruned: dict[SnapshotId, tuple[SnapshotId, ...]] | None = None,
) -> RepoInfo:
    """Snapshots in the order of their making: the first at 101, the next at 102, ..."""
    records = [
        SnapshotRecord(id_, parent, 101 + i, f"m{i}", {"i": i}, (pruned or {}).get(id_, ()))
        for i, (id_, parent) in enumerate(parents.items())
    ]
    info = initial_repo_info(100, 100)
    return replace(info, snapshots=info.snapshots.add(records), branches=branches, tags=tags or {})


def ids_of(result: Expired) -> set[SnapshotId]:
    return set(map(SnapshotId, raw_ids(result.released)))


def parents_of(table: SnapshotTable) -> dict[SnapshotId, SnapshotId | None]:
    return {table.id_of(row): table.record(row).parent for row in range(len(table))}


def pruned_of(table: SnapshotTable) -> dict[SnapshotId, tuple[SnapshotId, ...]]:
    records = [table.record(row) for row in range(len(table))]
    return {record.id: record.pruned for record in records if record.pruned}


def line_of(n: int) -> dict[SnapshotId, SnapshotId]:
    return {sid(i): sid(i - 1) if i else ROOT for i in range(n)}


def test_the_measured_example() -> None:
    """root, s0 to s5 on main, a tag on s2, a branch at s3, everything old."""
    s = [sid(i) for i in range(6)]
    info = repository(line_of(6), {"main": s[5], "b": s[3]}, {"t": s[2]})
    result = expire(info, ALL, delete_branches=False, delete_tags=False)
    assert ids_of(result) == {s[0], s[1], s[4]}
    assert parents_of(result.info.snapshots) == {ROOT: None, s[2]: ROOT, s[3]: s[2], s[5]: ROOT}
    assert pruned_of(result.info.snapshots) == {s[2]: (s[0], s[1]), s[5]: tuple(s[:5])}
    assert result.info.branches == info.branches
    assert result.edit()[1].kind == UpdateKind.EXPIRATION_RAN


def test_the_time_itself_is_not_old() -> None:
    info = repository(line_of(3), {"main": sid(2)})
    result = expire(info, 102, delete_branches=False, delete_tags=False)
    assert ids_of(result) == {sid(0)}
    record = result.info.snapshots.record(result.info.snapshots.find(sid(1)))
    assert (record.parent, record.pruned) == (ROOT, (sid(0),))
    assert (record.message, record.metadata, record.flushed_at) == ("m1", {"i": 1}, 102)


@pytest.mark.parametrize("older_than", [-5, 0, 100, 101])
def test_nothing_is_old(older_than: int) -> None:
    info = repository(line_of(3), {"main": sid(2)})
    result = expire(info, older_than, delete_branches=True, delete_tags=True)
    assert ids_of(result) == set()
    assert parents_of(result.info.snapshots) == parents_of(info.snapshots)


def test_what_a_release_took_over_before_is_passed_on() -> None:
    info = repository(
        line_of(3), {"main": sid(2)}, pruned={sid(0): (sid(90), sid(91)), sid(2): (sid(92),)}
    )
    result = expire(info, ALL, delete_branches=False, delete_tags=False)
    assert pruned_of(result.info.snapshots) == {sid(2): (sid(90), sid(91), sid(0), sid(1), sid(92))}


def test_deleted_branches_and_tags() -> None:
    s = [sid(i) for i in range(4)]
    info = repository(
        line_of(4),
        {"main": s[3], "same": s[3], "old": s[0], "root": ROOT},
        {"t": s[1], "root": ROOT},
    )
    result = expire(info, ALL, delete_branches=True, delete_tags=False)
    assert result.info.branches == {"main": s[3], "root": ROOT}
    assert result.info.tags == info.tags
    assert ids_of(result) == {s[0], s[2]}
    result = expire(info, ALL, delete_branches=False, delete_tags=True)
    assert result.info.branches == info.branches
    assert result.info.tags == {"root": ROOT}
    assert result.info.deleted_tags == {"t"}
    assert ids_of(result) == {s[1], s[2]}


@dataclass
class World:
    """A random history; snapshot i was made at 101 + i."""

    info: RepoInfo
    parents: dict[SnapshotId, SnapshotId]
    older_than: int
    flags: dict[str, bool] = field(default_factory=dict)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    n = draw(st.integers(1, 12))
    parents: dict[SnapshotId, SnapshotId] = {}
    for i in range(n):
        parents[sid(i)] = draw(st.sampled_from([ROOT, *parents]))
    places = st.sampled_from([ROOT, *parents])
    names = st.sampled_from(["a", "b", "c"])
    info = repository(
        parents,
        {"main": draw(places), **draw(st.dictionaries(names, places))},
        draw(st.dictionaries(names, places)),
        draw(st.dictionaries(places, st.just((sid(99),)))),
    )
    flags = {"delete_branches": draw(st.booleans()), "delete_tags": draw(st.booleans())}
    return World(info, parents, draw(st.integers(99, 103 + n)), flags)


@given(worlds())
def test_random_histories_by_the_rules_in_words(world: World) -> None:
    info, parents = world.info, world.parents
    old = {id_ for i, id_ in enumerate(parents) if 101 + i < world.older_than}
    branches = {
        name: tip
        for name, tip in info.branches.items()
        if name == "main" or tip not in old or not world.flags["delete_branches"]
    }
    tags = {
        n: tip for n, tip in info.tags.items() if tip not in old or not world.flags["delete_tags"]
    }
    released = old - set(branches.values()) - set(tags.values())

    def ancestors(id_: SnapshotId) -> list[SnapshotId]:
        """Without the root, oldest first."""
        found: list[SnapshotId] = []
        while (id_ := parents[id_]) != ROOT:
            found.insert(0, id_)
        return found

    before = pruned_of(info.snapshots)
    wanted_parents: dict[SnapshotId, SnapshotId | None] = {ROOT: None}
    wanted_pruned = {ROOT: before[ROOT]} if ROOT in before else {}
    for id_ in parents.keys() - released:
        moved = parents[id_] in released
        wanted_parents[id_] = ROOT if moved else parents[id_]
        logs = [log for a in ancestors(id_) for log in (*before.get(a, ()), a)] if moved else []
        if logs or id_ in before:
            wanted_pruned[id_] = (*logs, *before.get(id_, ()))
    result = expire(info, world.older_than, **world.flags)
    assert ids_of(result) == released
    assert parents_of(result.info.snapshots) == wanted_parents
    assert pruned_of(result.info.snapshots) == wanted_pruned
    assert (result.info.branches, result.info.tags) == (branches, tags)
    assert result.info.deleted_tags == info.tags.keys() - tags.keys()
    again = expire(result.info, world.older_than, **world.flags)
    assert ids_of(again) == set()


# Spec 1: s0 to s3 on main; histories are given from the tip to the root.

S = [sid(i) for i in range(5)]
LINES = {
    S[3]: [(S[3], 104), (S[2], 103), (S[1], 102), (S[0], 101), (ROOT, 100)],
    S[1]: [(S[1], 102), (S[0], 101), (ROOT, 100)],
    ROOT: [(ROOT, 100)],
}
REFS = [Ref("main", False, S[3]), Ref("t", True, S[1]), Ref("r", False, ROOT)]


def test_spec_1_keeps_old_tips_and_still_calls_them_released() -> None:
    plan = plan_v1(LINES, REFS, ALL, delete_branches=False, delete_tags=False)
    assert plan.parents == {S[3]: ROOT, S[1]: ROOT}
    assert plan.released == set(S[:4])
    assert plan.deleted == ()


def test_spec_1_cuts_before_the_oldest_that_is_not_old() -> None:
    plan = plan_v1(LINES, REFS, 103, delete_branches=False, delete_tags=False)
    assert plan.parents == {S[2]: ROOT, S[1]: ROOT}
    assert plan.released == {S[0], S[1]}


def test_spec_1_deletes_references_with_old_tips_but_not_main() -> None:
    plan = plan_v1(LINES, REFS, ALL, delete_branches=True, delete_tags=True)
    assert plan.parents == {S[3]: ROOT}
    assert plan.deleted == (REFS[1], REFS[2])


@pytest.mark.parametrize("older_than", [100, 101])
def test_spec_1_nothing_is_old(older_than: int) -> None:
    plan = plan_v1(LINES, REFS, older_than, delete_branches=False, delete_tags=False)
    assert plan.parents == {}
    assert plan.released == set()


def test_spec_1_a_tip_right_after_the_root_has_nothing_to_release() -> None:
    lines = {S[0]: LINES[S[1]][1:]}
    plan = plan_v1(lines, [Ref("main", False, S[0])], ALL, delete_branches=True, delete_tags=True)
    assert (plan.parents, plan.released, plan.deleted) == ({}, set(), ())
