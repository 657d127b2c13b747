"""Metadata files that icechunk wrote (by make_metadata.py) read as what it says about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from frazil.format.header import peek
from frazil.format.repo_info import (
    RepoInfo,
    SnapshotRecord,
    Status,
    Update,
    UpdateKind,
    decode_repo_info,
    encode_repo_info,
)
from frazil.format.snapshot import (
    Node,
    NodeKind,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from frazil.format.transaction_log import (
    TransactionLog,
    decode_transaction_log,
    encode_transaction_log,
)
from frazil.format.v1 import decode_ref, dump_config, encode_ref, load_config
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId

HERE = Path(__file__).parent / "metadata"
REPOS = ["spec1", "spec2", "migrated"]
EXPECTED = {name: json.loads((HERE / name / "expected.json").read_text("utf-8")) for name in REPOS}
SNAPSHOTS = [(name, snapshot) for name in REPOS for snapshot in EXPECTED[name]["snapshots"]]


def all_files(folder: str) -> list[Path]:
    return sorted(path for name in REPOS for path in (HERE / name).glob(f"{folder}/*"))


def micros(text: str) -> int:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - epoch) // timedelta(
        microseconds=1
    )


def read(path: Path) -> Any:
    decode: Callable[..., Any] = {
        "snapshots": decode_snapshot,
        "transactions": decode_transaction_log,
    }.get(path.parent.name, decode_repo_info)
    return decode(path.read_bytes(), where=path.name)


def as_told(node: Node) -> dict[str, Any]:
    """A node as icechunk describes it."""
    told: dict[str, Any] = {
        "id": str(node.id),
        "path": node.path,
        "node_type": node.kind.name.lower(),
    }
    if node.kind == NodeKind.ARRAY:
        names = node.dimension_names or (None,) * len(node.shape)
        told["shape"] = [
            {"array_length": length, "num_chunks": chunks}
            | ({} if name is None else {"name": name})
            for (length, chunks), name in zip(node.shape, names, strict=True)
        ]
        told["manifest_refs"] = [
            {"id": str(ref.id), "extents": [list(pair) for pair in ref.extents]}
            for ref in node.manifests
        ]
    return told


def nodes_of(snapshot: Snapshot) -> list[Node]:
    return [snapshot.nodes.node(i) for i in range(len(snapshot.nodes))]


@pytest.mark.parametrize(("name", "snapshot_id"), SNAPSHOTS)
def test_snapshot(name: str, snapshot_id: str) -> None:
    told = EXPECTED[name]["snapshots"][snapshot_id]
    path = HERE / name / "snapshots" / snapshot_id
    snapshot = read(path)
    assert str(snapshot.id) == snapshot_id
    assert snapshot.flushed_at == micros(told["written_at"])
    assert snapshot.message == told["message"]
    assert snapshot.metadata == told["metadata"]
    if peek(path.read_bytes()).spec == 1:
        assert (str(snapshot.parent_id) if snapshot.parent_id else None) == told["parent"]
    else:
        assert snapshot.parent_id is None
    assert [as_told(node) for node in nodes_of(snapshot)] == told["inspect"]["nodes"]
    manifests = [snapshot.manifests.info(i) for i in range(len(snapshot.manifests))]
    assert [
        {"id": str(m.id), "size_bytes": m.size_bytes, "num_chunk_refs": m.num_refs}
        for m in manifests
    ] == told["inspect"]["manifests"]
    assert {m.id for m in manifests} == {
        ref.id for node in nodes_of(snapshot) for ref in node.manifests
    }
    for node in nodes_of(snapshot):
        assert json.loads(node.user_data)["node_type"] == node.kind.name.lower()


@pytest.mark.parametrize("path", all_files("snapshots"), ids=lambda p: "-".join(p.parts[-3::2]))
def test_snapshot_round_trip(path: Path) -> None:
    snapshot = read(path)
    spec = peek(path.read_bytes()).spec
    again = decode_snapshot(encode_snapshot(snapshot, spec=spec), where="again")
    assert nodes_of(again) == nodes_of(snapshot)
    assert again.manifests.rows.tolist() == snapshot.manifests.rows.tolist()
    assert (again.id, again.parent_id, again.flushed_at, again.message, again.metadata) == (
        snapshot.id,
        snapshot.parent_id,
        snapshot.flushed_at,
        snapshot.message,
        snapshot.metadata,
    )


def log_as_told(log: TransactionLog) -> dict[str, Any]:
    sets = ("new_groups", "new_arrays", "deleted_groups", "deleted_arrays")
    sets += ("updated_groups", "updated_arrays")
    return {
        **{name: [str(node) for node in sorted(getattr(log, name))] for name in sets},
        "updated_chunks": [
            {"node_id": str(node), "chunks": log.updated_chunks[node].tolist()}
            for node in sorted(log.updated_chunks)
        ],
        "moved_nodes": [{"from": m.from_path, "to": m.to_path} for m in log.moves],
    }


@pytest.mark.parametrize(("name", "snapshot_id"), SNAPSHOTS)
def test_transaction_log(name: str, snapshot_id: str) -> None:
    told = EXPECTED[name]["snapshots"][snapshot_id]["log"]
    folder = HERE / name / "transactions"
    if told is None:
        assert not (folder / snapshot_id).exists()
        return
    # Where history was pruned, icechunk shows the union of the logs.
    pruned = told.get("synthetic_composite", {}).get("merged_pruned_ancestor_tx_logs", [])
    logs = [read(folder / one) for one in (*pruned, snapshot_id)]
    assert [str(log.id) for log in logs] == [*pruned, snapshot_id]
    union = TransactionLog.union(logs, id=logs[-1].id)
    assert log_as_told(union) == {key: told[key] for key in log_as_told(union)}


@pytest.mark.parametrize("path", all_files("transactions"), ids=lambda p: "-".join(p.parts[-3::2]))
def test_transaction_log_round_trip(path: Path) -> None:
    log = read(path)
    again = decode_transaction_log(encode_transaction_log(log, spec=2), where="again")
    assert log_as_told(again) == log_as_told(log)
    assert (again.id, again.moves) == (log.id, log.moves)


def records(info: RepoInfo) -> list[SnapshotRecord]:
    return [info.snapshots.record(i) for i in range(len(info.snapshots))]


def updates(info: RepoInfo) -> list[Update]:
    return [info.updates.update(i) for i in range(len(info.updates))]


@pytest.mark.parametrize("name", ["spec2", "migrated"])
def test_repo_info(name: str) -> None:
    told = EXPECTED[name]
    info = read(HERE / name / "repo")
    assert {tag: str(snapshot) for tag, snapshot in info.tags.items()} == told["tags"]
    assert {branch: str(tip) for branch, tip in info.branches.items()} == told["branches"]
    assert sorted(info.deleted_tags) == told["repo"]["deleted_tags"]
    assert info.metadata == told["metadata"]
    assert info.repo_before_updates == told["repo"].get("repo_before_updates")
    assert [
        {
            "id": str(record.id),
            "flushed_at": record.flushed_at,
            "message": record.message,
            "metadata": record.metadata,
        }
        | ({} if record.parent is None else {"parent_id": str(record.parent)})
        for record in records(info)
    ] == [
        snapshot | {"flushed_at": micros(snapshot["flushed_at"])}
        for snapshot in told["repo"]["snapshots"]
    ]
    for branch, tip in info.branches.items():
        ancestry = info.snapshots.ancestry(info.snapshots.find(tip))
        ids = [info.snapshots.id_of(row) for row in ancestry]
        assert ids[-1] == INITIAL_SNAPSHOT
        assert str(ids[0]) == told["branches"][branch]
        parents = [told["snapshots"][str(one)]["parent"] for one in ids]
        assert parents == [*map(str, ids[1:]), None]


def test_pruned_history() -> None:
    info = read(HERE / "spec2" / "repo")
    told = EXPECTED["spec2"]["snapshots"]
    for record in records(info):
        log = told[str(record.id)]["log"]
        pruned = log.get("synthetic_composite", {}).get("merged_pruned_ancestor_tx_logs", [])
        assert [str(one) for one in record.pruned] == pruned
    assert any(record.pruned for record in records(info))


KINDS = {
    "RepoInitialized()": {},
    "RepoMigrated(from_version=1, to_version=2)": {"from_version": 1, "to_version": 2},
    "FeatureFlagChanged(id=3, new_value=True)": {"flag_id": 3, "flag_value": True},
    "FeatureFlagChanged(id=4, new_value=False)": {"flag_id": 4, "flag_value": False},
    "FeatureFlagChanged(id=4, new_value=None)": {"flag_id": 4, "flag_value": None},
    "FeatureFlagChanged(id=5, new_value=False)": {"flag_id": 5, "flag_value": False},
    "ConfigChanged()": {},
    "MetadataChanged()": {},
    "GCRan()": {},
    "ExpirationRan()": {},
}
BY_NAME = {"".join(map(str.capitalize, kind.name.split("_"))): kind for kind in UpdateKind}
BY_NAME["GCRan"] = BY_NAME.pop("GcRan")
NAMES = {"name": "name", "branch": "name", "previous_snap_id": "previous", "new_snap_id": "new"}


def told_update(text: str, when: str, backup: str | None) -> dict[str, Any]:
    """The fields of an update from icechunk's description of it."""
    call = text.removeprefix("icechunk.ops.UpdateType.")
    kind, _, arguments = call.partition("(")
    fields: dict[str, Any] = dict(KINDS.get(call, {}))
    if call not in KINDS and kind != "RepoStatusChanged":
        for argument in arguments.rstrip(")").split(", "):
            key, _, value = argument.partition("=")
            text = json.loads(value)
            fields[NAMES[key]] = SnapshotId.parse(text) if key.endswith("_id") else text
    return {"kind": BY_NAME[kind], "updated_at": micros(when), "backup_path": backup, **fields}


