"""Transaction logs beyond what the golden files show."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.errors import FormatError
from frazil.format.flatbuf import Slot, read_root
from frazil.format.flatbuf_writer import finish, items, table_block, vector, vectors
from frazil.format.header import FileType, peek, unwrap, wrap
from frazil.format.nodes import NodeKind
from frazil.format.transaction_log import (
    Move,
    TransactionLog,
    decode_transaction_log,
    encode_transaction_log,
    initial_transaction_log,
    sorted_unique,
)
from frazil.ids import INITIAL_SNAPSHOT, NodeId, SnapshotId


def nid(number: int) -> NodeId:
    return NodeId(number.to_bytes(7, "big") + b"\0")


def chunks(*coords: tuple[int, ...]) -> np.ndarray:
    return np.array(coords, np.uint32).reshape(len(coords), -1)


def as_values(log: TransactionLog) -> tuple[object, ...]:
    sets = (log.new_groups, log.new_arrays, log.deleted_groups, log.deleted_arrays)
    edits = {node: coords.tolist() for node, coords in log.updated_chunks.items()}
    return (log.id, sets, log.updated_groups, log.updated_arrays, edits, log.moves)


FULL = TransactionLog(
    SnapshotId(b"the snapshot"),
    new_groups=frozenset({nid(3), nid(1), nid(2)}),
    new_arrays=frozenset({nid(4)}),
    deleted_groups=frozenset({nid(5)}),
    deleted_arrays=frozenset({nid(6), nid(4)}),
    updated_arrays=frozenset({nid(7)}),
    updated_groups=frozenset({nid(8)}),
    updated_chunks={
        nid(9): chunks((0, 1), (0, 2), (1, 0)),
        nid(7): np.zeros((1, 0), np.uint32),
        nid(8): chunks((2**32 - 1,)),
    },
    moves=(
        Move("/a", "/z/a", nid(1), NodeKind.GROUP),
        Move("/b é", "/z/m/c", nid(2), NodeKind.ARRAY),
        Move("/c", "/z-1", nid(3), NodeKind.ARRAY),
    ),
)


@pytest.mark.parametrize("spec", [1, 2])
def test_round_trip(spec: int) -> None:
    data = encode_transaction_log(FULL, spec=spec)
    assert peek(data).spec == spec
    assert as_values(decode_transaction_log(data, where="test")) == as_values(FULL)


@pytest.mark.parametrize("arrays", [1, 24, 25])
@pytest.mark.parametrize("count", [0, 1, 24, 25, 60])
@pytest.mark.parametrize("ndim", [0, 1, 3])
def test_few_and_many_chunks_of_few_and_many_arrays(arrays: int, count: int, ndim: int) -> None:
    edits = {
        nid(node): np.arange(count * ndim, dtype=np.uint32).reshape(count, ndim)
        for node in range(arrays)
    }
    if ndim == 0:
        edits = {node: np.zeros((min(count, 1), 0), np.uint32) for node in edits}
    log = TransactionLog(SnapshotId(b"the snapshot"), updated_chunks=edits)
    back = decode_transaction_log(encode_transaction_log(log, spec=2), where="test")
    assert as_values(back) == as_values(log)
    assert {coords.dtype for coords in back.updated_chunks.values()} == {np.dtype(np.uint32)}


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("arrays", [1, 30])
def test_chunks_of_any_number_are_sorted_each_once(arrays: int, count: int) -> None:
    coords = [(count - i // 2, 7) for i in range(count)]
    data = made_by_hand(list(range(arrays)), coords * arrays, [count] * arrays)
    log = decode_transaction_log(data, where="test")
    expected = sorted(map(list, set(coords)))
    assert [found.tolist() for found in log.updated_chunks.values()] == [expected] * arrays


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("arrays", [1, 30])
def test_chunks_of_one_array_have_one_rank(arrays: int, count: int) -> None:
    coords = [(1,) * (1 + (i == count - 1)) for i in range(count)]
    with pytest.raises(FormatError, match="differ in rank"):
        decode_transaction_log(
            made_by_hand(list(range(arrays)), coords * arrays, [count] * arrays), where="test"
        )


def test_the_initial_log() -> None:
    log = decode_transaction_log(
        encode_transaction_log(initial_transaction_log(), spec=2), where="test"
    )
    assert as_values(log) == as_values(TransactionLog(INITIAL_SNAPSHOT))


def test_lists_are_sorted_in_the_file() -> None:
    _, body = unwrap(encode_transaction_log(FULL, spec=2), FileType.TRANSACTION_LOG, where="test")
    root = read_root(body, where="test")
    assert root.items(Slot(1, "new_groups"), "V8").tolist() == [nid(1), nid(2), nid(3)]
    arrays = root.tables(Slot(7, "updated_chunks"))
    assert arrays.struct(Slot(0, "node"), 8)[:, 6].tolist() == [7, 8, 9]


def test_moves_are_sorted_by_the_segments_of_the_destination() -> None:
    order = ["/z/a", "/z/m", "/z/m/c", "/z-1", "/z-1/b", "/z.2"]
    moves = tuple(Move("/x", path, nid(1), NodeKind.GROUP) for path in reversed(order))
    log = TransactionLog(FULL.id, moves=moves)
    read = decode_transaction_log(encode_transaction_log(log, spec=2), where="test")
    assert [move.to_path for move in read.moves] == order


def test_union() -> None:
    other = TransactionLog(
        SnapshotId(b"another one."),
        new_groups=frozenset({nid(11)}),
        deleted_arrays=frozenset({nid(12)}),
        updated_chunks={nid(9): chunks((1, 0), (0, 0)), nid(1): chunks((5,))},
        moves=(Move("/x", "/y", nid(4), NodeKind.GROUP),),
    )
    union = TransactionLog.union([FULL, other], id=other.id)
    assert union.id == other.id
    assert union.new_groups == {nid(1), nid(2), nid(3), nid(11)}
    assert union.new_arrays == {nid(4)}
    assert union.deleted_arrays == {nid(4), nid(6), nid(12)}
    assert union.updated_chunks[nid(9)].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]
    assert union.updated_chunks[nid(7)].shape == (1, 0)
    assert set(union.updated_chunks) == {nid(1), nid(7), nid(8), nid(9)}
    assert union.moves == (*FULL.moves, *other.moves)
    assert as_values(TransactionLog.union([], id=FULL.id)) == as_values(TransactionLog(FULL.id))


def test_sorted_unique() -> None:
    rng = np.random.default_rng(1)
    coords = rng.integers(0, 4, (200, 3), np.uint32)
    expected = sorted({tuple(row) for row in coords.tolist()})
    assert [tuple(row) for row in sorted_unique(coords).tolist()] == expected
    assert sorted_unique(np.zeros((5, 0), np.uint32)).shape == (1, 0)
    assert sorted_unique(np.zeros((0, 2), np.uint32)).shape == (0, 2)


def made_by_hand(nodes: list[int], coords: list[tuple[int, ...]], counts: list[int]) -> bytes:
    ranks = np.array([len(c) for c in coords], np.int64)
    indices = table_block(len(coords))
    indices.refer(Slot(0, "coords"), items(np.array([x for c in coords for x in c], "<u4"), ranks))
    arrays = table_block(len(nodes))
    arrays.struct(Slot(0, "node"), np.array([list(nid(n)) for n in nodes], np.uint8))
    arrays.refer(Slot(1, "chunks"), vectors(indices, np.array(counts, np.int64)))
    root = table_block()
    root.struct(Slot(0, "id"), bytes(12))
    for number in range(1, 7):
        root.refer(Slot(number, "ids"), vector(b"", 0))
    root.refer(Slot(7, "updated_chunks"), vectors(arrays))
    return wrap(finish(root), FileType.TRANSACTION_LOG, spec=1, level=3)


def test_chunks_out_of_order_are_sorted_and_moves_may_be_missing() -> None:
    data = made_by_hand([2, 1], [(1, 1), (0, 5), (1, 1), (7,)], [3, 1])
    log = decode_transaction_log(data, where="test")
    found = {node: coords.tolist() for node, coords in log.updated_chunks.items()}
    assert found == {nid(1): [[7]], nid(2): [[0, 5], [1, 1]]}
    assert log.moves == ()


@pytest.mark.parametrize(
    ("nodes", "coords", "counts", "message"),
    [
        ([1], [(1, 1), (1,)], [2], "differ in rank"),
        ([1, 1], [(1,), (2,)], [1, 1], "appears twice"),
    ],
)
def test_damage_is_a_format_error(
    nodes: list[int], coords: list[tuple[int, ...]], counts: list[int], message: str
) -> None:
    with pytest.raises(FormatError, match=f"^transactions/x: .*{message}"):
        decode_transaction_log(made_by_hand(nodes, coords, counts), where="transactions/x")
