"""What a collection keeps and drops, on random histories against the rules in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import RepoInfo, initial_repo_info
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model.keys import Keys
from frazil.model.sweep import Depends, Objects, drop, kept_rows, logs_to_keep

ROOT = INITIAL_SNAPSHOT
CUTOFF = 1000


def sid(n: int) -> SnapshotId:
    """Ids in another order than they are made in, ending in NULs."""
    return SnapshotId(bytes([n * 37 % 256, n]) + bytes(10))


def keys(*ids: bytes) -> Keys:
    return np.unique(np.frombuffer(b"".join(ids), "S12"))


def test_objects_without_an_id_for_a_name_are_never_garbage() -> None:
    names = [str(sid(1)), "README", "abcdefghjk" * 2, str(sid(3)) + ".tmp", "a/" + str(sid(4))]
    objects = Objects.of(names, [10] * 5, [0] * 5)
    assert objects.ids.tobytes() == sid(1)


def test_garbage_is_old_and_not_kept() -> None:
    ids = [sid(i) for i in range(4)]
    objects = Objects.of([str(i) for i in ids], [1, 2, 3, 4], [999, 999, 1000, 1001])
    assert objects.garbage(keys(ids[0], ids[3]), CUTOFF).tolist() == [False, True, False, False]
    assert objects.take(objects.garbage(keys(), CUTOFF)).size.tolist() == [1, 2]


@dataclass
class World:
    """A random history; the files of `missing` are not listed, those of `new` are young."""

    info: RepoInfo
    parents: dict[SnapshotId, SnapshotId]
    stored: Objects
    young: set[SnapshotId]

    def with_snapshot(self, id_: SnapshotId, parent: SnapshotId) -> RepoInfo:
        record = SnapshotRecord(id_, parent, 5000, "later")
        return replace(self.info, snapshots=self.info.snapshots.add([record]))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    n = draw(st.integers(1, 10))
    parents: dict[SnapshotId, SnapshotId] = {}
    for i in range(n):
        parents[sid(i)] = draw(st.sampled_from([ROOT, *parents]))
    records = [
        SnapshotRecord(id_, parent, 101 + i, "", pruned=(sid(100 + i),) * draw(st.integers(0, 1)))
        for i, (id_, parent) in enumerate(parents.items())
    ]
    info = initial_repo_info(100, 100)
    places = st.sampled_from([ROOT, *parents])
    info = replace(
        info,
        snapshots=info.snapshots.add(records),
        branches={"main": draw(places)},
        tags=draw(st.dictionaries(st.sampled_from(["a", "b"]), places)),
    )
    ages = {id_: draw(st.sampled_from([500, 500, 2000, None])) for id_ in parents}
    listed = {id_: age for id_, age in ages.items() if age is not None}
    return World(
        info,
        parents,
        Objects.of([str(i) for i in listed], [1] * len(listed), list(listed.values())),
        {id_ for id_, age in ages.items() if age != 500},
    )


def ancestors(world: World, id_: SnapshotId) -> list[SnapshotId]:
    found = []
    while id_ != ROOT:
        id_ = world.parents[id_]
        found.append(id_)
    return found


def kept_of(world: World) -> set[SnapshotId]:
    tips = [*world.info.branches.values(), *world.info.tags.values()]
    return {ROOT, *world.young, *tips, *(a for tip in tips for a in ancestors(world, tip))}


def parts(world: World) -> tuple[Keys, Keys, Keys]:
    kept = keys(*kept_of(world))
    gone = keys(*(world.parents.keys() - kept_of(world)))
    garbage = world.stored.ids[world.stored.garbage(kept, CUTOFF)]
    return keys(ROOT, *world.parents), gone, garbage


@given(worlds())
def test_what_is_kept_and_what_it_is_attached_to(world: World) -> None:
    table = world.info.snapshots
    rows = kept_rows(world.info, world.stored, CUTOFF)
    assert {table.id_of(row) for row in np.flatnonzero(rows)} == kept_of(world)

    after = drop(world.info, *parts(world)).snapshots
    before = {id_: table.record(table.find(id_)).pruned for id_ in world.parents}
    records = {after.id_of(row): after.record(row) for row in range(len(after))}
    assert records.keys() == kept_of(world)
    logs = set(records)
    for id_ in kept_of(world) - {ROOT}:
        line = ancestors(world, id_)
        nearest = next(i for i, a in enumerate(line) if a in kept_of(world))
        lost = [log for a in reversed(line[:nearest]) for log in (*before[a], a)]
        assert records[id_].parent == line[nearest]
        assert records[id_].pruned == (*lost, *before[id_])
        logs |= {*lost, *before[id_]}
    assert logs_to_keep(after).tobytes() == keys(*logs).tobytes()


def gone_snapshot() -> World:
    info = initial_repo_info(100, 100)
    records = [SnapshotRecord(sid(1), ROOT, 101, ""), SnapshotRecord(sid(2), sid(1), 102, "")]
    info = replace(info, snapshots=info.snapshots.add(records))
    stored = Objects.of([str(sid(1)), str(sid(2)), str(sid(3))], [1, 1, 1], [500, 500, 500])
    return World(info, {sid(1): ROOT, sid(2): sid(1)}, stored, set())


@pytest.mark.parametrize("ref", ["branches", "tags"])
def test_a_reference_that_appears_on_what_goes(ref: str) -> None:
    world = gone_snapshot()
    now = replace(world.info, **{ref: {"main": ROOT, "new": sid(1)}})
    with pytest.raises(Depends):
        drop(now, *parts(world))


def test_a_snapshot_that_appears_on_what_goes() -> None:
    world = gone_snapshot()
    with pytest.raises(Depends):
        drop(world.with_snapshot(sid(9), sid(2)), *parts(world))


def test_a_snapshot_that_appears_and_has_an_old_file() -> None:
    world = gone_snapshot()
    with pytest.raises(Depends):
        drop(world.with_snapshot(sid(3), ROOT), *parts(world))


def test_other_snapshots_that_appear_stay() -> None:
    world = gone_snapshot()
    after = drop(world.with_snapshot(sid(9), ROOT), *parts(world)).snapshots
    assert {after.id_of(row) for row in range(len(after))} == {ROOT, sid(9)}


def test_what_somebody_else_has_dropped_already() -> None:
    world = gone_snapshot()
    known, gone, garbage = parts(world)
    once = drop(world.info, known, gone, garbage)
    again = drop(once, known, gone, garbage)
    assert again is once
