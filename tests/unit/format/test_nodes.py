"""The table of nodes: order, look-ups, replacement."""

from __future__ import annotations

import random

import numpy as np
import pytest

from frazil.errors import InternalError
from frazil.format.columns import ByteColumn
from frazil.format.nodes import ManifestRef, Node, NodeKind, NodeTable
from frazil.ids import ManifestId, NodeId

# In the order of their bytes: "/a-b" lies between "/a" and what is below it.
PATHS = ["/", "/A", "/a", "/a b", "/a-b", "/a-b/c", "/a.b", "/a/b", "/a/b/c", "/a0", "/z", "/é"]


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(8, "big"))


def group(path: str, number: int = 0) -> Node:
    return Node(node_id(number), path, b'{"node_type":"group"}', NodeKind.GROUP)


def array(path: str, number: int = 0, refs: int = 2) -> Node:
    return Node(
        node_id(number),
        path,
        b"zarr.json of " + path.encode(),
        NodeKind.ARRAY,
        ((100, 10), (7, 2**32 - 1)),
        ("x", None),
        tuple(
            ManifestRef(ManifestId(bytes([number % 256, i] + [0] * 10)), ((i, i + 1), (0, 9)))
            for i in range(refs)
        ),
    )


def nodes_of(table: NodeTable) -> list[Node]:
    return [table.node(i) for i in range(len(table))]


def test_rows_are_in_the_order_of_the_bytes_of_paths() -> None:
    shuffled = random.Random(1).sample(PATHS, len(PATHS))
    table = NodeTable.of(group(path, i) for i, path in enumerate(shuffled))
    assert [table.path_of(i) for i in range(len(table))] == PATHS
    assert [table.node(i).id for i in range(len(table))] == [
        node_id(shuffled.index(path)) for path in PATHS
    ]


def test_nodes_come_back() -> None:
    nodes = [
        group("/", 1),
        array("/a", 2),
        Node(node_id(3), "/b", b"", NodeKind.ARRAY),
        Node(node_id(4), "/c", b"x", NodeKind.ARRAY, ((5, 1),), ()),
        Node(node_id(5), "/d", b"x", NodeKind.ARRAY, ((2**63, 0),), (None, "é", "")),
        Node(
            node_id(6),
            "/e",
            b"x",
            NodeKind.ARRAY,
            manifests=(ManifestRef(ManifestId(bytes(12)), ()),),
        ),
    ]
    table = NodeTable.of(reversed(nodes))
    assert nodes_of(table) == nodes
    assert nodes_of(table.compact()) == nodes
    assert table.kind.tolist() == [2, 1, 1, 1, 1, 1]
    assert table.ids[:, 7].tolist() == [1, 2, 3, 4, 5, 6]
    assert table.user_data[2] == b""


def test_an_empty_table() -> None:
    table = NodeTable.of([])
    assert len(table) == 0
    assert table.find("/") == -1
    assert table.find_id(node_id(1)) == -1
    assert list(table.children("/")) == []
    assert len(table.rows_under("/")) == 0
    assert len(table.manifest_ids()) == 0
    assert nodes_of(table.replace([], [group("/")])) == [group("/")]


def test_find() -> None:
    table = NodeTable.of(group(path, i) for i, path in enumerate(PATHS))
    for i, path in enumerate(PATHS):
        assert table.find(path) == i
        assert table.find_id(node_id(i)) == i
    for path in ("", "/a/", "/a/b/", "/zz", "/a-b/d", "a"):
        assert table.find(path) == -1
    assert table.find_id(node_id(99)) == -1


def test_find_in_any_order() -> None:
    table = NodeTable.of(group(path) for path in PATHS)
    asked = [*PATHS, *reversed(PATHS), "/a0b", *PATHS[3:], "/a/b", "/a/b", "", *PATHS[::3]]
    expected = [PATHS.index(path) if path in PATHS else -1 for path in asked]
    assert [table.find(path) for path in asked] == expected


def test_children_and_subtrees() -> None:
    table = NodeTable.of(group(path) for path in PATHS)
    assert list(table.children("/")) == ["A", "a", "a b", "a-b", "a.b", "a0", "z", "é"]
    assert list(table.children("/a")) == ["b"]
    assert list(table.children("/a/b")) == ["c"]
    assert list(table.children("/z")) == []
    assert list(table.children("/missing")) == []

    def under(path: str) -> list[str]:
        return [table.path_of(row) for row in table.rows_under(path)]

    assert under("/") == PATHS
    assert under("/a") == ["/a", "/a/b", "/a/b/c"]
    assert under("/a-b") == ["/a-b", "/a-b/c"]
    assert under("/é") == ["/é"]
    assert under("/missing") == []


