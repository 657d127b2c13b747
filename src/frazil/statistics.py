"""What a repository stores: by array, by snapshot, by kind and by age, as columns."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from frazil.display import Displayed, Shown, record
from frazil.growth import Growth, draw
from frazil.notebook import readable
from frazil.stats import ChunkStorageStats

By: TypeAlias = Literal["array", "snapshot", "kind", "age"]
Column: TypeAlias = npt.NDArray[Any]

_BYTES = frozenset({"native", "inline", "virtual", "manifests", "total", "newest", "bytes"})
_ROWS = 20
"""Rows of a table that a display shows."""
_AGES = (
    ("a day", 1),
    ("a week", 7),
    ("a month", 30),
    ("3 months", 91),
    ("a year", 365),
)
_DAY = np.timedelta64(86_400_000_000, "us")


class Table(Mapping[str, Column]):
    """Columns of equal length by name: `dict(table)`, `pandas.DataFrame(dict(table))`."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self._columns.values())))

    def rows(self) -> list[dict[str, Any]]:
        """The rows, as texts, numbers and times."""
        columns = {name: _plain(values) for name, values in self._columns.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def take(self, rows: npt.NDArray[np.intp] | slice) -> Table:
        """Some rows."""
        return Table({name: values[rows] for name, values in self._columns.items()})

    def texts(self) -> list[list[str]]:
        """The rows as people read them: bytes with units, times to the minute."""
        columns = [
            [_text(name, value) for value in _plain(values)]
            for name, values in self._columns.items()
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def is_number(self, name: str) -> bool:
        """Whether a column is of numbers."""
        return bool(self._columns[name].dtype.kind == "i")

    def __str__(self) -> str:
        lines = [list(self), *self.take(slice(_ROWS)).texts()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self))]
        right = [self.is_number(name) for name in self]
        found = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        if self.num_rows > _ROWS:
            found.append(f"... and {self.num_rows - _ROWS:,} more")
        return "\n".join(found) + "\n"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self)
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align:{"right" if self.is_number(name) else "left"}">'
                f"{html.escape(cell)}</td>"
                for name, cell in zip(self, row, strict=True)
            )
            + "</tr>"
            for row in self.take(slice(_ROWS)).texts()
        )
        more = self.num_rows - _ROWS
        rest = f'<tr><td colspan="{len(self)}">… and {more:,} more</td></tr>' if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}{rest}</tbody></table>"


@dataclass(frozen=True, repr=False, slots=True)
class ObjectUse(Displayed):
    """How the objects with chunks are used, in numbers and bytes.

    objects: those that are referred to; live_bytes: what references cover of them; dead_bytes:
    chunks in them that nothing refers to, in `with_dead` objects (what a repack would free);
    footer_bytes: all else; missing: objects that are referred to and not there;
    unreferenced: objects that nothing in the history refers to, left over or just being written.
    """

    objects: int
    object_bytes: int
    live_bytes: int
    dead_bytes: int
    with_dead: int
    missing: int
    unreferenced: int
    unreferenced_bytes: int

    _public_name = "frazil.statistics.ObjectUse"

    @property
    def footer_bytes(self) -> int:
        """Bytes of objects that are neither live nor dead chunks: footers that say what is in them.

        Gaps of less than 4 KiB in an object count here, too.
        """
        return max(0, self.object_bytes - self.live_bytes - self.dead_bytes)

    def _shown(self) -> tuple[Shown, ...]:
        return record(
            (
                "objects",
                "object_bytes",
                "live_bytes",
                "dead_bytes",
                "with_dead",
                "footer_bytes",
                "missing",
                "unreferenced",
                "unreferenced_bytes",
            ),
            self,
        )


