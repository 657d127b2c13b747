"""The `repo` file of spec 2: everything about a repository that can change.

    Repo          0 spec_version, 1 tags, 2 branches, 3 deleted_tags, 4 snapshots, 5 status,
                  6 metadata, 7 latest_updates, 8 repo_before_updates, 9 config (FlexBuffers),
                  10 enabled and 11 disabled_feature_flags
    Ref           0 name, 1 snapshot_index
    RepoStatus    0 availability, 1 set_at, 2 limited_availability_reason
    SnapshotInfo and Update: see `repo_layout`

Names, ids and flags are sorted; updates are newest first. References to snapshots are
indexes in the file and ids in `RepoInfo`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format import flexbuf
from frazil.format import history as hist
from frazil.format import repo_layout as layout
from frazil.format import updates as ups
from frazil.format.columns import ByteColumn, row_starts
from frazil.format.flatbuf import Slot, Table, Tables, read_root
from frazil.format.flatbuf_writer import (
    Block,
    finish,
    strings,
    table_block,
    vector,
    vectors,
)
from frazil.format.header import FileType, unwrap, wrap
from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import (
    INITIAL_MESSAGE,
    INITIAL_METADATA,
    decode_metadata,
    metadata_block,
)
from frazil.format.updates import Status, Update, UpdateKind, UpdateTable
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId

__all__ = [
    "RepoInfo",
    "SnapshotRecord",
    "SnapshotTable",
    "Status",
    "Update",
    "UpdateKind",
    "UpdateTable",
    "decode_repo_info",
    "encode_repo_info",
    "initial_repo_info",
]

_SPEC: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class RepoInfo:
    """The state of a repository.

    config: the configuration document, None for the defaults; repo_before_updates: the
    file in overwritten/ where the operations log goes on.
    """

    tags: dict[str, SnapshotId]
    branches: dict[str, SnapshotId]
    deleted_tags: frozenset[str]
    snapshots: SnapshotTable
    status: Status
    updates: UpdateTable
    metadata: dict[str, Any] = field(default_factory=dict)
    repo_before_updates: str | None = None
    config: dict[str, Any] | None = None
    enabled_flags: frozenset[int] = frozenset()
    disabled_flags: frozenset[int] = frozenset()
    spec: int = _SPEC


def initial_repo_info(
    flushed_at: int,
    updated_at: int,
    config: dict[str, Any] | None = None,
    metadata: Mapping[str, Any] = INITIAL_METADATA,
) -> RepoInfo:
    """A new repository: branch main at the initial snapshot; times in µs.

    flushed_at and metadata are those of the snapshot file, updated_at the time of its creation.
    """
    root = SnapshotRecord(INITIAL_SNAPSHOT, None, flushed_at, INITIAL_MESSAGE, dict(metadata))
    return RepoInfo(
        tags={},
        branches={"main": INITIAL_SNAPSHOT},
        deleted_tags=frozenset(),
        snapshots=SnapshotTable.of([root]),
        status=Status(set_at=updated_at),
        updates=UpdateTable.of([Update(UpdateKind.REPO_INITIALIZED, updated_at)]),
        config=config,
    )


_SPEC_VERSION, _TAGS, _BRANCHES = Slot(0, "spec_version"), Slot(1, "tags"), Slot(2, "branches")
_DELETED_TAGS, _SNAPSHOTS = Slot(3, "deleted_tags"), Slot(4, "snapshots")
_STATUS, _METADATA, _UPDATES = Slot(5, "status"), Slot(6, "metadata"), Slot(7, "latest_updates")
_BEFORE, _CONFIG = Slot(8, "repo_before_updates"), Slot(9, "config")
_ENABLED = Slot(10, "enabled_feature_flags")
_DISABLED = Slot(11, "disabled_feature_flags")
_REF_NAME, _REF_INDEX = Slot(0, "ref.name"), Slot(1, "ref.snapshot_index")


def decode_repo_info(data: bytes | memoryview, *, where: str) -> RepoInfo:
    """Read a `repo` file; `FormatError` if it is damaged or of another spec than 2."""
    header, body = unwrap(data, FileType.REPO, where=where)
    if header.spec != _SPEC:
        raise FormatError(
            f"{where}: a repo file of spec {header.spec}; there are none before spec 2",
            ErrorKind.UNSUPPORTED_OPERATION_FOR_VERSION,
        )
    root = read_root(body, where=where)
    spec = root.scalar(_SPEC_VERSION, "u1")
    if spec != _SPEC:
        raise FormatError(
            f"{where}: spec version {spec} is not supported; a newer release may read it",
            ErrorKind.UNSUPPORTED_SPEC_VERSION,
        )
    snapshots, moved = _decode_snapshots(root.tables(_SNAPSHOTS))
    config = None
    if root.has(_CONFIG):
        config = flexbuf.decode(root.blob(_CONFIG), where=f"{where}: config")
        if not isinstance(config, dict):
            raise FormatError(f"{where}: config is not a map", ErrorKind.DESERIALIZATION)
    deleted = root.strings(_DELETED_TAGS)
    root.buffer.check_unshared(deleted, _DELETED_TAGS.name)
    return RepoInfo(
        tags=_decode_refs(root.tables(_TAGS), snapshots, moved),
        branches=_decode_refs(root.tables(_BRANCHES), snapshots, moved),
        deleted_tags=frozenset(_texts(deleted)),
        snapshots=snapshots,
        status=_decode_status(root.table(_STATUS)),
        updates=_decode_updates(root.tables(_UPDATES)),
        metadata=decode_metadata(root.tables(_METADATA), flexbuf.decode)
        if root.has(_METADATA)
        else {},
        repo_before_updates=root.string(_BEFORE) if root.has(_BEFORE) else None,
        config=config,
        enabled_flags=_decode_flags(root, _ENABLED),
        disabled_flags=_decode_flags(root, _DISABLED),
        spec=spec,
    )


def _texts(column: ByteColumn) -> list[str]:
    return [(column[i] or b"").decode() for i in range(len(column))]


def _decode_flags(root: Table, slot: Slot) -> frozenset[int]:
    return frozenset(root.items(slot, "<u2").tolist()) if root.has(slot) else frozenset()


def _decode_refs(
    refs: Tables, snapshots: SnapshotTable, moved: npt.NDArray[np.int64] | None
) -> dict[str, SnapshotId]:
    names = refs.string(_REF_NAME)
    refs.buffer.check_unshared(names, _REF_NAME.name)
    rows = refs.scalar(_REF_INDEX, "<u4").astype(np.int64)
    if len(rows) and int(rows.max()) >= len(snapshots):
        raise refs.buffer.fail(
            f"{_REF_INDEX.name}: {int(rows.max())} of {len(snapshots)} snapshots"
        )
    if moved is not None:
        rows = moved[rows]
    ids = snapshots.rows["id"][rows]
    return {name: SnapshotId(raw.tobytes()) for name, raw in zip(_texts(names), ids, strict=True)}


def _decode_status(status: Table) -> Status:
    return Status(
        status.scalar(layout.AVAILABILITY, "u1"),
        status.scalar(layout.SET_AT, "<u8"),
        status.string(layout.REASON) if status.has(layout.REASON) else None,
    )


def _decode_snapshots(
    tables: Tables,
) -> tuple[SnapshotTable, npt.NDArray[np.int64] | None]:
    """The table, and where each row of the file went if the file was not sorted."""
    buffer = tables.buffer
    rows = np.zeros(len(tables), hist.ROW)
    rows["id"] = tables.struct(layout.ID, 12).view("V12").reshape(-1)
    rows["parent"] = parent = tables.scalar(layout.PARENT, "<i4")
    if len(rows) and not (int(parent.min()) >= -1 and int(parent.max()) < len(rows)):
        raise buffer.fail(f"{layout.PARENT.name}: outside of the {len(rows)} snapshots")
    rows["flushed_at"] = tables.scalar(layout.FLUSHED_AT, "<u8")
    message = tables.string(layout.MESSAGE)
    rows["message_start"], rows["message_size"] = message.start, message.size
    entries, count = tables.tables(layout.ITEMS, required=False)
    rows["item_start"], rows["item_count"] = row_starts(count), count
    held = np.empty(len(entries), hist.ITEM)
    values = entries.blob(layout.ITEM_VALUE)
    buffer.check_unshared(values, layout.ITEM_VALUE.name)
    for name, column in (("name", entries.string(layout.ITEM_NAME)), ("value", values)):
        held[f"{name}_start"], held[f"{name}_size"] = column.start, column.size
    pruned, count = tables.items(layout.PRUNED, "V12", required=False)
    rows["pruned_start"], rows["pruned_count"] = row_starts(count), np.maximum(count, 0)

    moved = None
    keys = sort_keys(rows["id"])
    if bool((keys[1:] <= keys[:-1]).any()):
        order = np.argsort(keys, kind="stable")
        if bool((keys[order][1:] == keys[order][:-1]).any()):
            raise buffer.fail("two snapshots have the same id")
        moved = np.empty(len(rows), np.int64)
        moved[order] = np.arange(len(rows))
        rows = rows[order]
        rows["parent"] = np.append(moved, -1)[rows["parent"]]
    return SnapshotTable(rows, buffer.data, held, pruned), moved


def _decode_updates(tables: Tables) -> UpdateTable:
    rows = np.zeros(len(tables), ups.ROW)
    rows["kind"] = kind = tables.scalar(layout.TYPE, "u1")
    rows["updated_at"] = tables.scalar(layout.UPDATED_AT, "<u8")
    rows["name_size"] = rows["reason_size"] = -1
    rows["flag_value"] = ups.UNSET
    backup = tables.string(layout.BACKUP, required=False)
    rows["backup_start"], rows["backup_size"] = backup.start, backup.size
    known = (kind > 0) & (kind <= max(UpdateKind))
    if not bool(tables.take(known).has(layout.PAYLOAD).all()):
        raise tables.buffer.missing(layout.PAYLOAD.name)

    def select(kinds: Iterable[int]) -> tuple[npt.NDArray[np.int64], Tables | None]:
        """Rows of these kinds and their payloads, None if there are none."""
        at = np.flatnonzero(np.isin(kind, list(kinds)))
        return at, tables.take(at).table(layout.PAYLOAD) if len(at) else None

    at, named = select(ups.NAMED)
    if named is not None:
        name = named.string(layout.NAME_0)
        rows["name_start"][at], rows["name_size"][at] = name.start, name.size
    at, moved = select(ups.WITH_PREVIOUS)
    if moved is not None:
        rows["previous"][at] = moved.struct(layout.PREVIOUS_1, 12).view("V12").reshape(-1)
    for one, slot in layout.NEW_SLOT.items():
        at, made = select([one])
        if made is not None:
            rows["new"][at] = made.struct(slot, 12).view("V12").reshape(-1)
    at, migrated = select([UpdateKind.REPO_MIGRATED])
    if migrated is not None:
        rows["from_version"][at] = migrated.scalar(layout.FROM, "u1")
        rows["to_version"][at] = migrated.scalar(layout.TO, "u1")
    at, flagged = select([UpdateKind.FEATURE_FLAG_CHANGED])
    if flagged is not None:
        rows["flag_id"][at] = flagged.scalar(layout.FLAG, "<u2")
        value = flagged.scalar(layout.FLAG_VALUE, "u1") != 0
        rows["flag_value"][at] = np.where(flagged.scalar(layout.FLAG_SET, "u1"), value, ups.UNSET)
    at, changed = select([UpdateKind.REPO_STATUS_CHANGED])
    if changed is not None:
        status = changed.table(layout.NEW_STATUS)
        rows["availability"][at] = status.scalar(layout.AVAILABILITY, "u1")
        rows["set_at"][at] = status.scalar(layout.SET_AT, "<u8")
        reason = status.string(layout.REASON, required=False)
        rows["reason_start"][at], rows["reason_size"][at] = reason.start, reason.size
    return UpdateTable(rows, tables.buffer.data)


def encode_repo_info(info: RepoInfo, *, level: int = 3) -> bytes:
    """The `repo` file.

    `FormatError` if a branch or tag points to a snapshot that is not in the list, or if the
    log has updates that this release does not know.
    """
    snapshots = layout.snapshot_vector(info.snapshots)
    updates = layout.update_vector(info.updates)
    tags = _encode_refs(info.tags, info.snapshots)
    branches = _encode_refs(info.branches, info.snapshots)
    deleted = strings(sorted(tag.encode() for tag in info.deleted_tags))
    metadata = metadata_block(info.metadata, flexbuf.encode)
    status = _encode_status(info.status)
    optional: list[tuple[Slot, Block]] = []
    if info.repo_before_updates is not None:
        optional.append((_BEFORE, strings([info.repo_before_updates.encode()])))
    if info.config is not None:
        config = flexbuf.encode(info.config)
        optional.append((_CONFIG, vector(config, len(config))))
    for slot, flags in ((_ENABLED, info.enabled_flags), (_DISABLED, info.disabled_flags)):
        if flags:
            data = b"".join(flag.to_bytes(2, "little") for flag in sorted(flags))
            optional.append((slot, vector(data, len(flags))))
    root = table_block()
    root.scalar(_SPEC_VERSION, "u1", info.spec)
    for slot, block in (
        (_TAGS, tags),
        (_BRANCHES, branches),
        (_DELETED_TAGS, vectors(deleted)),
        (_SNAPSHOTS, snapshots),
        (_STATUS, status),
        (_METADATA, metadata),
        (_UPDATES, updates),
        *optional,
    ):
        root.refer(slot, block)
    return wrap(finish(root), FileType.REPO, spec=info.spec, level=level)


def _encode_refs(refs: Mapping[str, SnapshotId], snapshots: SnapshotTable) -> Block:
    if not refs:
        return vector(b"", 0)
    ordered = sorted(refs.items())
    ids = np.frombuffer(b"".join(snapshot for _, snapshot in ordered), np.uint8).reshape(-1, 12)
    rows = snapshots.find_many(ids)
    if len(rows) and int(rows.min()) < 0:
        name, snapshot = ordered[int(rows.argmin())]
        raise FormatError(
            f"repo: {name!r} points to snapshot {snapshot}, which is not in the list",
            ErrorKind.SNAPSHOT_NOT_FOUND,
        )
    tables = table_block(len(ordered))
    tables.refer(_REF_NAME, strings([name.encode() for name, _ in ordered]))
    tables.scalar(_REF_INDEX, "<u4", rows)
    return vectors(tables)


def _encode_status(status: Status) -> Block:
    table = table_block()
    table.scalar(layout.AVAILABILITY, "u1", status.availability)
    table.scalar(layout.SET_AT, "<u8", status.set_at)
    if status.reason is not None:
        table.refer(layout.REASON, strings([status.reason.encode()]))
    return table