def test_manifest_ids_are_each_listed_once() -> None:
    table = NodeTable.of([array("/a", 1), array("/b", 1), array("/c", 2, refs=1), group("/d")])
    ids = [bytes([1, 0] + [0] * 10), bytes([1, 1] + [0] * 10), bytes([2, 0] + [0] * 10)]
    assert table.manifest_ids().tolist() == [list(one) for one in ids]
    left = table.replace([0, 1], [])
    assert left.manifest_ids().tolist() == [list(ids[2])]


@pytest.mark.parametrize("size", [20, 2000])
def test_replace_is_what_making_a_new_table_is(size: int) -> None:
    rng = random.Random(size)
    nodes = {f"/{i:04d}": array(f"/{i:04d}", i, refs=i % 3) for i in range(size)}
    table = NodeTable.of(nodes.values())
    for round_ in range(8):
        remove = rng.sample(sorted(nodes), rng.randrange(0, len(nodes) // 2))
        add = {f"/{i:04d}": array(f"/{i:04d}", round_) for i in rng.sample(range(size * 2), 20)}
        add = {path: node for path, node in add.items() if path in remove or path not in nodes}
        table = table.replace([table.find(path) for path in remove], add.values())
        nodes = {path: node for path, node in nodes.items() if path not in remove} | add
        assert nodes_of(table) == [nodes[path] for path in sorted(nodes)]


def test_many_replacements_do_not_pile_up() -> None:
    table = NodeTable.of([group("/"), array("/a")])
    for i in range(600):
        big = Node(node_id(i), "/a", bytes(1000), NodeKind.ARRAY, ((i, 1),))
        table = table.replace([table.find("/a")], [big])
    assert nodes_of(table) == [group("/"), big]
    assert len(table.heap) < 100_000


def test_replace_refuses_a_path_that_is_taken() -> None:
    table = NodeTable.of([group("/"), group("/a")])
    with pytest.raises(InternalError, match="'/a'"):
        table.replace([0], [group("/a")])
    with pytest.raises(InternalError, match="'/b'"):
        table.replace([], [group("/b"), array("/b")])


def test_rows_out_of_order_are_sorted() -> None:
    for size in (5, 100):
        paths = sorted(f"/{'x' * (i % 13)}{i}" for i in range(size))
        table = NodeTable.of(group(path) for path in paths)
        order = np.array(random.Random(2).sample(range(size), size))
        mixed = NodeTable(
            table.rows[order], table.heap, table.dims, table.names, table.refs, table.extents
        )
        assert [mixed.in_order().path_of(i) for i in range(size)] == paths
        assert table.in_order() is table
        again = NodeTable(
            table.rows[np.append(np.arange(size), 2)],
            table.heap,
            table.dims,
            table.names,
            table.refs,
            table.extents,
        )
        with pytest.raises(InternalError, match="two nodes"):
            again.in_order()


@pytest.mark.parametrize(
    "texts",
    [
        ["/a", "/a\0", "/a\0\0", "/b"],
        ["/" + "x" * n for n in range(40)],
        ["/" + "p" * 700 + c for c in "abc"],
        ["/" + "p" * 511, "/" + "p" * 512, "/" + "p" * 512 + "\0"],
        ["", "/", "/\x7f", "/é", "/日", "/\U0001f9ca"],
    ],
)
def test_order_is_that_of_bytes_however_long(texts: list[str]) -> None:
    # Enough rows that they are compared as columns.
    raw = [t.encode() for t in texts] + [b"~" + bytes([65 + i]) for i in range(60)]
    nodes = [Node(node_id(0), t.decode(), b"", NodeKind.GROUP) for t in raw]
    table = NodeTable.of(nodes)
    assert table.in_order() is table
    rng = random.Random(3)
    for _ in range(30):
        i, j = sorted(rng.sample(range(len(texts)), 2))
        order = np.arange(len(raw))
        order[[i, j]] = order[[j, i]]
        mixed = NodeTable(
            table.rows[order], table.heap, table.dims, table.names, table.refs, table.extents
        )
        fixed = mixed.in_order()
        assert fixed is not mixed
        assert [fixed.path[k] for k in range(len(raw))] == raw


def test_columns_share_one_heap() -> None:
    table = NodeTable.of([array("/a"), array("/b")])
    assert isinstance(table.path, ByteColumn)
    assert table.path.heap is table.heap
    assert table.user_data.heap is table.heap
