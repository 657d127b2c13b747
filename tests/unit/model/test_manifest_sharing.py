"""Which parts share a file, and which files are gathered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.format.snapshot import (
    ManifestInfo,
    ManifestRef,
    ManifestTable,
    Node,
    NodeKind,
    NodeTable,
)
from frazil.ids import ManifestId, NodeId
from frazil.model import manifest_sharing
from frazil.model.manifest_sharing import FILE_BYTES, FILE_REFS, PART_REFS, gather, scattered

parts = st.lists(
    st.tuples(
        st.integers(0, 5).map(lambda i: bytes([i])),
        st.integers(1, 2 * PART_REFS),
        st.integers(0, FILE_BYTES // 2),
    ),
    max_size=30,
)


@given(parts)
def test_files_hold_an_array_once_and_are_not_too_large(
    given: list[tuple[bytes, int, int]],
) -> None:
    files = gather(given)
    assert sorted(i for file in files for i in file) == list(range(len(given)))
    for file in files:
        own = [given[i] for i in file]
        assert len({node for node, _, _ in own}) == len(own)
        if len(own) > 1:
            assert sum(refs for _, refs, _ in own) <= FILE_REFS
            assert sum(size for _, _, size in own) <= FILE_BYTES
            assert max(refs for _, refs, _ in own) <= PART_REFS


def test_many_small_ones_fill_files() -> None:
    files = gather([(i.to_bytes(8, "big"), 1, 100) for i in range(10_000)])
    assert list(map(len, files)) == [4096, 4096, 1808]


def node(number: int, *files: tuple[int, int, int]) -> Node:
    """An array with references in files: (file, from, to)."""
    refs = tuple(ManifestRef(file_id(file), ((start, stop),)) for file, start, stop in files)
    id_ = NodeId(number.to_bytes(8, "big"))
    return Node(id_, f"/a{number:05}", b"", NodeKind.ARRAY, ((9, 9),), None, refs)


def file_id(number: int) -> ManifestId:
    # Ids may end in zeros.
    return ManifestId(number.to_bytes(11, "big") + b"\0")


def snapshot(nodes: list[Node], refs: dict[int, int]) -> tuple[NodeTable, ManifestTable]:
    infos = [ManifestInfo(file_id(file), 100, count) for file, count in refs.items()]
    return NodeTable.of(nodes), ManifestTable.of(infos)


def gathered(
    nodes: NodeTable, manifests: ManifestTable, changed: set[int] = frozenset()
) -> list[int]:  # type: ignore[assignment]
    found = scattered(nodes, manifests, {i.to_bytes(8, "big") for i in changed})
    for file, rows in found:
        for row in rows:
            assert file in {manifest.id for manifest in nodes.node(row).manifests}
    return [int.from_bytes(file[:-1], "big") for file, _ in found]


def test_few_files_are_left_alone() -> None:
    nodes = [node(i, (i, 0, 1)) for i in range(32)]
    assert gathered(*snapshot(nodes, dict.fromkeys(range(32), 1))) == []


def test_the_smallest_of_many_are_gathered() -> None:
    nodes = [node(i, (i, 0, i + 1)) for i in range(50)]
    assert gathered(*snapshot(nodes, {i: i + 1 for i in range(50)})) == list(range(32))
    assert gathered(*snapshot(nodes, {i: i + 1 for i in range(50)}), {0, 5}) == [
        i for i in range(34) if i not in (0, 5)
    ]


def test_what_is_alive_counts() -> None:
    nodes = [node(i, (i, 0, 10)) for i in range(40)]
    nodes.append(node(99, (1000, 0, 1)))  # of thousands of references only one is in use
    sizes = dict.fromkeys(range(40), 10) | {1000: 4000}
    assert gathered(*snapshot(nodes, sizes))[0] == 1000


def test_large_ones_are_left_alone() -> None:
    nodes = [node(i, (i, 0, PART_REFS + 1)) for i in range(50)]
    assert gathered(*snapshot(nodes, dict.fromkeys(range(50), 5000))) == []


def test_no_array_is_in_two_of_them() -> None:
    nodes = [node(7, *((i, i, i + 1) for i in range(50)))]
    assert gathered(*snapshot(nodes, dict.fromkeys(range(50), 1))) == []
    nodes += [node(100 + i, (100 + i, 0, 1)) for i in range(10)]
    sizes = dict.fromkeys([*range(50), *range(100, 110)], 1)
    found = gathered(*snapshot(nodes, sizes))
    assert len(found) == 11
    assert len([file for file in found if file < 50]) == 1


def test_arrays_without_extents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_sharing, "MANY_FILES", 2)
    monkeypatch.setattr(manifest_sharing, "FEWEST_FILES", 2)
    scalars = [
        Node(
            NodeId(bytes([i]) * 8),
            f"/{i}",
            b"",
            NodeKind.ARRAY,
            (),
            None,
            (ManifestRef(file_id(i), ()),),
        )
        for i in range(3)
    ]
    assert sorted(gathered(*snapshot(scalars, dict.fromkeys(range(3), 1)))) == [0, 1, 2]
    groups = [Node(NodeId(b"group..."), "/g", b"", NodeKind.GROUP)]
    assert gathered(*snapshot(groups, dict.fromkeys(range(3), 1))) == []
