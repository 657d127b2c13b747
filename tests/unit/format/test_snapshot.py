"""Snapshot files beyond what the golden files show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.errors import ErrorKind, FormatError, InvalidInputError
from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot
from frazil.format.flatbuf_writer import (
    Block,
    blobs,
    finish,
    items,
    strings,
    table_block,
    vector,
    vectors,
)
from frazil.format.header import FileType, peek, unwrap, wrap
from frazil.format.nodes import ManifestRef, Node, NodeKind, NodeTable
from frazil.format.snapshot import (
    ManifestInfo,
    ManifestTable,
    Snapshot,
    decode_listing,
    decode_snapshot,
    encode_snapshot,
    initial_snapshot,
)
from frazil.format.v1 import encode_msgpack
from frazil.ids import INITIAL_SNAPSHOT, ManifestId, NodeId, SnapshotId


def manifest_id(number: int) -> ManifestId:
    return ManifestId(number.to_bytes(12, "big"))


def array(path: str, *shape: tuple[int, int]) -> Node:
    ref = ManifestRef(manifest_id(1), tuple((0, chunks) for _, chunks in shape))
    return Node(NodeId(bytes(8)), path, b"{}", NodeKind.ARRAY, shape, None, (ref,))


def snapshot(*nodes: Node) -> Snapshot:
    return Snapshot(
        SnapshotId(b"snapshot id."),
        2**63,
        "message é",
        {"b": 0.1, "a": [None]},
        NodeTable.of(nodes),
        ManifestTable.of([ManifestInfo(manifest_id(1), 2**40, 2**32 - 1)]),
        SnapshotId(b"the parent. "),
    )


def again(value: Snapshot, spec: int) -> Snapshot:
    return decode_snapshot(encode_snapshot(value, spec=spec), where="test")


def nodes_of(value: Snapshot) -> list[Node]:
    return [value.nodes.node(i) for i in range(len(value.nodes))]


@pytest.mark.parametrize("spec", [1, 2])
def test_round_trip(spec: int) -> None:
    nodes = [
        Node(NodeId(b"group id"), "/", b"{}", NodeKind.GROUP),
        array("/a", (9, 3), (2**63, 2**31), (0, 0), (0, 5)),
        array("/scalar"),
        replace(array("/names", (3, 1), (4, 1)), dimension_names=("x", None)),
        replace(array("/none", (3, 1)), dimension_names=(), manifests=()),
    ]
    before = snapshot(*nodes)
    after = again(before, spec)
    assert peek(encode_snapshot(before, spec=spec)).spec == spec
    expected = nodes_of(before)
    if spec == 1:
        # The number of chunks of an empty dimension cannot be told in spec 1.
        expected[1] = replace(expected[1], shape=((9, 3), (2**63, 2**31), (0, 0), (0, 0)))
        assert after.parent_id == before.parent_id
    else:
        assert after.parent_id is None
    assert nodes_of(after) == expected
    assert after.manifests.info(0) == ManifestInfo(manifest_id(1), 2**40, 2**32 - 1)
    for name in ("id", "flushed_at", "message", "metadata"):
        assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize("spec", [1, 2])
def test_the_initial_snapshot(spec: int) -> None:
    after = again(initial_snapshot(1234), spec)
    assert after.id == INITIAL_SNAPSHOT
    assert after.parent_id is None
    assert after.flushed_at == 1234
    assert after.message == "Repository initialized"
    assert after.metadata == {"__icechunk": {"is_root": True}}
    assert len(after.nodes) == len(after.manifests) == 0


def test_metadata_is_encoded_as_the_spec_says() -> None:
    value = replace(snapshot(), metadata={"k": {"is_root": True}})
    for spec, raw in ((1, "81a769735f726f6f74c3"), (2, "69735f726f6f740001090101010168022401")):
        _, body = unwrap(encode_snapshot(value, spec=spec), FileType.SNAPSHOT, where="test")
        assert bytes.fromhex(raw) in bytes(body)


@pytest.mark.parametrize(
    ("length", "chunks", "chunk_length"), [(9, 3, 3), (5, 1, 5), (10, 4, 3), (0, 0, 0), (7, 7, 1)]
)
def test_spec_1_stores_the_length_of_chunks(length: int, chunks: int, chunk_length: int) -> None:
    value = snapshot(array("/a", (length, chunks)))
    _, body = unwrap(encode_snapshot(value, spec=1), FileType.SNAPSHOT, where="test")
    stored = np.array([length, chunk_length], "<u8").tobytes()
    assert b"\1\0\0\0" + stored in bytes(body)
    assert again(value, 1).nodes.node(0).shape == ((length, chunks),)


def test_spec_1_refuses_an_array_that_could_not_be_read() -> None:
    value = snapshot(array("/a", (5, 0)))
    with pytest.raises(InvalidInputError) as caught:
        encode_snapshot(value, spec=1)
    assert caught.value.kind == ErrorKind.INVALID_ARRAY_METADATA
    assert again(value, 2).nodes.node(0).shape == ((5, 0),)


def made_by_hand(
    paths: list[str],
    kinds: list[int],
    *,
    chunk: int = 2,
    infos: tuple[int, ...] = (),
    metadata: Block | None = None,
) -> bytes:
    """A snapshot file of spec 1 with arrays (9,) in the given order."""
    n = len(paths)
    dims = items(
        np.tile(np.array([9, chunk], "<u8"), (n, 1)).reshape(-1).view("V16"),
        np.ones(n, np.int64),
        align=8,
    )
    arrays = table_block(n)
    arrays.refer(Slot(0, "shape"), dims)
    arrays.refer(Slot(2, "manifests"), vectors(table_block(0), np.zeros(n, np.int64)))
    nodes = table_block(n)
    nodes.struct(Slot(0, "id"), np.zeros((n, 8), np.uint8))
    nodes.refer(Slot(1, "path"), strings(ByteColumn.of([path.encode() for path in paths])))
    nodes.refer(Slot(2, "user_data"), blobs(ByteColumn.of([b"{}"] * n)))
    nodes.scalar(Slot(3, "kind"), "u1", kinds)
    nodes.refer(Slot(4, "data"), arrays)
    root = table_block()
    root.struct(Slot(0, "id"), bytes(12))
    root.refer(Slot(2, "nodes"), vectors(nodes))
    root.refer(Slot(4, "message"), strings([b""]))
    root.refer(Slot(5, "metadata"), metadata or vector(b"", 0))
    rows = b"".join(
        i.to_bytes(12, "big") + bytes(4) + (i * 10).to_bytes(16, "little") for i in infos
    )
    root.refer(Slot(6, "manifests"), vector(rows, len(infos), align=8))
    return wrap(finish(root), FileType.SNAPSHOT, spec=1, level=3)


def test_nodes_and_manifests_out_of_order_are_sorted() -> None:
    data = made_by_hand(["/b", "/a", "/c"], [1, 1, 1], infos=(3, 1, 2, 1))
    value = decode_snapshot(data, where="test")
    assert [value.nodes.path_of(i) for i in range(3)] == ["/a", "/b", "/c"]
    assert value.nodes.find("/b") == 1
    assert [value.manifests.info(i).id for i in range(3)] == [manifest_id(i) for i in (1, 2, 3)]
    assert len(value.manifests) == 3


def test_a_chunk_length_of_zero_stands_for_no_chunks() -> None:
    value = decode_snapshot(made_by_hand(["/a"], [1], chunk=0), where="test")
    assert value.nodes.node(0).shape == ((9, 0),)


@pytest.mark.parametrize(
    ("paths", "kinds", "message"),
    [
        (["/a", "/a"], [1, 1], "two nodes have the path '/a'"),
        (["/a"], [3], "neither array nor group"),
        (["/a"], [0], "neither array nor group"),
    ],
)
def test_damage_is_a_format_error(paths: list[str], kinds: list[int], message: str) -> None:
    with pytest.raises(FormatError, match=f"^snapshots/x: .*{message}"):
        decode_snapshot(made_by_hand(paths, kinds), where="snapshots/x")


def test_manifest_table() -> None:
    infos = [ManifestInfo(manifest_id(i), i * 10, i) for i in (5, 1, 3)]
    table = ManifestTable.of(infos)
    assert [table.info(i).num_refs for i in range(3)] == [1, 3, 5]
    assert table.get(manifest_id(3)) == infos[2]
    assert table.find(manifest_id(2)) == -1
    with pytest.raises(FormatError, match="not listed") as caught:
        table.get(manifest_id(2))
    assert caught.value.kind == "manifest-info-not-found"
    assert table.size_bytes.tolist() == [10, 30, 50]
    assert table.num_refs.tolist() == [1, 3, 5]
    assert table.ids[:, 11].tolist() == [1, 3, 5]
    new = [ManifestInfo(manifest_id(i), 99, 9) for i in (4, 5)]
    left = table.select(np.array([list(manifest_id(5)), list(manifest_id(1))], np.uint8), new)
    assert [left.info(i) for i in range(len(left))] == [infos[1], *new]
    assert len(table.select(np.empty((0, 12), np.uint8))) == 0


@pytest.mark.parametrize("spec", [1, 2])
def test_selected_manifests_are_written_as_they_are(spec: int) -> None:
    table = ManifestTable.of([ManifestInfo(manifest_id(i), i * 10, i) for i in (1, 3)])
    table = table.select(table.ids, [ManifestInfo(manifest_id(2), 20, 2)])
    data = encode_snapshot(replace(initial_snapshot(1), manifests=table), spec=spec)
    read = decode_snapshot(data, where="snapshots/x").manifests
    assert [read.info(i) for i in range(len(read))] == [
        ManifestInfo(manifest_id(i), i * 10, i) for i in (1, 2, 3)
    ]


def test_metadata_cannot_expand_by_sharing() -> None:
    tables = table_block(1000)
    value = blobs(ByteColumn.of([encode_msgpack("x" * 100_000)]))
    tables.refer(Slot(0, "name"), strings(ByteColumn.of([b"%d" % i for i in range(1000)])))
    tables.refer(Slot(1, "value"), value, np.zeros(1000, np.int64))
    with pytest.raises(FormatError, match="share their bytes"):
        decode_snapshot(made_by_hand(["/a"], [1], metadata=vectors(tables)), where="test")


@pytest.mark.parametrize("n", [3, 100])
def test_selecting_from_few_and_from_many_manifests(n: int) -> None:
    table = ManifestTable.of(ManifestInfo(manifest_id(i), i, i) for i in range(n))
    chosen = np.concatenate([table.ids[::2], [[255] * 12]]).astype(np.uint8)
    new = [ManifestInfo(manifest_id(2), 7, 7), ManifestInfo(manifest_id(n), 8, 8)]
    left = table.select(chosen, new)
    expected = {i: i for i in range(0, n, 2)} | {2: 7, n: 8}
    assert {left.info(i).id: left.info(i).num_refs for i in range(len(left))} == {
        manifest_id(i): count for i, count in expected.items()
    }
    assert left.ids.tolist() == sorted(left.ids.tolist())
    for spec in (1, 2):
        data = encode_snapshot(replace(initial_snapshot(1), manifests=left), spec=spec)
        read = decode_snapshot(data, where="snapshots/x").manifests
        assert read.rows.tolist() == left.rows.tolist()


@pytest.mark.parametrize("n", [1, 3, 40])
def test_digests_of_manifests_are_kept_by_spec_2(n: int) -> None:
    infos = [ManifestInfo(manifest_id(i), i, i, digest=i % 2 * (2**63 + i)) for i in range(n)]
    snapshot = replace(initial_snapshot(5), manifests=ManifestTable.of(infos))
    for spec in (1, 2):
        data = encode_snapshot(snapshot, spec=spec)
        after = decode_snapshot(data, where="snapshot").manifests
        kept = infos if spec == 2 else [replace(info, digest=0) for info in infos]
        assert [after.info(i) for i in range(n)] == kept
        assert decode_listing(data, where="snapshot").manifests.info(n - 1) == kept[-1]