@dataclass(frozen=True, repr=False, eq=False)
class StorageStatistics(Displayed):
    """What the chunks of a history take: `Repository.statistics`.

    by_array: of each path of an array that there ever was (after moves the last one): `native`,
    `inline`, `virtual` bytes, `chunks` that are not inline, and `newest`, the bytes in the newest
    version.
    by_snapshot: oldest first, of each snapshot what it added, in the same columns, `manifests`,
    the bytes of new files of references, and `total`, the bytes of all chunks that it shows.
    objects: None unless they were asked for.

    A range of bytes counts once, for the first snapshot and array that refer to it; bytes inside
    manifests count with every manifest that holds them.
    """

    taken_at: datetime
    branch: str | None
    by_array: Table
    by_snapshot: Table
    objects: ObjectUse | None = None

    _public_name = "frazil.statistics.StorageStatistics"

    @cached_property
    def total(self) -> ChunkStorageStats:
        """Everything: as `Repository.chunk_storage_stats`, unless it is of one branch."""
        added = self.by_snapshot
        return ChunkStorageStats(
            native_bytes=int(added["native"].sum()),
            virtual_bytes=int(added["virtual"].sum()),
            inlined_bytes=int(added["inline"].sum()),
        )

    @cached_property
    def by_kind(self) -> Table:
        """Bytes by `kind`: native, inline, virtual, and `manifests`, where inline ones are in."""
        names = ["native", "inline", "virtual", "manifests"]
        sizes = [int(self.by_snapshot[name].sum()) for name in names]
        return Table({"kind": np.array(names), "bytes": np.array(sizes, np.int64)})

    @cached_property
    def by_age(self) -> Table:
        """What snapshots added by their age when this was taken: `up to` a day, a week, ..."""
        taken = np.datetime64(self.taken_at.astimezone(UTC).replace(tzinfo=None), "us")
        limits = np.array([days for _, days in _AGES]) * _DAY
        bucket = np.searchsorted(limits, taken - self.by_snapshot["time"])
        names = np.array([*(name for name, _ in _AGES), "older"])
        columns: dict[str, Column] = {"up to": names}
        columns["snapshots"] = np.bincount(bucket, minlength=len(names)).astype(np.int64)
        for name in ("native", "inline", "virtual", "chunks"):
            columns[name] = np.zeros(len(names), np.int64)
            np.add.at(columns[name], bucket, self.by_snapshot[name])
        return Table(columns)

    def table(self, by: By) -> Table:
        """One of the tables by name; arrays are sorted by size."""
        if by not in get_args(By):
            raise ValueError(f"by is 'array', 'snapshot', 'kind' or 'age', not {by!r}")
        found: Table = getattr(self, f"by_{by}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """All of it as texts, numbers and lists, for JSON."""
        total = self.total
        return {
            "taken_at": self.taken_at.isoformat(),
            "branch": self.branch,
            "native_bytes": total.native_bytes,
            "inlined_bytes": total.inlined_bytes,
            "virtual_bytes": total.virtual_bytes,
            "objects": None
            if self.objects is None
            else {shown.name: shown.value for shown in self.objects._shown()},
            **{f"by_{name}": _document(self.table(name)) for name in get_args(By)},
        }

    @property
    def growth(self) -> Growth:
        """Bytes by kind over time, for a picture."""
        added = self.by_snapshot
        return Growth(
            added["time"],
            np.stack([np.cumsum(added[name]) for name in ("native", "inline", "virtual")]),
        )

    def plot(self, path: str | Path, *, dark: bool = False) -> Path:
        """Draw how it grew, into a file: `.png` (with matplotlib), `.svg`, or `.html`.

        dark: for a dark background; `.svg` and `.html` do for both. Raises `InvalidInputError`
        for other endings, and without matplotlib for `.png`.
        """
        return draw(self.growth, Path(path), dark=dark, report=self._repr_html_)

    def _shown(self) -> tuple[Shown, ...]:
        total = self.total
        return (
            Shown("taken_at", self.taken_at),
            Shown("branch", self.branch or "all branches and tags"),
            Shown("snapshots", self.by_snapshot.num_rows),
            Shown("arrays", self.by_array.num_rows),
            Shown("native", readable(total.native_bytes)),
            Shown("inline", readable(total.inlined_bytes)),
            Shown("virtual", readable(total.virtual_bytes)),
            Shown("objects", self.objects),
        )

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.by_array}\n{self._newest_first()}"

    __repr__ = __str__

    def _newest_first(self) -> Table:
        return self.by_snapshot.take(slice(None, None, -1))

    def _repr_html_(self) -> str:
        parts = [super()._repr_html_(), self.growth.svg()]
        for title, table in (
            ("Arrays", self.by_array),
            ("Snapshots, newest first", self._newest_first()),
            ("Age", self.by_age),
        ):
            shown = table._repr_html_()
            parts.append(f"<details><summary>{title}</summary>{shown}</details>")
        return "".join(parts)


def _document(table: Table) -> list[dict[str, Any]]:
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in table.rows()
    ]


def _plain(values: Column) -> list[Any]:
    if values.dtype.kind == "M":
        return [time.replace(tzinfo=UTC) for time in values.astype("M8[us]").tolist()]
    found: list[Any] = values.tolist()
    return found


def _text(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, int):
        return readable(value) if name in _BYTES else f"{value:,}"
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return line if name != "message" or len(line) <= 40 else f"{line[:39]}…"
