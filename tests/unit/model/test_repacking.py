"""What a repack moves where, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from frazil.model.relocation import place_keys
from frazil.model.repacking import (
    Chunks,
    Criteria,
    Plan,
    Reading,
    Seen,
    Sizes,
    interleaved,
    plan,
    twins,
)
from frazil.model.sweep import Objects

SIZES = Sizes(target=1000, largest=500, chunks=50)
CRITERIA = Criteria(smaller_than=250, dead=0.5)
READING = Reading(gap=0, limit=10_000)


def chunks(
    places: Sequence[tuple[int, int, int]],
    *,
    group: Sequence[int] | None = None,
    chosen: Sequence[bool] | None = None,
    anew: Sequence[bool] | None = None,
    twin: Sequence[int] | None = None,
) -> Chunks:
    """Chunks at (object, offset, length)."""
    n = len(places)
    object_ = np.zeros((n, 12), np.uint8)
    object_[:, 11] = [number for number, _, _ in places]
    return Chunks(
        object_,
        np.array([offset for _, offset, _ in places], np.uint64),
        np.array([length for _, _, length in places], np.uint64),
        np.array([0] * n if group is None else group, np.int64),
        np.array([True] * n if chosen is None else chosen, np.bool_),
        np.array([False] * n if anew is None else anew, np.bool_),
        np.array(range(n) if twin is None else twin, np.int64),
    )


def stored(sizes: dict[int, int], created: dict[int, int] | None = None) -> Objects:
    """Objects with these sizes, in an order that is none."""
    ids = [bytes(11) + bytes([number]) for number in sizes]
    times = [(created or {}).get(number, 0) for number in sizes]
    return Objects(
        np.array(ids, "S12"), np.array(list(sizes.values()), np.int64), np.array(times, np.int64)
    )


def moves(
    made: Plan,
) -> list[list[int]]:
    return [rows.tolist() for rows in made.packs()]


def test_small_objects_are_gathered_in_the_order_of_reading() -> None:
    alone = chunks([(n, 0, 100) for n in (3, 1, 2)])
    made = plan(alone, stored({1: 200, 2: 200, 3: 200}), CRITERIA, SIZES, READING)
    assert moves(made) == [[0, 1, 2]]
    assert (made.before.objects, made.before.nbytes, made.before.requests) == (3, 600, 3)
    assert (made.after.objects, made.after.nbytes, made.after.requests) == (1, 300, 1)


def test_what_is_large_or_well_filled_stays() -> None:
    found = chunks([(1, 0, 400), (1, 400, 400), (2, 0, 2000), (3, 0, 100)])
    made = plan(found, stored({1: 900, 2: 2100, 3: 200}), CRITERIA, SIZES, READING)
    assert moves(made) == []  # one small object alone would be a small object again
    assert made.before == made.after


def test_objects_of_which_most_is_dead_are_dropped() -> None:
    found = chunks([(1, 0, 100), (1, 800, 100), (2, 0, 600)])
    made = plan(found, stored({1: 1000, 2: 1000}), CRITERIA, SIZES, READING)
    assert moves(made) == [[0, 1]]
    assert made.dead == (1000 - 200 - 152) + (1000 - 600 - 140)
    kept = plan(found, stored({1: 1000, 2: 1000}), Criteria(250, None), SIZES, READING)
    assert moves(kept) == []


def test_dead_space_stays_while_others_need_the_object() -> None:
    found = chunks([(1, 0, 100), (1, 800, 100)], chosen=[True, False])
    assert moves(plan(found, stored({1: 2000}), CRITERIA, SIZES, READING)) == []


def test_objects_are_full_at_their_target_and_chunks_of_some_size_are_alone() -> None:
    found = chunks([(n, 0, 400 if n != 5 else 600) for n in range(8)])
    made = plan(found, stored(dict.fromkeys(range(8), 700)), Criteria(800, None), SIZES, READING)
    assert moves(made) == [[0, 1], [2, 3], [4, 6]]  # 5 would be alone again, and so would 7
    few = Sizes(1000, 500, 1)
    assert moves(plan(found, stored(dict.fromkeys(range(8), 700)), CRITERIA, few, READING)) == []


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([0, 0, 0, 0, 1, 1, 1, 1], [[0, 1, 2, 3], [4, 5, 6, 7]]),  # half full at the end of one
        ([0, 1, 1, 1, 1, 1, 1, 1], [[0, 1, 2, 3, 4], [5, 6, 7]]),  # little of it is not enough
        ([0, 0, 0, 1, 1, 2, 2, 2], [[0, 1, 2, 3, 4], [5, 6, 7]]),  # full there
    ],
)
def test_groups_have_objects_of_their_own_where_that_fills_them(
    group: list[int], expected: list[list[int]]
) -> None:
    found = chunks([(n, 0, 200) for n in range(8)], group=group)
    made = plan(found, stored(dict.fromkeys(range(8), 210)), CRITERIA, SIZES, READING)
    assert moves(made) == expected


def test_times_and_choice() -> None:
    found = chunks([(n, 0, 100) for n in range(6)], chosen=[True] * 5 + [False])
    there = stored(dict.fromkeys(range(6), 200), {n: n for n in range(6)})
    assert moves(plan(found, there, CRITERIA, SIZES, READING)) == [[0, 1, 2, 3, 4]]
    some = Criteria(250, 0.5, before=4, after=1)
    assert moves(plan(found, there, some, SIZES, READING)) == [[1, 2, 3]]


def test_what_is_compressed_anew_moves_wherever_it_is() -> None:
    found = chunks([(1, 0, 400), (1, 400, 400)], anew=[False, True])
    assert moves(plan(found, stored({1: 900}), CRITERIA, SIZES, READING)) == [[1]]


def test_what_seems_to_be_a_copy_is_not_moved() -> None:
    found = chunks([(n, 0, 100) for n in range(4)], twin=[0, 1, 0, 1])
    made = plan(found, stored(dict.fromkeys(range(4), 200)), CRITERIA, SIZES, READING)
    assert moves(made) == [[0, 1]]
    assert made.copies.tolist() == [[2, 0], [3, 1]]
    assert (made.after.objects, made.after.nbytes, made.after.requests) == (1, 200, 1)
    # One that stays stands for those that would move, wherever it comes.
    large = stored({0: 200, 1: 200, 2: 200, 3: 1000})
    found = chunks([(0, 0, 100), (1, 0, 100), (2, 0, 100), (3, 0, 900)], twin=[0, 1, 2, 1])
    made = plan(found, large, CRITERIA, SIZES, READING)
    assert moves(made) == [[0, 2]]
    assert made.copies.tolist() == [[1, 3]]
    assert made.after.objects == 2


def test_twins() -> None:
    keys = np.array([b"a", b"b", b"a", b"a", b"b"], "S1")
    known = np.array([True, True, False, True, False])
    assert twins(keys, known).tolist() == [0, 1, 2, 0, 4]
    assert twins(keys[:0], known[:0]).tolist() == []


def test_missing_objects_and_empty_chunks_stay() -> None:
    found = chunks([(1, 0, 100), (2, 0, 100), (3, 0, 0), (4, 0, 100)])
    made = plan(found, stored({2: 200, 3: 50, 4: 200}), CRITERIA, SIZES, READING)
    assert moves(made) == [[1, 3]]
    assert made.missing == 1
    nothing = plan(chunks([]), stored({}), CRITERIA, SIZES, READING)
    assert moves(nothing) == []
    assert nothing.before.requests == nothing.after.requests == 0


def test_a_second_plan_finds_nothing() -> None:
    rng = np.random.default_rng(3)
    lengths = rng.integers(20, 480, 300).tolist()
    group = np.sort(rng.integers(0, 9, 300)).tolist()
    found = chunks([(n % 250, 1000 * n, lengths[n]) for n in range(300)], group=group)
    sizes = dict.fromkeys(range(250), 240)
    made = plan(found, stored(sizes), Criteria(250, None), SIZES, READING)
    assert len(made.rows) == 300
    # What has been moved: one object after the other.
    places: list[tuple[int, int, int]] = [(0, 0, 0)] * 300
    filled: dict[int, int] = {}
    for number, rows in enumerate(made.packs()):
        for row in rows.tolist():
            at = filled.get(number, 0)
            places[row] = number, at, lengths[row]
            filled[number] = at + lengths[row]
    again = plan(chunks(places, group=group), stored(filled), CRITERIA, SIZES, READING)
    assert moves(again) == []
    assert again.before.objects == made.after.objects
    assert again.before.requests == made.after.requests
    assert again.before.nbytes == made.after.nbytes


def test_arrays_that_are_read_together_are_interleaved() -> None:
    u = np.array([[0, 0], [0, 1], [1, 0]], np.uint32)
    v = np.array([[0], [1], [2]], np.uint32)
    array, row = interleaved([u, v])
    assert list(zip(array.tolist(), row.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (0, 2),
        (1, 1),
        (1, 2),
    ]


def test_a_place_is_new_once() -> None:
    rng = np.random.default_rng(4)
    known: set[bytes] = set()
    seen = Seen()
    for _ in range(30):
        n = int(rng.integers(1, 40))
        offset = rng.integers(0, 100, n).astype(np.uint64)
        keys = place_keys(np.zeros((n, 12), np.uint8), offset, np.ones(n, np.uint64))
        fresh = seen.new(keys)
        for key, is_new in zip(offset.tolist(), fresh.tolist(), strict=True):
            raw = bytes([key])
            assert is_new == (raw not in known)
            known.add(raw)
