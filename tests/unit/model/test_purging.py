"""What is left of files when something is removed from all of history."""

from __future__ import annotations

import json

import numpy as np
import pytest

from frazil.errors import InvalidInputError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef
from frazil.format.nodes import Node, NodeKind
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import ChunkId, NodeId, SnapshotId
from frazil.model.purging import (
    Moved,
    Target,
    chunk_box,
    log_tells,
    purged_log,
    purged_refs,
    rename,
    without_attribute,
    without_consolidated,
)

A, B = NodeId(b"a" * 8), NodeId(b"b" * 8)
OLD, NEW = SnapshotId(b"o" * 12), SnapshotId(b"n" * 12)
PACK, ANEW = ChunkId(b"p" * 12), ChunkId(b"q" * 12)
INDEX = np.array([[0, 0], [0, 1], [2, 1]], np.uint32)


def test_which_chunks_go() -> None:
    assert Target(frozenset({A})).chunks_of(A, INDEX).all()
    assert not Target(frozenset({A})).chunks_of(B, INDEX).any()
    assert not Target(frozenset({A}), attribute="x").chunks_of(A, INDEX).any()
    boxed = Target(frozenset({A}), box=((0, 2), (1, 2)))
    assert boxed.chunks_of(A, INDEX).tolist() == [False, True, False]
    assert not boxed.chunks_of(A, INDEX[:, :1]).any()
    scalar = Target(frozenset({A}), box=())
    assert scalar.chunks_of(A, np.empty((1, 0), np.uint32)).all()


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ((), ((0, 3), (0, 2))),
        ((slice(0, 4), slice(5, None)), ((0, 2), (1, 2))),
        ((slice(4, 5),), ((2, 3), (0, 2))),
        ((slice(-1, None), slice(-5, None)), ((2, 3), (1, 2))),
    ],
)
def test_regions_of_whole_chunks(
    region: tuple[slice, ...], box: tuple[tuple[int, int], ...]
) -> None:
    assert chunk_box(array(), region) == box


def array(grid: str = "regular") -> Node:
    document = {"chunk_grid": {"name": grid, "configuration": {"chunk_shape": [2, 5]}}}
    return Node(A, "/a", json.dumps(document).encode(), NodeKind.ARRAY, ((5, 3), (10, 2)))


def test_chunks_that_differ_have_no_regions() -> None:
    with pytest.raises(InvalidInputError, match="differ in size"):
        chunk_box(array("rectilinear"), ())


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
    target = Target(frozenset({A}), box=((1, 2),))
    after = purged_refs(A, refs, target, moved)
    assert [after.row(i) for i in range(len(after))] == [
        NativeRef(ChunkId(NEW), 0, 5, 7),
        NativeRef(ANEW, 20, 6),
        InlineRef(b"x"),
    ]
    assert len(purged_refs(B, refs, target, {})) == 4


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
    part = Target(frozenset({A}), box=((0, 1), (0, 9)))
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
