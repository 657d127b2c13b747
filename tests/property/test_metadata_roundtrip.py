"""Whatever metadata is written is read back as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.format import flexbuf
from frazil.format.jsonvalue import normalize
from frazil.format.nodes import ManifestRef, Node, NodeKind, NodeTable
from frazil.format.repo_info import (
    RepoInfo,
    SnapshotRecord,
    SnapshotTable,
    Status,
    Update,
    UpdateKind,
    UpdateTable,
    decode_repo_info,
    encode_repo_info,
)
from frazil.format.snapshot import (
    ManifestInfo,
    ManifestTable,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from frazil.format.transaction_log import (
    Move,
    TransactionLog,
    decode_transaction_log,
    encode_transaction_log,
    sorted_unique,
)
from frazil.format.updates import NAMED, WITH_NEW, WITH_PREVIOUS
from frazil.format.v1 import decode_msgpack, dump_config, encode_msgpack, load_config
from frazil.ids import ManifestId, NodeId, SnapshotId

U32, U64 = 2**32 - 1, 2**64 - 1
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
key = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), U64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(key, inner, max_size=6),
    max_leaves=20,
)
metadata = st.dictionaries(key, json_values, max_size=3)
snapshot_ids = st.binary(min_size=12, max_size=12).map(SnapshotId)
manifest_ids = st.binary(min_size=12, max_size=12).map(ManifestId)
node_ids = st.binary(min_size=8, max_size=8).map(NodeId)


def same(a: Any, b: Any) -> bool:
    """Equality that tells 1 from 1.0 and from True, and 0.0 from -0.0."""
    return repr(a) == repr(b)


@given(json_values)
def test_flexbuffers(value: Any) -> None:
    assert same(flexbuf.decode(flexbuf.encode(value), where="test"), normalize(value))


@given(json_values)
def test_messagepack(value: Any) -> None:
    assert same(decode_msgpack(encode_msgpack(value), where="test"), normalize(value))


# YAML cannot hold all characters; these are what URLs, paths, patterns and names are made of.
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=20).filter(
    str.isprintable
)
stores = st.one_of(
    st.just("in_memory"),
    st.builds(lambda path: {"local_file_system": path}, words),
    st.builds(lambda options: {"gcs": options}, st.dictionaries(words, words, max_size=3)),
    st.builds(
        lambda region, anonymous: {"s3": {"region": region, "anonymous": anonymous}},
        st.none() | words,
        st.booleans(),
    ),
)
bounds = st.just("Unbounded") | st.builds(
    lambda kind, n: {kind: n}, st.sampled_from(["Included", "Excluded"]), st.integers(0, U32)
)
conditions = st.recursive(
    st.sampled_from(["true", "false"])
    | st.builds(lambda r: {"path_matches": {"regex": r}}, words)
    | st.builds(lambda a, b: {"num_refs": {"from": a, "to": b}}, bounds, bounds),
    lambda inner: st.builds(
        lambda kind, parts: {kind: parts}, st.sampled_from(["or", "and"]), st.lists(inner)
    ),
    max_leaves=5,
)
dimensions = st.builds(
    lambda condition, n: {"condition": condition, "num_chunks": n},
    st.just("Any")
    | st.builds(lambda n: {"Axis": n}, st.integers(0, 9))
    | st.builds(lambda name: {"DimensionName": name}, words),
    st.integers(0, U32),
)
splits = st.lists(
    st.tuples(
        st.just("any_array") | st.builds(lambda r: {"name_matches": {"regex": r}}, words),
        st.lists(dimensions, max_size=3),
    ).map(list),
    max_size=3,
)
containers = st.dictionaries(
    words,
    st.builds(
        lambda name, prefix, store: {"name": name, "url_prefix": prefix, "store": store},
        st.none() | words,
        words,
        stores,
    ),
    max_size=3,
)


@given(st.integers(0, 65535), containers, conditions, splits)
def test_configuration(threshold: int, vcc: Any, preload_if: Any, split_sizes: Any) -> None:
    document = {
        "inline_chunk_threshold_bytes": threshold,
        "virtual_chunk_containers": vcc,
        "manifest": {
            "preload": {"preload_if": preload_if},
            "splitting": {"split_sizes": split_sizes},
        },
    }
    loaded = load_config(dump_config(document), where="test")
    assert loaded["inline_chunk_threshold_bytes"] == threshold
    assert loaded["virtual_chunk_containers"] == vcc
    assert loaded["manifest"]["preload"]["preload_if"] == preload_if
    assert loaded["manifest"]["splitting"]["split_sizes"] == split_sizes
    assert flexbuf.decode(flexbuf.encode(loaded), where="test") == loaded


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    path = "/" + draw(text)
    if draw(st.booleans()):
        return Node(draw(node_ids), path, draw(st.binary(max_size=9)), NodeKind.GROUP)
    dims = draw(st.lists(st.tuples(st.integers(0, U64), st.integers(0, U32)), max_size=3))
    extents = st.lists(st.tuples(st.integers(0, U32), st.integers(0, U32)), max_size=3).map(tuple)
    return Node(
        draw(node_ids),
        path,
        draw(st.binary(max_size=9)),
        NodeKind.ARRAY,
        tuple(dims),
        draw(st.none() | st.lists(st.none() | text, max_size=3).map(tuple)),
        tuple(draw(st.lists(st.builds(ManifestRef, manifest_ids, extents), max_size=3))),
    )


node_lists = st.lists(nodes(), max_size=40, unique_by=lambda node: node.path)


def nodes_of(table: NodeTable) -> list[Node]:
    return [table.node(i) for i in range(len(table))]


def by_path(some: list[Node]) -> list[Node]:
    return sorted(some, key=lambda node: node.path.encode())


@pytest.mark.usefixtures("each_writer")
@given(
    st.builds(
        Snapshot,
        snapshot_ids,
        st.integers(0, U64),
        text,
        metadata,
        node_lists.map(NodeTable.of),
        st.lists(
            st.builds(ManifestInfo, manifest_ids, st.integers(0, U64), st.integers(0, U32))
        ).map(ManifestTable.of),
    )
)
def test_snapshots(value: Snapshot) -> None:
    again = decode_snapshot(encode_snapshot(value, spec=2), where="test")
    assert nodes_of(again.nodes) == nodes_of(value.nodes)
    assert again.manifests.rows.tolist() == value.manifests.rows.tolist()
    assert (again.id, again.flushed_at, again.message) == (
        value.id,
        value.flushed_at,
        value.message,
    )
    assert same(again.metadata, normalize(value.metadata))


@settings(max_examples=50)
@given(node_lists, st.data())
def test_replacing_nodes(some: list[Node], data: st.DataObject) -> None:
    table = NodeTable.of(some)
    assert nodes_of(table) == by_path(some)
    rows = st.sets(st.sampled_from(range(len(some)))) if some else st.just(set())
    gone = data.draw(rows)
    left = [node for i, node in enumerate(by_path(some)) if i not in gone]
    taken = {node.path for node in left}
    new = [node for node in data.draw(node_lists) if node.path not in taken]
    changed = table.replace(sorted(gone), new)
    assert nodes_of(changed) == by_path(left + new)
    assert nodes_of(changed.compact()) == nodes_of(changed)
    ids = {bytes(ref.id) for node in left + new for ref in node.manifests}
    assert {row.tobytes() for row in changed.manifest_ids()} == ids


logs = st.builds(
    TransactionLog,
    snapshot_ids,
    *[st.frozensets(node_ids, max_size=5) for _ in range(6)],
    st.dictionaries(
        node_ids,
        st.integers(0, 3).flatmap(
            lambda ndim: st.lists(
                st.tuples(*[st.sampled_from([0, 1, 2, U32])] * ndim), min_size=1, max_size=30
            ).map(lambda rows: sorted_unique(np.array(rows, np.uint32).reshape(len(rows), ndim)))
        ),
        max_size=4,
    ),
    st.lists(st.builds(Move, text, text, node_ids, st.sampled_from(NodeKind)), max_size=4).map(
        tuple
    ),
)


@pytest.mark.usefixtures("each_writer")
@given(logs)
def test_transaction_logs(log: TransactionLog) -> None:
    again = decode_transaction_log(encode_transaction_log(log, spec=2), where="test")
    for name in ("id", "new_groups", "new_arrays", "deleted_groups", "deleted_arrays"):
        assert getattr(again, name) == getattr(log, name)
    assert again.updated_groups == log.updated_groups
    assert again.updated_arrays == log.updated_arrays
    assert sorted(again.moves, key=repr) == sorted(log.moves, key=repr)
    assert again.updated_chunks.keys() == log.updated_chunks.keys()
    for node, coords in log.updated_chunks.items():
        assert again.updated_chunks[node].tolist() == coords.tolist()


@st.composite
def histories(draw: st.DrawFn) -> list[SnapshotRecord]:
    ids = draw(st.lists(snapshot_ids, min_size=1, max_size=40, unique=True))
    return [
        SnapshotRecord(
            one,
            ids[draw(st.integers(0, i - 1))] if i and draw(st.booleans()) else None,
            draw(st.integers(0, U64)),
            draw(text),
            draw(metadata),
            tuple(draw(st.lists(snapshot_ids, max_size=2))),
        )
        for i, one in enumerate(ids)
    ]


@st.composite
def updates(draw: st.DrawFn) -> Update:
    kind = draw(st.sampled_from(UpdateKind))
    flag = kind == UpdateKind.FEATURE_FLAG_CHANGED
    migrated = kind == UpdateKind.REPO_MIGRATED
    status = st.builds(Status, st.integers(0, 255), st.integers(0, U64), st.none() | text)
    return Update(
        kind,
        draw(st.integers(0, U64)),
        draw(st.none() | text),
        draw(text) if kind in NAMED else None,
        draw(snapshot_ids) if kind in WITH_PREVIOUS else None,
        draw(snapshot_ids) if kind in WITH_NEW else None,
        draw(st.integers(0, 255)) if migrated else None,
        draw(st.integers(0, 255)) if migrated else None,
        draw(st.integers(0, 65535)) if flag else None,
        draw(st.none() | st.booleans()) if flag else None,
        draw(status) if kind == UpdateKind.REPO_STATUS_CHANGED else None,
    )


def records(table: SnapshotTable) -> list[SnapshotRecord]:
    return [table.record(i) for i in range(len(table))]


@pytest.mark.usefixtures("each_writer")
@settings(max_examples=30)
@given(histories(), st.lists(updates(), max_size=40), st.data())
def test_repo_info(history: list[SnapshotRecord], log: list[Update], data: st.DataObject) -> None:
    refs = st.dictionaries(text, st.sampled_from([one.id for one in history]), max_size=4)
    flags = st.frozensets(st.integers(0, 65535), max_size=3)
    info = RepoInfo(
        data.draw(refs),
        data.draw(refs),
        data.draw(st.frozensets(text, max_size=3)),
        SnapshotTable.of(history),
        data.draw(st.builds(Status, st.integers(0, 1), st.integers(0, U64), st.none() | text)),
        UpdateTable.of(log),
        data.draw(metadata),
        data.draw(st.none() | text),
        data.draw(st.none() | metadata),
        data.draw(flags),
        data.draw(flags),
    )
    again = decode_repo_info(encode_repo_info(info), where="test")
    expected = sorted(history, key=lambda record: record.id)
    assert same(
        [record.metadata for record in records(again.snapshots)],
        [normalize(record.metadata) for record in expected],
    )
    assert records(again.snapshots) == records(info.snapshots) == expected
    assert [again.updates.update(i) for i in range(len(again.updates))] == log
    for name in ("tags", "branches", "deleted_tags", "status", "repo_before_updates"):
        assert getattr(again, name) == getattr(info, name)
    assert again.metadata == normalize(info.metadata)
    assert again.config == (None if info.config is None else normalize(info.config))
    assert (again.enabled_flags, again.disabled_flags) == (info.enabled_flags, info.disabled_flags)


@settings(max_examples=30)
@given(histories(), st.data())
def test_adding_and_keeping_snapshots(history: list[SnapshotRecord], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    table = SnapshotTable.of(history[:cut]).add(history[cut:])
    assert records(table) == records(SnapshotTable.of(history))
    first = SnapshotTable.of(history[:cut])
    kept = table.keep([table.find(record.id) for record in history[:cut]])
    assert records(kept) == records(first)
