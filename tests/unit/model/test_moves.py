from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import AlreadyExistsError, IcechunkError, NodeNotFoundError, SessionStateError
from frazil.format.snapshot import ManifestRef, Node, NodeKind, NodeTable
from frazil.format.transaction_log import Move, TransactionLog
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.model.moves import compound, move, net_moves

PATHS = ("/", "/a", "/a-b", "/a/b", "/a/b/c", "/a/é", "/x", "/x/y")
ARRAYS = ("/a/b/c", "/x/y")


def node_id(path: str) -> NodeId:
    return NodeId(PATHS.index(path).to_bytes(8, "big"))


def table(paths: tuple[str, ...] = PATHS) -> NodeTable:
    return NodeTable.of(
        Node(
            node_id(path),
            path,
            f"document of {path}".encode(),
            NodeKind.ARRAY if path in ARRAYS else NodeKind.GROUP,
            ((10, 5),) if path in ARRAYS else (),
            manifests=(ManifestRef(ManifestId(bytes(12)), ((0, 5),)),) if path in ARRAYS else (),
        )
        for path in paths
    )


def paths(nodes: NodeTable) -> list[str]:
    return [nodes.path_of(row) for row in range(len(nodes))]


def replay(nodes: NodeTable, moves: Iterable[tuple[str, str]]) -> NodeTable:
    """The nodes after these moves, one after the other."""
    for source, target in moves:
        nodes = move(nodes, source, target)
    return nodes


def test_a_node_moves_with_all_below_it_and_stays_what_it_is() -> None:
    before = table()
    after = move(before, "/a", "/x/new")
    assert paths(after) == [
        "/",
        "/a-b",
        "/x",
        "/x/new",
        "/x/new/b",
        "/x/new/b/c",
        "/x/new/é",
        "/x/y",
    ]
    for path in ("/a", "/a/b", "/a/b/c", "/a/é"):
        old = before.node(before.find(path))
        new = after.node(after.find_id(old.id))
        assert new.path == "/x/new" + path[2:]
        assert (new.user_data, new.shape, new.manifests) == (
            old.user_data,
            old.shape,
            old.manifests,
        )
    assert list(after.children("/x/new")) == ["b", "é"]
    assert paths(before) == list(PATHS)


def test_the_table_stays_in_order_around_names_that_sort_before_the_slash() -> None:
    nodes = replay(table(), [("/x", "/a-b/z"), ("/a", "/a!"), ("/a-b", "/a-c")])
    assert paths(nodes) == sorted(paths(nodes), key=str.encode)
    assert paths(nodes) == [
        "/",
        "/a!",
        "/a!/b",
        "/a!/b/c",
        "/a!/é",
        "/a-c",
        "/a-c/z",
        "/a-c/z/y",
    ]


@pytest.mark.parametrize(
    ("source", "target", "error", "kind"),
    [
        ("/no", "/new", NodeNotFoundError, "node-not-found"),
        ("/no", "/no/new", NodeNotFoundError, "node-not-found"),
        ("/a", "/x", AlreadyExistsError, "move-wont-overwrite"),
        ("/a", "/", AlreadyExistsError, "move-wont-overwrite"),
        ("/a", "/a", SessionStateError, "move-into-self-or-descendant"),
        ("/a", "/a/b", SessionStateError, "move-into-self-or-descendant"),
        ("/a", "/a/new", SessionStateError, "move-into-self-or-descendant"),
        ("/", "/new", SessionStateError, "move-into-self-or-descendant"),
        ("/a", "/no/new", SessionStateError, "move-destination-parent-missing"),
        ("/a", "/x/y/new", SessionStateError, "move-destination-parent-not-group"),
    ],
)
def test_moves_that_are_refused(
    source: str, target: str, error: type[IcechunkError], kind: str
) -> None:
    with pytest.raises(error) as caught:
        move(table(), source, target)
    assert caught.value.kind == kind


def test_a_name_with_nodes_below_it_is_taken_though_it_has_no_node() -> None:
    with pytest.raises(AlreadyExistsError):
        move(table(("/", "/a", "/x/y")), "/a", "/x")


def test_net_moves_name_each_node_once_by_destination() -> None:
    before = table()
    after = replay(before, [("/a", "/t"), ("/x", "/a"), ("/t", "/x"), ("/x/b", "/a/b")])
    found = [(m.from_path, m.to_path, m.kind) for m in net_moves(before, after)]
    assert found == [
        ("/x", "/a", NodeKind.GROUP),
        ("/x/y", "/a/y", NodeKind.ARRAY),
        ("/a", "/x", NodeKind.GROUP),
        ("/a/é", "/x/é", NodeKind.GROUP),
    ]


def test_there_and_back_is_no_move() -> None:
    before = table()
    assert net_moves(before, replay(before, [("/a", "/t"), ("/t", "/a")])) == ()


@given(
    st.lists(st.tuples(st.sampled_from(PATHS[1:]), st.sampled_from(["/a", "/n", "/x/n", "/n/m"])))
)
def test_moves_as_renamed_strings(wanted: list[tuple[str, str]]) -> None:
    before = nodes = table()
    model = {node_id(path): path for path in PATHS}
    for source, target in wanted:
        try:
            nodes = move(nodes, source, target)
        except IcechunkError:
            continue
        model = {
            id_: target + path[len(source) :]
            if path == source or path.startswith(source + "/")
            else path
            for id_, path in model.items()
        }
    assert paths(nodes) == sorted(model.values(), key=str.encode)
    assert all(nodes.path_of(nodes.find_id(id_)) == path for id_, path in model.items())
    expected = {id_: (old, model[id_]) for old in PATHS if model[id_ := node_id(old)] != old}
    assert {m.node_id: (m.from_path, m.to_path) for m in net_moves(before, nodes)} == expected
    assert np.array_equal(np.sort(nodes.ids, axis=0), np.sort(before.ids, axis=0))


ONE, TWO = SnapshotId(bytes(12)), SnapshotId(b"\1" * 12)
A, B, C = (NodeId(bytes([i] * 8)) for i in range(3))


def log(
    id_: SnapshotId, *moves: tuple[str, str, NodeId], created: NodeId | None = None
) -> TransactionLog:
    return TransactionLog(
        id_,
        new_groups=frozenset([created] if created is not None else []),
        moves=tuple(Move(source, target, id_, NodeKind.GROUP) for source, target, id_ in moves),
    )


def test_the_moves_of_two_commits_as_one() -> None:
    first = log(ONE, ("/a", "/m", A), ("/b", "/z", B))
    second = log(TWO, ("/m", "/k", A), ("/z", "/b", B), ("/c", "/d", C))
    assert [(m.from_path, m.to_path) for m in compound(first, second)] == [
        ("/c", "/d"),
        ("/a", "/k"),
    ]


def test_what_a_commit_created_has_not_moved() -> None:
    assert compound(log(ONE, created=A), log(TWO, ("/a", "/b", A), ("/x", "/y", B))) == (
        Move("/x", "/y", B, NodeKind.GROUP),
    )
