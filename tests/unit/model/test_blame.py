"""Who wrote which chunk."""

from __future__ import annotations

import numpy as np

from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.model.blame import Coords, Ledger

NODE, OTHER = NodeId(b"12345678"), NodeId(b"abcdefgh")
ID = SnapshotId.parse("1CECHNKREP0F1RSTCMT0")


def coords(*rows: tuple[int, ...]) -> Coords:
    return np.array(rows, np.uint32)


def log(chunks: Coords, node: NodeId = NODE, created: bool = False) -> TransactionLog:
    arrays = frozenset([node]) if created else frozenset()
    return TransactionLog(ID, new_arrays=arrays, updated_chunks={node: chunks})


def test_the_newest_writer_counts() -> None:
    ledger = Ledger(NODE, coords((0, 0), (0, 1), (1, 1)), (2, 2))
    ledger.enter(0, log(coords((1, 1))))
    ledger.enter(1, log(coords((0, 1)), OTHER))
    ledger.enter(2, log(coords((0, 1), (1, 1))))
    assert ledger.written_by.tolist() == [-1, 2, 0]
    assert not ledger.is_complete
    ledger.enter(3, log(coords((0, 0), (0, 1))))
    assert ledger.written_by.tolist() == [3, 2, 0]
    assert ledger.is_complete


def test_what_is_cut_off_explains_nothing() -> None:
    ledger = Ledger(NODE, coords((0, 1), (1, 0)), (2, 2))
    ledger.enter(0, log(coords((0, 2), (5, 5))))
    assert ledger.written_by.tolist() == [-1, -1]


def test_nobody_wrote_before_the_array_was_there() -> None:
    ledger = Ledger(NODE, coords((0,), (1,)), (2,))
    ledger.enter(0, log(coords((1,)), created=True))
    assert ledger.is_complete
    assert ledger.written_by.tolist() == [0, 0]


def test_scalars_and_other_ranks() -> None:
    scalar = Ledger(NODE, np.zeros((1, 0), np.uint32), ())
    scalar.enter(0, log(coords((3,))))
    assert not scalar.is_complete
    scalar.enter(1, log(np.zeros((1, 0), np.uint32)))
    assert scalar.written_by.tolist() == [1]
