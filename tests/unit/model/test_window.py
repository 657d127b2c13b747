"""Windows over many ids: all of them together are all ids, none is too large."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frazil.model.listed import Found
from frazil.model.window import Window

IDS = st.binary(min_size=12, max_size=12)


def rows(ids: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 12)


@given(st.lists(IDS, unique=True), st.integers(1, 9), st.integers(1, 6), st.booleans())
def test_windows_are_a_whole(every_id: list[bytes], page_size: int, most: int, told: bool) -> None:
    starts = range(0, len(every_id), page_size)
    pages = [every_id[start : start + page_size] for start in starts]
    listing = []
    for page in pages:
        sizes = np.array([id_[0] for id_ in page], np.int64) if told else None
        listing.append(Found(rows(page), sizes, sizes))
    found: list[bytes] = []
    low: int | None = 0
    while low is not None:
        window = Window(low, most)
        for part in listing:
            window.add(part)
        listed = window.listed()
        every = np.arange(len(listed))
        raw = listed.ids(every).tobytes()
        ids = [raw[i : i + 12] for i in range(0, len(raw), 12)]
        heads = [id_[:8] for id_ in ids]
        assert len(ids) <= most or heads.count(min(heads)) > len(ids) // 2
        if listed.size is not None:
            assert listed.size.tolist() == [id_[0] for id_ in ids]
        found += ids
        assert window.high is None or window.high > low
        low = window.high
    assert found == sorted(every_id)


def test_a_window_has_as_many_as_it_may() -> None:
    ids = [bytes([n]) * 12 for n in range(100)]
    sizes, low = [], 0
    while True:
        window = Window(low, 10)
        for start in range(0, 100, 7):
            window.add(Found(rows(ids[start : start + 7])))
        sizes.append(len(window.listed()))
        if window.high is None:
            break
        low = window.high
    assert sum(sizes) == 100
    assert max(sizes) <= 10
    assert len(sizes) < 25


def test_ids_that_begin_alike_are_not_parted() -> None:
    window = Window(0, 2)
    window.add(Found(rows([bytes(8) + bytes([n]) * 4 for n in range(9)])))
    assert len(window.listed()) == 9
    assert window.high is None
