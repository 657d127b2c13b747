"""The operations log of a repository: the part that its `repo` file holds, newest first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.format.flatbuf_layout import Layout
from frazil.format.ragged import Rows
from frazil.ids import SnapshotId


class UpdateKind(IntEnum):
    """What an update did; the numbers are those of the union in `repo` files."""

    REPO_INITIALIZED = 1
    REPO_MIGRATED = 2
    CONFIG_CHANGED = 3
    METADATA_CHANGED = 4
    TAG_CREATED = 5
    TAG_DELETED = 6
    BRANCH_CREATED = 7
    BRANCH_DELETED = 8
    BRANCH_RESET = 9
    NEW_COMMIT = 10
    COMMIT_AMENDED = 11
    NEW_DETACHED_SNAPSHOT = 12
    GC_RAN = 13
    EXPIRATION_RAN = 14
    FEATURE_FLAG_CHANGED = 15
    REPO_STATUS_CHANGED = 16


NAMED: Final = (
    UpdateKind.TAG_CREATED,
    UpdateKind.TAG_DELETED,
    UpdateKind.BRANCH_CREATED,
    UpdateKind.BRANCH_DELETED,
    UpdateKind.BRANCH_RESET,
    UpdateKind.NEW_COMMIT,
    UpdateKind.COMMIT_AMENDED,
)
"""Kinds with the name of a tag or branch."""
WITH_PREVIOUS: Final = (
    UpdateKind.TAG_DELETED,
    UpdateKind.BRANCH_DELETED,
    UpdateKind.BRANCH_RESET,
    UpdateKind.COMMIT_AMENDED,
)
"""Kinds with the snapshot that a name pointed to."""
WITH_NEW: Final = (
    UpdateKind.NEW_COMMIT,
    UpdateKind.COMMIT_AMENDED,
    UpdateKind.NEW_DETACHED_SNAPSHOT,
)
"""Kinds with a snapshot that was made."""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the repository takes writes: 0 online, 1 read-only; set_at in µs."""

    availability: int = 0
    set_at: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """One entry of the log; fields that its kind does not have are None.

    updated_at: µs since the epoch; backup_path: the file in overwritten/ with the `repo`
    that this update made, once a later one replaced it.
    """

    kind: UpdateKind
    updated_at: int
    backup_path: str | None = None
    name: str | None = None
    previous: SnapshotId | None = None
    new: SnapshotId | None = None
    from_version: int | None = None
    to_version: int | None = None
    flag_id: int | None = None
    flag_value: bool | None = None
    status: Status | None = None


UNSET: Final = -1
ROW: Final = np.dtype(
    [
        ("kind", "u1"),
        ("updated_at", "u8"),
        *((name, "i8") for name in ("backup_start", "backup_size", "name_start", "name_size")),
        *((name, "V12") for name in ("previous", "new")),
        *((name, "u1") for name in ("from_version", "to_version")),
        ("flag_id", "u2"),
        ("flag_value", "i1"),
        ("availability", "u1"),
        ("set_at", "u8"),
        *((name, "i8") for name in ("reason_start", "reason_size")),
    ]
)
"""An update; texts are bytes of the heap, size -1 = none; flag_value UNSET = no value."""


