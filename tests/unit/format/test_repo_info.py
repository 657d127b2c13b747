"""The `repo` file beyond what the golden files show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.errors import FormatError
from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot, read_root
from frazil.format.flatbuf_writer import finish, strings, table_block, vector, vectors
from frazil.format.header import FileType, unwrap, wrap
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
    initial_repo_info,
)
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId


def sid(number: int) -> SnapshotId:
    return SnapshotId(number.to_bytes(11, "big") + b"\0")


def full() -> RepoInfo:
    records = [
        SnapshotRecord(sid(7), None, 1, "root", {"__icechunk": {"is_root": True}}),
        SnapshotRecord(sid(3), sid(7), 2, "é", {"b": 1, "a": [0.1]}, (sid(1), sid(2))),
        SnapshotRecord(sid(9), sid(3), 2**64 - 1, ""),
    ]
    updates = [
        Update(UpdateKind.COMMIT_AMENDED, 9, None, "main", sid(1), sid(2)),
        Update(UpdateKind.FEATURE_FLAG_CHANGED, 8, "repo.8", flag_id=5, flag_value=False),
        Update(UpdateKind.FEATURE_FLAG_CHANGED, 7, "repo.7", flag_id=2**16 - 1, flag_value=None),
        Update(UpdateKind.NEW_DETACHED_SNAPSHOT, 6, "repo.6", new=sid(4)),
        Update(UpdateKind.REPO_STATUS_CHANGED, 5, "é", status=Status(1, 3, "")),
        Update(UpdateKind.REPO_MIGRATED, 4, from_version=1, to_version=2),
        Update(UpdateKind.BRANCH_RESET, 3, name="", previous=sid(1)),
        Update(UpdateKind.REPO_INITIALIZED, 2),
    ]
    return RepoInfo(
        tags={"": sid(7), "é/..": sid(3), "a\0b": sid(9)},
        branches={"main": sid(9), "A": sid(9)},
        deleted_tags=frozenset({"old", "", "z"}),
        snapshots=SnapshotTable.of(records),
        status=Status(1, 2**63, "because"),
        updates=UpdateTable.of(updates),
        metadata={"z": None, "a": {"é": 1}},
        repo_before_updates="repo.1",
        config={"inline_chunk_threshold_bytes": 12, "storage": None},
        enabled_flags=frozenset({300, 2, 1}),
        disabled_flags=frozenset({0}),
    )


def as_values(info: RepoInfo) -> list[object]:
    return [
        info.tags,
        info.branches,
        info.deleted_tags,
        [info.snapshots.record(i) for i in range(len(info.snapshots))],
        info.status,
        [info.updates.update(i) for i in range(len(info.updates))],
        info.metadata,
        info.repo_before_updates,
        info.config,
        info.enabled_flags,
        info.disabled_flags,
        info.spec,
    ]


def again(info: RepoInfo) -> RepoInfo:
    return decode_repo_info(encode_repo_info(info), where="repo")


def test_round_trip() -> None:
    assert as_values(again(full())) == as_values(full())


def test_a_new_repository() -> None:
    info = again(initial_repo_info(10, 20))
    assert info.branches == {"main": INITIAL_SNAPSHOT}
    assert info.snapshots.record(0) == SnapshotRecord(
        INITIAL_SNAPSHOT, None, 10, "Repository initialized", {"__icechunk": {"is_root": True}}
    )
    assert len(info.snapshots) == 1
    assert info.updates.update(0) == Update(UpdateKind.REPO_INITIALIZED, 20)
    assert info.status == Status(0, 20, None)
    assert info.config is info.repo_before_updates is None
    assert again(initial_repo_info(1, 2, {"previous_file": None})).config == {"previous_file": None}


def test_lists_are_sorted_and_the_parent_of_the_root_is_written() -> None:
    _, body = unwrap(encode_repo_info(full()), FileType.REPO, where="repo")
    root = read_root(body, where="repo")
    tags = root.tables(Slot(1, "tags")).string(Slot(0, "name"))
    assert [tags[i] for i in range(3)] == [b"", b"a\0b", "é/..".encode()]
    deleted = root.strings(Slot(3, "deleted_tags"))
    assert [deleted[i] for i in range(3)] == [b"", b"old", b"z"]
    assert root.items(Slot(10, "enabled"), "<u2").tolist() == [1, 2, 300]
    snapshots = root.tables(Slot(4, "snapshots"))
    parent = Slot(1, "parent_offset")
    assert snapshots.scalar(parent, "<i4").tolist() == [1, -1, 0]
    assert snapshots.has(parent).all()
    _, body = unwrap(encode_repo_info(initial_repo_info(1, 2)), FileType.REPO, where="repo")
    alone = read_root(body, where="repo").tables(Slot(4, "snapshots"))
    assert alone.has(parent).all()


def test_refs_must_point_to_snapshots() -> None:
    for field in ("tags", "branches"):
        info = replace(full(), **{field: {"main": sid(9), "lost": sid(8)}})
        with pytest.raises(FormatError, match="'lost' points to snapshot"):
            encode_repo_info(info)


def test_unknown_updates_are_readable_but_not_writable() -> None:
    info = full()
    data = info.updates.rows.copy()
    data["kind"][1] = 200
    info = replace(info, updates=UpdateTable(data, info.updates.heap))
    with pytest.raises(FormatError, match="unknown kind 200"):
        encode_repo_info(info)


def made_by_hand(
    ids: list[int],
    parents: list[int],
    main: int,
    *,
    spec: int = 2,
    kinds: tuple[int, ...] = (),
    config: bytes | None = None,
    header_spec: int = 2,
) -> bytes:
    n = len(ids)
    snapshots = table_block(n)
    snapshots.struct(Slot(0, "id"), np.array([list(sid(i)) for i in ids], np.uint8).reshape(n, 12))
    snapshots.scalar(Slot(1, "parent"), "<i4", parents)
    snapshots.refer(Slot(3, "message"), strings(ByteColumn.of([b""] * n)))
    branches = table_block(1)
    branches.refer(Slot(0, "name"), strings(ByteColumn.of([b"main"])))
    branches.scalar(Slot(1, "index"), "<u4", main)
    updates = table_block(len(kinds))
    updates.scalar(Slot(0, "type"), "u1", kinds)
    updates.refer(Slot(1, "payload"), table_block(len(kinds)))
    status = table_block()
    root = table_block()
    root.scalar(Slot(0, "spec"), "u1", spec)
    root.refer(Slot(1, "tags"), vector(b"", 0))
    root.refer(Slot(2, "branches"), vectors(branches))
    root.refer(Slot(3, "deleted"), vector(b"", 0))
    root.refer(Slot(4, "snapshots"), vectors(snapshots))
    root.refer(Slot(5, "status"), status)
    root.refer(Slot(7, "updates"), vectors(updates))
    if config is not None:
        root.refer(Slot(9, "config"), vector(config, len(config)))
    return wrap(finish(root), FileType.REPO, spec=header_spec, level=3)


def test_snapshots_out_of_order_are_sorted_with_all_indexes() -> None:
    # In the file: 5 is the root, 2 its child, 9 the child of 2 and the tip.
    info = decode_repo_info(made_by_hand([5, 2, 9], [-1, 0, 1], 2), where="repo")
    assert info.branches == {"main": sid(9)}
    tip = info.snapshots.find(sid(9))
    order = [info.snapshots.id_of(row) for row in info.snapshots.ancestry(tip)]
    assert order == [sid(9), sid(2), sid(5)]


def test_a_missing_parent_is_the_first_snapshot() -> None:
    # The schema's default: a root written so is its own parent.
    info = decode_repo_info(made_by_hand([1, 2], [0, 0], 1), where="repo")
    with pytest.raises(FormatError, match="form a circle"):
        list(info.snapshots.ancestry(info.snapshots.find(sid(2))))


def test_unknown_update_kinds_are_kept() -> None:
    info = decode_repo_info(made_by_hand([1], [-1], 0, kinds=(99, 13, 0)), where="repo")
    assert len(info.updates) == 3
    assert info.updates.update(1).kind == UpdateKind.GC_RAN
    for i in (0, 2):
        with pytest.raises(FormatError, match="unknown kind"):
            info.updates.update(i)
    with pytest.raises(FormatError, match="unknown kind"):
        encode_repo_info(info)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (made_by_hand([1], [-1], 1), "invalid-file-format"),
        (made_by_hand([1], [1], 0), "invalid-file-format"),
        (made_by_hand([1], [-2], 0), "invalid-file-format"),
        (made_by_hand([1, 1], [-1, -1], 0), "invalid-file-format"),
        (made_by_hand([1], [-1], 0, spec=3), "unsupported-spec-version"),
        (made_by_hand([1], [-1], 0, spec=0), "unsupported-spec-version"),
        (made_by_hand([1], [-1], 0, kinds=(5,)), "invalid-file-format"),
        (made_by_hand([1], [-1], 0, config=b""), "deserialization"),
        (made_by_hand([1], [-1], 0, config=b"\x01\x08\x01"), "deserialization"),
        (made_by_hand([1], [-1], 0, header_spec=1), "unsupported-operation-for-version"),
    ],
)
def test_damage_is_a_format_error(data: bytes, kind: str) -> None:
    with pytest.raises(FormatError, match=r"^repo: ") as caught:
        decode_repo_info(data, where="repo")
    assert caught.value.kind == kind
