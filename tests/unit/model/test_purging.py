"""What is left of files when something is removed from all of history."""

from __future__ import annotations

import json

import numpy as np

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef
from frazil.format.nodes import NodeKind
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import ChunkId, NodeId, SnapshotId
from frazil.model.purge_target import Cells, Target
from frazil.model.purging import (
    Moved,
    log_tells,
    purged_log,
    purged_refs,
    rename,
    stay,
    without_attribute,
    without_consolidated,
)
from frazil.model.replaced import Replaced, chunk_keys

A, B = NodeId(b"a" * 8), NodeId(b"b" * 8)
OLD, NEW = SnapshotId(b"o" * 12), SnapshotId(b"n" * 12)
PACK, ANEW = ChunkId(b"p" * 12), ChunkId(b"q" * 12)
INDEX = np.array([[0, 0], [0, 1], [2, 1]], np.uint32)


def test_references_follow_their_bytes() -> None:
    refs = ChunkRefs.of(
        1,
        {
            (0,): NativeRef(PACK, 10, 5, 7),
            (1,): NativeRef(PACK, 20, 6),
            (2,): NativeRef(ANEW, 20, 6),
            (3,): InlineRef(b"x"),
        },
    )
    moved = {
        bytes(PACK): Moved(bytes(NEW), np.array([10, 20], np.uint64), np.array([0, 5], np.uint64))
    }
    target = Target(frozenset({A}), {A: cells((1, 2))})
    after = purged_refs(A, refs, target, None, moved)
    assert [after.row(i) for i in range(len(after))] == [
        NativeRef(ChunkId(NEW), 0, 5, 7),
        NativeRef(ANEW, 20, 6),
        InlineRef(b"x"),
    ]
    assert len(purged_refs(B, refs, target, None, {})) == 4


def test_references_to_what_was_replaced() -> None:
    refs = ChunkRefs.of(
        1, {(i,): NativeRef(PACK, 10 * i, 5) for i in range(4)} | {(4,): InlineRef(b"x")}
    )
    new = {(1,): NativeRef(ANEW, 0, 6, 3), (2,): None, (4,): InlineRef(b"yz")}
    held = refs.take(slice(1, 5))
    after = ChunkRefs.of(1, {(3,): refs.row(3), **new})
    replaced = Replaced(chunk_keys(held), after, np.array([False, False, True, False]))
    target = Target(frozenset({A}), {A: Cells(((15, 50),), (10,), ((1, 5),), ((9, 9),))})
    assert stay(A, refs, target, replaced).tolist() == [True, False, False, True, False]
    assert stay(A, refs, target, None).tolist() == [True, False, False, False, False]
    left = purged_refs(A, refs, target, replaced, {})
    assert left.index[:, 0].tolist() == [0, 1, 3, 4]
    assert [left.row(i) for i in range(4)] == [refs.row(0), new[1,], refs.row(3), new[4,]]
    assert len(purged_refs(A, refs, target, None, {})) == 1


def cells(*whole: tuple[int, int]) -> Cells:
    """Whole chunks of one element."""
    return Cells(whole, (1,) * len(whole), whole, whole)


def test_documents() -> None:
    plain = json.dumps({"attributes": {"a": 1, "b": [2]}, "consolidated_metadata": None}).encode()
    assert json.loads(without_attribute(plain, "a"))["attributes"] == {"b": [2]}
    assert without_attribute(plain, "c") is plain
    assert without_consolidated(plain) is plain
    held = json.dumps({"consolidated_metadata": {"metadata": {}}}, indent=2).encode()
    assert without_consolidated(held) == b"{}"


def test_logs() -> None:
    log = TransactionLog(
        OLD,
        new_arrays=frozenset({A, B}),
        updated_chunks={A: INDEX, B: INDEX},
        moves=(Move("/a", "/x", A, NodeKind.ARRAY),),
    )
    whole = purged_log(log, Target(frozenset({A})), NEW)
    assert (whole.id, whole.new_arrays, whole.moves) == (NEW, {B}, ())
    assert whole.updated_chunks.keys() == {B}
    part = Target(frozenset({A}), {A: cells((0, 1), (0, 9))})
    assert purged_log(log, part, NEW).updated_chunks[A].tolist() == [[2, 1]]
    assert purged_log(log, part, NEW).new_arrays == {A, B}
    assert log_tells(log, part)
    other = Target(frozenset({NodeId(b"c" * 8)}))
    assert not log_tells(log, other)
    assert not log_tells(log, Target(frozenset({A}), attribute="x"))
    assert purged_log(log, other, NEW).updated_chunks.keys() == {A, B}


def test_ids_in_metadata() -> None:
    metadata = {"frazil": {"merge_parents": [str(OLD), "other"]}, "n": 3}
    assert rename(metadata, {OLD: NEW}) == {
        "frazil": {"merge_parents": [str(NEW), "other"]},
        "n": 3,
    }
