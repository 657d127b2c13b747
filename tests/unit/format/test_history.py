"""The table of snapshots: order, parents and ancestry."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from frazil.errors import FormatError, InternalError
from frazil.format.history import SnapshotRecord, SnapshotTable, described
from frazil.ids import SnapshotId


def sid(number: int) -> SnapshotId:
    # A NUL at the end must not matter to comparisons.
    return SnapshotId(number.to_bytes(11, "big") + b"\0")


def record(number: int, parent: int | None) -> SnapshotRecord:
    return SnapshotRecord(
        sid(number),
        None if parent is None else sid(parent),
        number * 1000,
        f"message é {number}",
        {f"k{i}": [number, i] for i in range(number % 3)},
        tuple(sid(number + i) for i in range(number % 2)),
    )


def records(table: SnapshotTable) -> list[SnapshotRecord]:
    return [table.record(i) for i in range(len(table))]


CHAIN = [record(5, None), record(2, 5), record(9, 2), record(1, 9), record(7, 9)]


def ancestors(table: SnapshotTable, number: int) -> list[SnapshotId]:
    return [table.id_of(row) for row in table.ancestry(table.find(sid(number)))]


def test_rows_are_sorted_and_parents_follow() -> None:
    table = SnapshotTable.of(CHAIN)
    assert records(table) == sorted(CHAIN, key=lambda r: r.id)
    assert table.parent.tolist() == [4, 2, -1, 4, 1]
    assert table.flushed_at.tolist() == [1000, 2000, 5000, 7000, 9000]
    assert table.message[0] == "message é 1".encode()
    assert ancestors(table, 1) == [sid(i) for i in (1, 9, 2, 5)]
    assert table.parent_of(sid(9)) == sid(2)
    assert table.parent_of(sid(5)) is None


def test_find() -> None:
    table = SnapshotTable.of(CHAIN)
    assert [table.find(sid(i)) for i in (1, 2, 5, 7, 9)] == [0, 1, 2, 3, 4]
    assert table.find(sid(3)) == table.find(sid(10)) == -1
    ids = np.array([list(sid(i)) for i in (9, 3, 1, 10)], np.uint8)
    assert table.find_many(ids).tolist() == [4, -1, 0, -1]
    assert SnapshotTable.of([]).find_many(ids).tolist() == [-1] * 4
    assert SnapshotTable.of([]).find(sid(1)) == -1
    with pytest.raises(FormatError, match="not in the list"):
        table.parent_of(sid(3))


def test_adding_one_by_one_is_adding_all() -> None:
    rng = random.Random(4)
    numbers = rng.sample(range(1000), 300)
    all_ = [record(n, numbers[rng.randrange(i)] if i else None) for i, n in enumerate(numbers)]
    one_by_one = SnapshotTable.of([])
    for one in all_:
        one_by_one = one_by_one.add([one])
    assert records(one_by_one) == records(SnapshotTable.of(rng.sample(all_, len(all_))))
    assert records(one_by_one) == sorted(all_, key=lambda r: r.id)
    assert records(one_by_one.compact()) == records(one_by_one)


def test_add_refuses_what_is_here_and_what_has_no_parent() -> None:
    table = SnapshotTable.of(CHAIN)
    with pytest.raises(FormatError, match="listed already") as caught:
        table.add([record(2, 5)])
    assert caught.value.kind == "duplicate-snapshot-id"
    with pytest.raises(FormatError, match="listed already"):
        table.add([record(3, 5), record(3, 5)])
    with pytest.raises(FormatError, match="not in the list"):
        table.add([record(3, 4)])


def test_replace_keeps_the_children() -> None:
    table = SnapshotTable.of(CHAIN)
    new = [replace(record(9, 5), message="other"), replace(record(5, None), flushed_at=1)]
    changed = table.replace(new)
    assert ancestors(changed, 1) == [sid(i) for i in (1, 9, 5)]
    assert ancestors(changed, 2) == [sid(i) for i in (2, 5)]
    assert changed.record(changed.find(sid(9))) == new[0]
    assert changed.record(changed.find(sid(5))) == new[1]
    assert changed.record(changed.find(sid(7))) == CHAIN[4]
    with pytest.raises(FormatError, match="not in the list"):
        table.replace([record(3, None)])


def test_keep() -> None:
    table = SnapshotTable.of(CHAIN)
    kept = table.keep([table.find(sid(i)) for i in (5, 2, 9)])
    assert records(kept) == [record(2, 5), record(5, None), record(9, 2)]
    mask = table.flushed_at != 1000
    assert records(table.keep(mask)) == records(table)[1:]
    assert len(table.keep(np.zeros(5, np.bool_))) == len(table.keep([])) == 0
    with pytest.raises(InternalError, match="without its parent"):
        table.keep(table.flushed_at != 9000)


@pytest.mark.parametrize("count", [1, 16, 17, 3000])
def test_a_lineage_tells_what_the_records_say(count: int) -> None:
    chain = [record(n, n - 1 if n else None) for n in range(count)]
    table = SnapshotTable.of(chain)
    found = list(table.lineage(table.find(sid(count - 1))))
    assert found == [described(one) for one in reversed(chain)]


def test_a_circle_of_ancestors_is_found() -> None:
    table = SnapshotTable.of(CHAIN)
    for row, parent in ((2, 2), (2, 0)):
        rows = table.rows.copy()
        rows["parent"][row] = parent
        circle = SnapshotTable(rows, table.heap, table.items, table.pruned_ids)
        with pytest.raises(FormatError, match="form a circle"):
            list(circle.ancestry(0))
        with pytest.raises(FormatError, match="form a circle"):
            list(circle.lineage(0))


def test_metadata_is_read_when_it_is_asked_for() -> None:
    table = SnapshotTable.of([record(2, None), record(4, 2)])
    heap = table.heap.copy()
    heap[int(table.items["value_start"][0]) :] = 255
    damaged = SnapshotTable(table.rows, heap, table.items, table.pruned_ids)
    assert damaged.find(sid(4)) == 1
    with pytest.raises(FormatError, match=str(sid(2))):
        damaged.record(0)


def test_many_replacements_do_not_pile_up() -> None:
    table = SnapshotTable.of(CHAIN)
    for i in range(600):
        last = replace(record(5, None), message="x" * 1000 + str(i))
        table = table.replace([last])
    assert table.record(2) == last
    assert len(table.heap) < 100_000
