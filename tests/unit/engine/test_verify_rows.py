"""References as rows, as many at a time as may be."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from frazil.engine.verification.objects import Objects, evenly
from frazil.engine.verification.rows import (
    BYTES_PER_ROW,
    END,
    Window,
    distinct,
    object_of,
    objects_of,
    rows_of,
    starts_of,
)
from frazil.format.chunk_refs import NATIVE, ChunkRefs, InlineRef, NativeRef
from frazil.ids import ChunkId


def many(seed: int, count: int) -> ChunkRefs:
    """References to few objects, some to the same places."""
    rng = random.Random(seed)
    objects = [ChunkId(rng.randbytes(12)) for _ in range(7)]
    return ChunkRefs.of(
        1,
        {
            (i,): NativeRef(rng.choice(objects), rng.randrange(5), 9, rng.choice((0, 5)))
            for i in range(count)
        }
        | {(count,): InlineRef(b"x")},
    )


def test_ids_come_back() -> None:
    refs = many(1, 20)
    rows = rows_of(refs, 3, 0, END)
    assert len(rows) == 20
    assert [object_of(row) for row in rows] == [refs.row(i).object for i in range(20)]  # type: ignore[union-attr]
    objects = objects_of(rows, np.arange(20)).take(slice(None))
    assert objects.tolist() == [bytes(object_of(row)).rstrip(b"\0") for row in rows]
    assert set(rows["source"].tolist()) == {3}
    middle = int(np.sort(rows["high"])[10])
    assert (rows_of(refs, 3, middle, END)["high"] >= middle).all()
    assert (rows_of(refs, 3, 0, middle)["high"] < middle).all()
    assert len(rows_of(refs, 3, END, END)) == 0


def test_a_place_with_a_checksum_is_preferred() -> None:
    rows = distinct(rows_of(many(2, 300), 0, 0, END))
    places = [(object_of(row), int(row["offset"])) for row in rows]
    assert len(set(places)) == len(places) == 35
    assert all(rows["checksum"] == 5)


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_passes_see_every_place_once(limit: int) -> None:
    parts = [rows_of(many(seed, 60), seed, 0, END) for seed in range(5)]
    whole = distinct(np.concatenate(parts))
    start, seen = 0, []
    while True:
        window = Window(start, limit)
        for part in parts:
            window.add(part[part["high"] >= start])
        rows = window.rows()
        # One object is never cut in two, whatever the limit.
        assert len(rows) <= max(limit, 5)
        assert (rows["high"] < window.stop).all() if window.stop < END else True
        seen.append(rows)
        if window.stop == END:
            break
        assert window.stop > start
        start = window.stop
    joined = np.concatenate(seen)
    names = ["high", "low", "offset", "length", "checksum"]
    assert joined[names].tolist() == whole[names].tolist()
    assert (len(seen) == 1) == (limit == 1000)


def test_samples_are_even() -> None:
    assert evenly(0, 10, 0.5).tolist() == [True, False] * 5
    assert evenly(0, 3, 0.01).tolist() == [True, False, False]
    assert evenly(0, 5, 1.0).all()
    whole = evenly(0, 100, 0.13)
    parts = [evenly(a, 20, 0.13) for a in range(0, 100, 20)]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_row_takes_no_more_than_is_said() -> None:
    n = 200_000
    ids = np.random.default_rng(1).integers(0, 256, (n, 12), "u1")
    ids[: n // 2, :11] = 7  # half of them in few objects: sorted by all that they say
    numbers = np.arange(n, dtype=np.uint64)
    index, kind = numbers[:, None].astype("u4"), np.full(n, NATIVE, "u1")
    refs = ChunkRefs(index, kind, ids, numbers, np.ones(n, np.uint64))
    window = Window(0, n)
    tracemalloc.start()
    for start in range(0, n, 50_000):
        window.add(rows_of(refs.take(slice(start, start + 50_000)), 0, 0, END))
    rows = window.rows()
    starts = starts_of(rows)
    wanted = objects_of(rows, starts)
    objects = Objects(rows, starts, np.full(len(starts), 1 << 40))
    assert len(wanted) == len(objects)
    assert objects.check()[0] == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * BYTES_PER_ROW
