"""How the snapshots and updates of a `repo` file are laid out, once for many versions of it.

Each change of a repository writes all of its `repo` file anew, and almost all of what is in it
is as it was. So a table remembers its encoded rows (`Layout`), the next table grows from them,
and only new rows are encoded. What differs from file to file is patched in: the number of a
parent, which counts the snapshots before it.

    SnapshotInfo  0 id, 1 parent_offset: index of the parent or -1 (always written: the
                  default is 0), 2 flushed_at, 3 message, 4 metadata, 5 pruned_ancestor_tx_logs
    Update        0 and 1 update_type, 2 updated_at, 3 backup_path
    update types  see `_refer_payloads`
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from frazil.format import updates as ups
from frazil.format.columns import ByteColumn
from frazil.format.flatbuf import Slot
from frazil.format.flatbuf_rows import EMPTY, TEXT, Shape
from frazil.format.flatbuf_writer import (
    Block,
    LaidOut,
    TableBlock,
    Verbatim,
    blobs,
    items,
    lay_out,
    strings,
    table_block,
    vectors,
)
from frazil.format.history import SnapshotTable
from frazil.format.ragged import raw_ids, run_items
from frazil.format.updates import UpdateKind, UpdateTable

ID, PARENT = Slot(0, "snapshot.id"), Slot(1, "snapshot.parent_offset")
FLUSHED_AT, MESSAGE = Slot(2, "snapshot.flushed_at"), Slot(3, "snapshot.message")
ITEMS, PRUNED = Slot(4, "snapshot.metadata"), Slot(5, "snapshot.pruned_ancestor_tx_logs")
ITEM_NAME, ITEM_VALUE = Slot(0, "metadata.name"), Slot(1, "metadata.value")
_PARENT_AT: Final = 12
"""Where the parent is in each table: after the way to the vtable and `flushed_at`."""

TYPE, PAYLOAD = Slot(0, "update.update_type_type"), Slot(1, "update.update_type")
UPDATED_AT, BACKUP = Slot(2, "update.updated_at"), Slot(3, "update.backup_path")
NAME_0 = Slot(0, "update.name")
PREVIOUS_1 = Slot(1, "update.previous_snap_id")
NEW_0, NEW_1, NEW_2 = (Slot(n, "update.new_snap_id") for n in range(3))
FROM, TO = Slot(0, "update.from_version"), Slot(1, "update.to_version")
FLAG, FLAG_VALUE, FLAG_SET = (
    Slot(0, "update.id"),
    Slot(1, "update.new_value"),
    Slot(2, "update.is_set"),
)
NEW_STATUS = Slot(0, "update.status")
NEW_SLOT: Final = {
    UpdateKind.NEW_COMMIT: NEW_1,
    UpdateKind.COMMIT_AMENDED: NEW_2,
    UpdateKind.NEW_DETACHED_SNAPSHOT: NEW_0,
}
AVAILABILITY, SET_AT = Slot(0, "status.availability"), Slot(1, "status.set_at")
REASON = Slot(2, "status.limited_availability_reason")


def snapshot_vector(table: SnapshotTable) -> Block:
    """The vector of all snapshots."""
    laid = table.layout.laid(table, _lay_out_snapshots)
    return vectors(Verbatim(laid, [(_PARENT_AT, table.parent)]))


_PLAIN_SNAPSHOT = Shape(
    (FLUSHED_AT, "Q"), (PARENT, "i"), (MESSAGE, TEXT), (ITEMS, EMPTY), (ID, "12s")
)


def _lay_out_snapshots(table: SnapshotTable) -> LaidOut:
    rows = table.rows
    plain = (rows["item_count"] <= 0) & (rows["pruned_count"] <= 0)
    if len(rows) == 1 and plain[0]:
        record = table.record(0)
        text = record.message.encode()
        return _PLAIN_SNAPSHOT.row(record.flushed_at, -1, text, None, record.id)
    some = rows[plain]
    message = ByteColumn(table.heap, some["message_start"], some["message_size"])
    parent = np.full(len(some), -1)
    columns = some["flushed_at"], parent, message, None, raw_ids(some["id"])
    laid = _PLAIN_SNAPSHOT.rows(len(some), *columns)
    return laid.woven(_lay_out_other_snapshots(replace(table, rows=rows[~plain])), plain)


def _lay_out_other_snapshots(table: SnapshotTable) -> LaidOut:
    rows = table.rows
    held = table.items[run_items(rows["item_start"], rows["item_count"])]
    entries = table_block(len(held))
    for slot, make, name in (
        (ITEM_NAME, strings, "name"),
        (ITEM_VALUE, blobs, "value"),
    ):
        column = ByteColumn(table.heap, held[f"{name}_start"], held[f"{name}_size"])
        entries.refer(slot, make(column))
    snapshots = table_block(len(rows))
    snapshots.scalar(FLUSHED_AT, "<u8", rows["flushed_at"], default=None)
    snapshots.scalar(PARENT, "<i4", rows["parent"], default=None)
    snapshots.struct(ID, raw_ids(rows["id"]))
    snapshots.refer(MESSAGE, strings(table.message))
    snapshots.refer(ITEMS, vectors(entries, rows["item_count"]))
    count = rows["pruned_count"]
    if bool(count.any()):
        pruned = table.pruned_ids[run_items(rows["pruned_start"], count)]
        snapshots.refer(PRUNED, items(pruned, np.where(count > 0, count, -1)))
    return lay_out(snapshots)


def update_vector(table: UpdateTable) -> Block:
    """The vector of all updates; `FormatError` if there are some of unknown kinds."""
    newest = _lay_out_updates(UpdateTable(table.rows[:1], table.heap))
    older = table.layout.laid(UpdateTable(table.rows[1:], table.heap), _lay_out_updates)
    return vectors(Verbatim(older.joined(newest, [0] * len(newest.starts))))


_COMMIT = Shape((NAME_0, TEXT), (NEW_1, "12s"))
_NEWEST = Shape((UPDATED_AT, "Q"), (PAYLOAD, _COMMIT), (TYPE, "B"))
_OLDER = Shape((UPDATED_AT, "Q"), (PAYLOAD, _COMMIT), (BACKUP, TEXT), (TYPE, "B"))


def _lay_out_updates(table: UpdateTable) -> LaidOut:
    rows = table.rows
    commits = rows["kind"] == UpdateKind.NEW_COMMIT
    if len(rows) == 1 and commits[0]:
        update = table.update(0)
        assert update.name is not None
        commit = _COMMIT.pack(update.name.encode(), update.new)
        if update.backup_path is None:
            return _NEWEST.row(update.updated_at, commit, update.kind)
        return _OLDER.row(update.updated_at, commit, update.backup_path.encode(), update.kind)
    commits &= rows["backup_size"] >= 0
    some = UpdateTable(rows[commits], table.heap)
    times, kinds = some.updated_at, some.rows["kind"]
    commit_columns = some.column("name"), raw_ids(some.rows["new"])
    laid = _OLDER.rows(len(some), times, commit_columns, some.column("backup"), kinds)
    return laid.woven(_lay_out_other_updates(UpdateTable(rows[~commits], table.heap)), commits)


def _lay_out_other_updates(table: UpdateTable) -> LaidOut:
    rows = table.rows
    kinds = set(np.flatnonzero(np.bincount(rows["kind"])).tolist())
    unknown = kinds - set(UpdateKind)
    if unknown:
        raise ups.unknown_kind(min(unknown))
    updates = table_block(len(rows))
    updates.scalar(TYPE, "u1", rows["kind"], default=None)
    updates.scalar(UPDATED_AT, "<u8", rows["updated_at"])
    updates.refer(BACKUP, strings(table.column("backup")))
    _refer_payloads(updates, table, kinds)
    return lay_out(updates)


def _refer_payloads(updates: TableBlock, table: UpdateTable, kinds: set[int]) -> None:
    """Give each update its payload, by kind:

    1 RepoInitialized, 3 ConfigChanged, 4 MetadataChanged, 13 GCRan, 14 ExpirationRan: empty
    2 RepoMigrated: 0 from, 1 to            5 TagCreated, 7 BranchCreated: 0 name
    6 TagDeleted, 8 BranchDeleted, 9 BranchReset: 0 name, 1 previous
    10 NewCommit: 0 branch, 1 new           11 CommitAmended: 0 branch, 1 previous, 2 new
    12 NewDetachedSnapshot: 0 new           15 FeatureFlagChanged: 0 id, 1 new value, 2 is set
    16 RepoStatusChanged: 0 status
    """
    rows = table.rows
    kind = rows["kind"]
    plain = table_block(len(rows))
    plain.refer(NAME_0, strings(table.column("name")))
    if not kinds.isdisjoint(ups.WITH_PREVIOUS):
        plain.struct(PREVIOUS_1, raw_ids(rows["previous"]), np.isin(kind, ups.WITH_PREVIOUS))
    for one, slot in NEW_SLOT.items():
        if one in kinds:
            plain.struct(slot, raw_ids(rows["new"]), kind == one)
    # The slots of these kinds hold scalars: they need tables of their own.
    others: list[tuple[UpdateKind, TableBlock]] = []
    for one in (
        UpdateKind.REPO_MIGRATED,
        UpdateKind.FEATURE_FLAG_CHANGED,
        UpdateKind.REPO_STATUS_CHANGED,
    ):
        if one not in kinds:
            continue
        some = rows[kind == one]
        block = table_block(len(some))
        if one == UpdateKind.REPO_MIGRATED:
            block.scalar(FROM, "u1", some["from_version"])
            block.scalar(TO, "u1", some["to_version"])
        elif one == UpdateKind.FEATURE_FLAG_CHANGED:
            block.scalar(FLAG, "<u2", some["flag_id"])
            block.scalar(FLAG_VALUE, "u1", some["flag_value"] == 1)
            block.scalar(FLAG_SET, "u1", some["flag_value"] != ups.UNSET)
        else:
            status = table_block(len(some))
            status.scalar(AVAILABILITY, "u1", some["availability"])
            status.scalar(SET_AT, "<u8", some["set_at"])
            reason = ByteColumn(table.heap, some["reason_start"], some["reason_size"])
            status.refer(REASON, strings(reason))
            block.refer(NEW_STATUS, status)
        others.append((one, block))
    if not others:
        updates.refer(PAYLOAD, plain)
        return
    target = np.arange(len(rows))
    for one, block in others:
        at = np.flatnonzero(kind == one)
        target[at] = -1
        place = np.full(len(rows), -1, np.int64)
        place[at] = np.arange(len(at))
        updates.refer(PAYLOAD, block, place)
    updates.refer(PAYLOAD, plain, target)
