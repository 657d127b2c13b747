"""Counts of uses against counters of sets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.ledger import LedgerColumns, decode_ledger, encode_ledger
from frazil.model.uses import NO_IDS, Inconsistent, Ledger, Uses

ID = st.sampled_from([bytes([n]) * 8 + bytes([m]) * 4 for n in range(4) for m in (0, 255)])
REFS = st.lists(st.tuples(st.integers(0, 3), ID))
PARTS = np.array([b"p" * 20], "S20")


def rows(ids: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 12)


def uses_of(refs: list[tuple[int, bytes]]) -> Uses:
    owner = np.array([owner for owner, _ in refs], np.int64)
    return Uses.of_arrays(owner, rows([id_ for _, id_ in refs]))


def told(uses: Uses) -> dict[bytes, int]:
    raw = uses.ids.tobytes()
    ids = [raw[i : i + 12] for i in range(0, len(raw), 12)]
    assert ids == sorted(set(ids))
    return dict(zip(ids, uses.count.tolist(), strict=True))


def model(refs: list[tuple[int, bytes]]) -> Counter[bytes]:
    return Counter(id_ for _, id_ in set(refs))


@given(st.lists(REFS))
def test_each_array_counts_once(manifests: list[list[tuple[int, bytes]]]) -> None:
    total = Uses.sum([uses_of(refs) for refs in manifests])
    assert told(total) == sum(map(model, manifests), Counter())
    assert len(total) == len(told(total))


@given(st.lists(REFS), st.lists(REFS), st.data(), st.lists(ID), st.lists(ID))
def test_what_is_used_no_more(
    before: list[list[tuple[int, bytes]]],
    added: list[list[tuple[int, bytes]]],
    data: st.DataObject,
    doomed: list[bytes],
    lost: list[bytes],
) -> None:
    gone = [refs for refs in before if data.draw(st.booleans())]
    ledger = Ledger(PARTS, Uses.sum([uses_of(refs) for refs in before]), rows(doomed))
    after = ledger.then(
        PARTS[:0], [uses_of(refs) for refs in added], [uses_of(refs) for refs in gone], rows(lost)
    )
    used = sum(map(model, [*before, *added]), Counter())
    used.subtract(sum(map(model, gone), Counter()))
    assert told(after.uses) == {id_: n for id_, n in used.items() if n}
    free = {id_ for id_, n in used.items() if not n} | {*doomed, *lost}
    raw = after.doomed.tobytes()
    ids = [raw[i : i + 12] for i in range(0, len(raw), 12)]
    assert ids == sorted(free - set(told(after.uses)))
    assert not len(after.parts)


def test_what_was_never_used_cannot_be_taken_away() -> None:
    ledger = Ledger(PARTS, Uses.none(), NO_IDS)
    with pytest.raises(Inconsistent):
        ledger.then(PARTS, [], [uses_of([(0, bytes(12))])], NO_IDS)


@given(st.lists(ID, unique=True), st.lists(ID), st.lists(st.binary(min_size=20, max_size=20)))
def test_a_record_is_read_as_it_was_written(
    ids: list[bytes], doomed: list[bytes], parts: list[bytes]
) -> None:
    columns = LedgerColumns(
        np.frombuffer(b"".join(parts), "S20"),
        rows(sorted(ids)),
        np.arange(1, len(ids) + 1),
        rows(doomed),
    )
    data = encode_ledger(columns)
    again = decode_ledger(data)
    assert again is not None
    assert [column.tobytes() for column in again] == [column.tobytes() for column in columns]
    assert again.doomed.shape == (len(doomed), 12)
    for at in range(0, len(data), 7):
        assert decode_ledger(data[:at]) is None
        assert decode_ledger(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is None


def test_a_record_byte_for_byte() -> None:
    """As the format says: whoever wrote one in an earlier release left these bytes."""
    columns = LedgerColumns(
        np.frombuffer(b"m" * 12 + b"n" * 8, "S20"),
        rows([b"o" * 12]),
        np.array([3], np.int64),
        rows([b"d" * 12]),
    )
    assert encode_ledger(columns).hex() == (
        "4672617a696c4743" "0100000000000000" "0100000000000000" "0100000000000000"
        "0100000000000000" + "6d" * 12 + "6e" * 8 + "6f" * 12 + "03000000" + "64" * 12
        + "7305147978bf098a"
    )  # fmt: skip