@dataclass(frozen=True, slots=True, eq=False)
class UpdateTable:
    """Updates, newest first. rows: ROW[n]; heap: uint8[m], the bytes of texts.

    Kinds that this release does not know are kept and can be counted, but not shown
    (`update`) and not written.
    """

    rows: Rows
    heap: npt.NDArray[np.uint8]
    layout: Layout[UpdateTable] = field(default_factory=Layout, repr=False)
    """Of all but the newest, which will get a backup path."""

    @classmethod
    def of(cls, updates: list[Update]) -> UpdateTable:
        """A table of these, newest first."""
        rows: list[tuple[object, ...]] = []
        texts: list[bytes] = []
        at = 0
        for u in updates:
            places: list[int] = []
            for text in (u.backup_path, u.name, u.status.reason if u.status else None):
                raw = b"" if text is None else text.encode()
                places += (at, -1 if text is None else len(raw))
                texts.append(raw)
                at += len(raw)
            status = u.status or Status()
            rows.append(
                (
                    u.kind,
                    u.updated_at,
                    *places[:4],
                    *(u.previous or _NO_ID, u.new or _NO_ID),
                    *(u.from_version or 0, u.to_version or 0),
                    *(u.flag_id or 0, UNSET if u.flag_value is None else u.flag_value),
                    *(status.availability, status.set_at, *places[4:]),
                )
            )
        return cls(np.array(rows, ROW), np.frombuffer(b"".join(texts), np.uint8))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def updated_at(self) -> npt.NDArray[np.uint64]:
        """uint64[n], µs since the epoch"""
        times: npt.NDArray[np.uint64] = self.rows["updated_at"]
        return times

    def column(self, name: str) -> ByteColumn:
        """One of the texts `backup`, `name` and `reason` of all rows."""
        return ByteColumn(self.heap, self.rows[f"{name}_start"], self.rows[f"{name}_size"])

    def update(self, i: int) -> Update:
        """The update in row `i`; `FormatError` if its kind is not known."""
        row = self.rows[i]
        try:
            kind = UpdateKind(int(row["kind"]))
        except ValueError:
            raise unknown_kind(int(row["kind"])) from None
        migrated = kind == UpdateKind.REPO_MIGRATED
        flagged = kind == UpdateKind.FEATURE_FLAG_CHANGED
        status = None
        if kind == UpdateKind.REPO_STATUS_CHANGED:
            reason = self._text(i, "reason")
            status = Status(int(row["availability"]), int(row["set_at"]), reason)
        value = int(row["flag_value"])
        return Update(
            kind=kind,
            updated_at=int(row["updated_at"]),
            backup_path=self._text(i, "backup"),
            name=self._text(i, "name"),
            previous=SnapshotId(row["previous"].tobytes()) if kind in WITH_PREVIOUS else None,
            new=SnapshotId(row["new"].tobytes()) if kind in WITH_NEW else None,
            from_version=int(row["from_version"]) if migrated else None,
            to_version=int(row["to_version"]) if migrated else None,
            flag_id=int(row["flag_id"]) if flagged else None,
            flag_value=bool(value) if flagged and value != UNSET else None,
            status=status,
        )

    def newest(self, kind: UpdateKind) -> int:
        """When the newest update of a kind was made, in µs since the epoch; 0 if none is here."""
        rows = np.flatnonzero(self.rows["kind"] == kind)
        return int(self.rows["updated_at"][rows[0]]) if len(rows) else 0

    def has_backup(self, name: str) -> bool:
        """Whether an update here says that it was copied to this file (a name used once)."""
        return name.encode() in self.column("backup").compact().heap.tobytes()

    def _text(self, i: int, name: str) -> str | None:
        start, size = int(self.rows[f"{name}_start"][i]), int(self.rows[f"{name}_size"][i])
        return None if size < 0 else self.heap[start : start + size].tobytes().decode()

    def prepend(self, update: Update, backup_path_for_previous_newest: str | None) -> UpdateTable:
        """The log with one more update in front, which gets no backup path itself.

        The one that was the newest gets this one: where its `repo` file was copied to.
        """
        new = UpdateTable.of([update])
        rows = np.concatenate([new.rows, self.rows], dtype=ROW)
        parts = [self.heap, new.heap]
        for name in ("backup", "name", "reason"):
            rows[f"{name}_start"][0] += len(self.heap)
        rows["backup_size"][0] = -1
        if backup_path_for_previous_newest is not None and len(self):
            text = np.frombuffer(backup_path_for_previous_newest.encode(), np.uint8)
            rows["backup_start"][1] = len(self.heap) + len(new.heap)
            rows["backup_size"][1] = len(text)
            parts.append(text)
        heap = np.concatenate(parts)
        return UpdateTable(rows, heap, self.layout.grow(UpdateTable(rows[1:2], heap), [0]))

    def push(
        self, update: Update, backup_name: str | None, limit: int
    ) -> tuple[UpdateTable, str | None]:
        """`prepend`, then keep `limit` updates and move older ones to the backups.

        The log is cut at the first update behind `limit` that has a backup path, where the
        rest of the log can be read: the second value. None if nothing was cut.
        """
        table = self.prepend(update, backup_name)
        limit = max(limit, 1)
        if len(table) <= limit:
            return table, None
        backed_up = np.flatnonzero(table.rows["backup_size"][limit:] >= 0)
        if not len(backed_up):
            return table, None
        cut = limit + int(backed_up[0])
        kept = replace(table, rows=table.rows[:cut], layout=table.layout.first(cut - 1))
        return kept._tight(), table._text(cut, "backup")

    def _tight(self) -> UpdateTable:
        """The same updates, over a heap of just their texts if it is much larger."""
        names = ("backup", "name", "reason")
        size = np.concatenate([self.rows[f"{name}_size"] for name in names])
        if len(self.heap) <= 4 * int(size.sum()) + _SLACK:
            return self
        start = np.concatenate([self.rows[f"{name}_start"] for name in names])
        rows = self.rows.copy()
        heap = gather_bytes(self.heap, start, size)
        for name, starts in zip(names, np.split(row_starts(size), 3), strict=True):
            rows[f"{name}_start"] = starts
        return UpdateTable(rows, heap, self.layout)


_NO_ID: Final = bytes(12)
_SLACK: Final = 1 << 16


def unknown_kind(kind: int) -> FormatError:
    """The error for an update of a kind that only a newer release knows."""
    return FormatError(
        f"repo: the operations log has an update of the unknown kind {kind}; "
        "use a newer release to read the log and to change this repository",
        ErrorKind.INVALID_FILE_FORMAT,
    )
