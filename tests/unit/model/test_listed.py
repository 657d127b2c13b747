"""The columns of a listing against sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.model import listed as module
from frazil.model.listed import Found, Listed

# Few heads and few tails, so that some share one and some are equal.
IDS = st.builds(
    lambda head, tail: head + tail,
    st.sampled_from([bytes(8), b"\xff" * 8, b"head\x00\x00\x00\x01", b"\x01" + bytes(7)]),
    st.sampled_from([bytes(4), b"\x00\x00\x00\x01", b"\xff" * 4, b"\x80" + bytes(3), b"tail"]),
) | st.binary(min_size=12, max_size=12)


def rows(ids: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 12)


def told(listed: Listed, at: np.ndarray) -> list[bytes]:
    raw = listed.ids(at).tobytes()
    return [raw[i : i + 12] for i in range(0, len(raw), 12)]


@given(st.lists(st.lists(IDS)), st.lists(IDS), st.lists(IDS))
def test_what_is_not_needed(
    pages: list[list[bytes]], once: list[bytes], twice: list[bytes]
) -> None:
    listed = Listed([Found(rows(page)) for page in pages])
    there = {id_ for page in pages for id_ in page}
    assert len(listed) == len(there)
    assert told(listed, np.arange(len(listed))) == sorted(there)
    assert told(listed, listed.others(rows(once))) == sorted(there - set(once))
    listed.need(rows(once))
    listed.need(rows(twice))
    assert told(listed, listed.unneeded()) == sorted(there - {*once, *twice})


def test_ids_are_looked_up_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 3)
    ids = [bytes([n]) * 12 for n in range(10)]
    listed = Listed([Found(rows(ids))])
    listed.need(rows(ids[:7]))
    assert told(listed, listed.unneeded()) == ids[7:]


def test_sizes_and_times_go_with_their_ids() -> None:
    ids = [bytes([n]) * 12 for n in (3, 1, 2)]
    parts = [(ids[:2], [30, 10]), (ids[2:], [20])]
    pages = [
        Found(rows(part), np.array(sizes, np.int64), np.array(sizes, np.int64) * 100)
        for part, sizes in parts
    ]
    listed = Listed(pages)
    assert listed.size is not None
    assert listed.created is not None
    assert listed.size.tolist() == [10, 20, 30]
    assert listed.created.tolist() == [1000, 2000, 3000]
    assert Listed([]).size is None
