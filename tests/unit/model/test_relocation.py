"""References and snapshots after chunks have moved."""

from __future__ import annotations

import numpy as np

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, VirtualRef
from frazil.format.snapshot import (
    ManifestInfo,
    ManifestRef,
    ManifestTable,
    Node,
    NodeKind,
    NodeTable,
)
from frazil.ids import ChunkId, ManifestId, NodeId
from frazil.model.relocation import Moved, place_keys, refer_to


def chunk(number: int) -> ChunkId:
    return ChunkId(bytes(11) + bytes([number]))


def moved(*places: tuple[NativeRef, NativeRef]) -> Moved:
    """From one place to another."""
    old, new = (ChunkRefs.of(1, {(i,): pair[k] for i, pair in enumerate(places)}) for k in (0, 1))
    checksum = new.checksum if new.checksum is not None else np.zeros(len(new), np.uint64)
    keys = place_keys(old.object, old.offset, old.length)
    return Moved(keys, new.object, new.offset, new.length, checksum)


A, B, C = NativeRef(chunk(1), 0, 10, 7), NativeRef(chunk(1), 10, 10), NativeRef(chunk(2), 0, 10)
TO_A, TO_B = NativeRef(chunk(9), 0, 10, 7), NativeRef(chunk(9), 10, 8, 5)


def test_only_what_has_moved_is_elsewhere() -> None:
    table = Moved.of([moved((B, TO_B)), moved((A, TO_A))])
    far, inside = VirtualRef("s3://b/k", 0, 10, "etag"), InlineRef(b"bytes")
    refs = ChunkRefs.of(1, {(0,): C, (1,): A, (2,): far, (3,): B, (4,): inside, (5,): A})
    after = table.apply(refs)
    assert after is not None
    assert [after.row(i) for i in range(6)] == [C, TO_A, far, TO_B, inside, TO_A]
    assert after.checksum is not None
    assert after.checksum.tolist() == [0, 7, 0, 5, 0, 7]
    assert [refs.row(i) for i in range(6)] == [C, A, far, B, inside, A]
    assert table.apply(after) is None


def test_nothing_has_moved() -> None:
    refs = ChunkRefs.of(1, {(0,): A})
    assert Moved.of([]).apply(refs) is None
    assert moved((C, TO_A)).apply(refs) is None
    assert moved((A, TO_A)).apply(ChunkRefs.empty(1)) is None
    # Another length at the same place is another chunk.
    assert moved((NativeRef(A.object, 0, 11), TO_A)).apply(refs) is None


def test_places_compare_as_their_numbers() -> None:
    offsets = np.array([0, 1, 255, 256, 1 << 40], np.uint64)
    keys = place_keys(np.zeros((5, 12), np.uint8), offsets, np.ones(5, np.uint64))
    assert keys.tolist() == sorted(keys.tolist())
    assert len(set(keys.tolist())) == 5


def test_a_snapshot_refers_to_other_manifests() -> None:
    one, two, three, new = (ManifestId(bytes([n]) * 12) for n in (1, 2, 3, 9))

    def array(path: str, *manifests: ManifestId) -> Node:
        refs = tuple(ManifestRef(id_, ((i, i + 1),)) for i, id_ in enumerate(manifests))
        id_ = NodeId(path.encode().ljust(8))
        return Node(id_, path, b"{}", NodeKind.ARRAY, ((4, 4),), None, refs)

    nodes = NodeTable.of([array("/a", one, two), array("/b", two), array("/c", three), array("/d")])
    manifests = ManifestTable.of([ManifestInfo(id_, 100, 4) for id_ in (one, two, three)])
    info = ManifestInfo(new, 50, 4, 77)
    after, table = refer_to(nodes, manifests, {two: info})
    found = {node.path: [m.id for m in node.manifests] for node in map(after.node, range(4))}
    assert found == {"/a": [one, new], "/b": [new], "/c": [three], "/d": []}
    assert after.node(0).manifests[1].extents == ((1, 2),)
    assert [table.info(i) for i in range(len(table))] == [
        ManifestInfo(one, 100, 4),
        ManifestInfo(three, 100, 4),
        info,
    ]
    assert [m.id for m in nodes.node(0).manifests] == [one, two]