@pytest.mark.parametrize("name", ["spec2", "migrated"])
def test_operations_log(name: str) -> None:
    found: list[Update] = []
    path = HERE / name / "repo"
    while True:
        info = read(path)
        part = updates(info)
        if found:
            assert part[0].backup_path is None
            fields = {f: getattr(part[0], f) for f in Update.__slots__}
            part[0] = Update(**{**fields, "backup_path": path.name})
        found += part
        if info.repo_before_updates is None:
            break
        path = HERE / name / "overwritten" / info.repo_before_updates
    expected = [told_update(*entry) for entry in EXPECTED[name]["ops_log"]]
    assert [
        {key: getattr(update, key) for key in wanted}
        for update, wanted in zip(found, expected, strict=True)
    ] == expected
    statuses = [update.status for update in found if update.status is not None]
    if name == "spec2":
        assert [status.reason for status in statuses] == [None, "why é"]
        assert [status.availability for status in statuses] == [0, 1]
        assert {update.kind for update in found} == set(UpdateKind) - {UpdateKind.REPO_MIGRATED}


def test_flags_and_status() -> None:
    info = read(HERE / "spec2" / "repo")
    assert info.enabled_flags == {3}
    assert info.disabled_flags == {5}
    last = next(u.status for u in updates(info) if u.status is not None)
    assert info.status == Status(0, last.set_at, None)


