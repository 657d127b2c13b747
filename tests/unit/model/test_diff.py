"""Transaction logs as one difference in paths."""

from __future__ import annotations

import numpy as np

from frazil.format.snapshot import NodeKind
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.model.diff import diff

A, B, GONE = (NodeId(bytes([i]) * 8) for i in range(3))
PATHS = {A: "/a", B: "/b"}


def log(number: int, **changes: object) -> TransactionLog:
    return TransactionLog(SnapshotId(bytes([number]) * 12), **changes)  # type: ignore[arg-type]


def chunks(*coords: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.array(coords, np.uint32)


def test_the_union_of_all_logs_without_nodes_that_came_and_went() -> None:
    found = diff(
        [
            log(1, new_groups=frozenset({A, GONE}), deleted_arrays=frozenset({B})),
            log(2, new_arrays=frozenset({B}), deleted_groups=frozenset({GONE})),
            log(3, updated_groups=frozenset({A}), updated_arrays=frozenset({B})),
        ],
        PATHS.get,
    )
    assert found.new_groups == found.updated_groups == {"/a"}
    assert found.new_arrays == found.updated_arrays == found.deleted_arrays == {"/b"}
    assert found.deleted_groups == set()


def test_chunks_are_listed_once_and_in_order() -> None:
    found = diff(
        [
            log(1, updated_chunks={B: chunks([0, 2], [3, 0]), GONE: chunks([0])}),
            log(2, updated_chunks={B: chunks([0, 1], [0, 2]), A: chunks([7])}),
        ],
        PATHS.get,
    )
    assert list(found.updated_chunks.items()) == [
        ("/a", [[7]]),
        ("/b", [[0, 1], [0, 2], [3, 0]]),
    ]


def test_of_an_array_that_changed_its_rank_the_last_chunks_count() -> None:
    found = diff(
        [log(1, updated_chunks={A: chunks([1])}), log(2, updated_chunks={A: chunks([0, 1])})],
        PATHS.get,
    )
    assert found.updated_chunks == {"/a": [[0, 1]]}


def test_moves_are_listed_newest_commit_first() -> None:
    moves = [Move("/x", "/a", A, NodeKind.GROUP), Move("/y", "/b", B, NodeKind.ARRAY)]
    found = diff([log(1, moves=(moves[0],)), log(2, moves=(moves[1],))], PATHS.get)
    assert found.moved_nodes == [("/y", "/b"), ("/x", "/a")]
    assert not found.is_empty()
    assert diff([], PATHS.get).is_empty()
