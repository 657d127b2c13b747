"""Counts of uses against counters of sets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.ledger import LedgerColumns, decode_ledger, encode_ledger
from frazil.model.uses import NO_IDS, Inconsistent, Parts, Tally, Uses, settled

ID = st.sampled_from([bytes([n]) * 8 + bytes([m]) * 4 for n in range(4) for m in (0, 255)])
REFS = st.lists(st.tuples(st.integers(0, 3), ID))


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
    after, raw = settled(
        Uses.sum([uses_of(refs) for refs in before]),
        [uses_of(refs) for refs in added],
        [uses_of(refs) for refs in gone],
        rows([*doomed, *lost]),
    )
    used = sum(map(model, [*before, *added]), Counter())
    used.subtract(sum(map(model, gone), Counter()))
    assert told(after) == {id_: n for id_, n in used.items() if n}
    free = {id_ for id_, n in used.items() if not n} | {*doomed, *lost}
    assert [row.tobytes() for row in raw] == sorted(free - set(told(after)))


def test_what_was_never_used_cannot_be_taken_away() -> None:
    with pytest.raises(Inconsistent):
        settled(Uses.none(), [], [uses_of([(0, bytes(12))])], NO_IDS)


PART = st.sampled_from([bytes([n]) * 12 + bytes([m]) * 8 for n in range(3) for m in (0, 255)])


def parts_of(some: set[bytes]) -> np.ndarray:
    return np.array(sorted(some), "S20")


@given(st.dictionaries(ID, st.sets(PART)), st.data())
def test_snapshots_are_added_up_and_taken_away(
    snapshots: dict[bytes, set[bytes]], data: st.DataObject
) -> None:
    tally, gone = Tally(), Tally()
    for number, (id_, parts) in enumerate(snapshots.items()):
        tally.add(id_, parts_of(parts), number)
        if data.draw(st.booleans()):
            gone.add(id_, parts_of(parts), number)
    told = [one.tobytes() for one in tally.snapshots()["id"].reshape(-1, 1)]
    assert told == sorted(snapshots)
    left = Parts.sum([tally.parts(), gone.parts().negative()])
    used = Counter(part for parts in snapshots.values() for part in parts)
    keys = [one.tobytes() for one in left.keys.reshape(-1, 1)]
    assert keys == sorted(used)
    taken = {
        one.tobytes(): n
        for one, n in zip(gone.parts().keys.reshape(-1, 1), gone.parts().count, strict=True)
    }
    assert left.count.tolist() == [used[key] - taken.get(key, 0) for key in keys]
    manifests = [one.tobytes() for one in left.manifests().reshape(-1, 1)]
    assert manifests == sorted({key[:12] for key in keys})
    arrays = [one.tobytes() for one in left.of_arrays().reshape(-1, 1)]
    assert arrays == [key for key in keys if any(key[12:])]


COLUMNS = LedgerColumns(
    np.array([b"s" * 12], "S12"),
    np.array([-2], np.int64),
    np.array([2**64 - 1], np.uint64),
    np.array([b"l" * 12], "S12"),
    np.frombuffer(b"m" * 12 + b"n" * 8, "S20"),
    np.array([5], np.int64),
    rows([b"o" * 12]),
    np.array([3], np.int64),
    rows([b"t" * 12]),
    rows([b"M" * 12]),
    rows([b"d" * 12]),
)


@given(st.data())
def test_a_record_is_read_as_it_was_written(data: st.DataObject) -> None:
    """Columns of any lengths, those of one table alike."""
    counts = [data.draw(st.integers(0, 3)) for _ in range(7)]
    which = (0, 0, 0, 1, 2, 2, 3, 3, 4, 5, 6)
    columns = LedgerColumns(
        *(np.repeat(one, counts[n], axis=0) for one, n in zip(COLUMNS, which, strict=True))
    )
    written = encode_ledger(columns)
    again = decode_ledger(written)
    assert again is not None
    assert [one.tobytes() for one in again] == [one.tobytes() for one in columns]
    assert [one.shape for one in again] == [one.shape for one in columns]
    assert [one.dtype.kind for one in again] == [one.dtype.kind for one in columns]
    for at in range(0, len(written), 7):
        assert decode_ledger(written[:at]) is None
        assert decode_ledger(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :]) is None


def test_a_record_byte_for_byte() -> None:
    """As the format says: whoever wrote one in an earlier release left these bytes."""
    assert encode_ledger(COLUMNS).hex() == (
        "4672617a696c4743" "0200000000000000" + "0100000000000000" * 7
        + "73" * 12 + "feffffffffffffff" + "ff" * 8 + "6c" * 12
        + "6d" * 12 + "6e" * 8 + "05000000" + "6f" * 12 + "03000000"
        + "74" * 12 + "4d" * 12 + "64" * 12 + "336d09221c51d6d7"
    )  # fmt: skip