@pytest.mark.parametrize(
    "path",
    [HERE / "spec2" / "repo", HERE / "migrated" / "repo", *all_files("overwritten")],
    ids=lambda path: path.name,
)
def test_repo_info_round_trip(path: Path) -> None:
    info = read(path)
    again = decode_repo_info(encode_repo_info(info), where="again")
    assert records(again) == records(info)
    assert updates(again) == updates(info)
    for field in ("tags", "branches", "deleted_tags", "status", "metadata", "config", "spec"):
        assert getattr(again, field) == getattr(info, field)
    for field in ("repo_before_updates", "enabled_flags", "disabled_flags"):
        assert getattr(again, field) == getattr(info, field)


def test_config_is_the_same_in_both_encodings() -> None:
    text = (HERE / "spec1" / "config.yaml").read_bytes()
    document = load_config(text, where="config.yaml")
    assert document == read(HERE / "spec2" / "repo").config
    # icechunk does not order the containers.
    assert sorted(dump_config(document).splitlines()) == sorted(text.splitlines())


def test_refs_of_spec_1() -> None:
    told = EXPECTED["spec1"]
    refs = HERE / "spec1" / "refs"
    for kind in ("branch", "tag"):
        found = {}
        for path in refs.glob(f"{kind}.*/ref.json"):
            if not path.with_name("ref.json.deleted").exists():
                data = path.read_bytes()
                snapshot = decode_ref(data, where=path.name)
                assert encode_ref(snapshot) == data
                found[path.parent.name.removeprefix(f"{kind}.")] = str(snapshot)
        assert found == told["branches" if kind == "branch" else "tags"]
    assert (refs / "tag.gone" / "ref.json.deleted").read_bytes() == b""
