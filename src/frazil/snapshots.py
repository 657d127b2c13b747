"""Snapshots, the manifests they list, differences between them, and drawn histories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from frazil import graph
from frazil.display import Displayed, Shown, record
from frazil.graph import GraphRow

Coordinates: TypeAlias = npt.NDArray[np.uint32] | Sequence[Sequence[int]]
"""Chunk coordinates of one array: n rows of ndim numbers."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


class SnapshotInfo(Displayed):
    """A snapshot as history lists it; ids in text form, `parent_id` None for the first one."""

    # Not a frozen dataclass, of which making 100,000 takes three times as long.
    __slots__ = ("_fields",)
    __match_args__ = ("id", "parent_id", "written_at", "message", "metadata")
    _public_name: ClassVar[str] = "frazil.snapshots.SnapshotInfo"

    def __init__(
        self,
        id: str,
        parent_id: str | None,
        written_at: datetime,
        message: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        # The time may also be in microseconds since the epoch, see `described`.
        self._fields: tuple[str, str | None, datetime | int, str, dict[str, Any] | None] = (
            id,
            parent_id,
            written_at,
            message,
            metadata,
        )

    @classmethod
    def described(
        cls, fields: tuple[str, str | None, int, str, dict[str, Any] | None]
    ) -> SnapshotInfo:
        """A snapshot by all its fields, with the time in microseconds since the epoch.

        The time becomes a `datetime` when it is asked for, which most times in a list are not,
        and metadata that are None a dictionary: 100,000 of those keep the garbage collector busy.
        """
        info = cls.__new__(cls)
        info._fields = fields
        return info

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self._fields[0]

    @property
    def parent_id(self) -> str | None:
        """The id of the snapshot before it."""
        return self._fields[1]

    @property
    def written_at(self) -> datetime:
        """When it was written, in UTC."""
        time = self._fields[2]
        if isinstance(time, int):
            time = _EPOCH + timedelta(microseconds=min(time, _LAST))
        return time

    @property
    def message(self) -> str:
        """The commit's message."""
        return self._fields[3]

    @property
    def metadata(self) -> dict[str, Any]:
        """The commit's metadata."""
        known = self._fields[4]
        if known is None:
            known = {}
            self._fields = (*self._fields[:4], known)
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SnapshotInfo) and all(
            getattr(self, name) == getattr(other, name) for name in self.__match_args__
        )

    def __hash__(self) -> int:
        return hash(self.id)

    def _shown(self) -> Iterable[Shown]:
        return record(self.__match_args__, self)


@dataclass(frozen=True, repr=False, slots=True)
class ManifestFileInfo(Displayed):
    """A manifest file: its size and how many chunk references it holds."""

    id: str
    size_bytes: int
    num_chunk_refs: int

    _public_name: ClassVar[str] = "frazil.snapshots.ManifestFileInfo"

    def _shown(self) -> Iterable[Shown]:
        return record(("id", "size_bytes", "num_chunk_refs"), self)


_SECTIONS = (
    ("Groups created", "new_groups"),
    ("Arrays created", "new_arrays"),
    ("Group definitions updated", "updated_groups"),
    ("Array definitions updated", "updated_arrays"),
    ("Groups deleted", "deleted_groups"),
    ("Arrays deleted", "deleted_arrays"),
)
_KINDS = ("groups", "arrays")
_CHUNKS_SHOWN = 10


class Diff(Displayed):
    """What changed between two snapshots, or in a session: paths of nodes, and chunks.

    updated_chunks takes coordinates as uint32[n, ndim] or lists, for each array's path.
    """

    __slots__ = (
        "_chunks",
        "deleted_arrays",
        "deleted_groups",
        "moved_nodes",
        "new_arrays",
        "new_groups",
        "updated_arrays",
        "updated_groups",
    )
    _public_name: ClassVar[str] = "frazil.snapshots.Diff"

    def __init__(
        self,
        *,
        new_groups: Iterable[str] = (),
        new_arrays: Iterable[str] = (),
        deleted_groups: Iterable[str] = (),
        deleted_arrays: Iterable[str] = (),
        updated_groups: Iterable[str] = (),
        updated_arrays: Iterable[str] = (),
        updated_chunks: Mapping[str, Coordinates] | None = None,
        moved_nodes: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.new_groups: set[str] = set(new_groups)
        self.new_arrays: set[str] = set(new_arrays)
        self.deleted_groups: set[str] = set(deleted_groups)
        self.deleted_arrays: set[str] = set(deleted_arrays)
        self.updated_groups: set[str] = set(updated_groups)
        self.updated_arrays: set[str] = set(updated_arrays)
        self.moved_nodes: list[tuple[str, str]] = list(moved_nodes)
        self._chunks = {
            path: np.asarray(c, np.uint32) for path, c in (updated_chunks or {}).items()
        }

    @property
    def updated_chunks(self) -> dict[str, list[list[int]]]:
        """Coordinates of the chunks that were written or erased, for each array's path."""
        return {path: chunks.tolist() for path, chunks in self._chunks.items()}

    def is_empty(self) -> bool:
        """Whether nothing changed."""
        lists: list[Any] = [getattr(self, name) for _, name in _SECTIONS]
        return not any([*lists, self.moved_nodes, self._chunks])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Diff):
            return NotImplemented
        return self._key() == other._key()

    def _key(self) -> tuple[Any, ...]:
        sets = tuple(getattr(self, name) for _, name in _SECTIONS)
        return *sets, self.moved_nodes, self.updated_chunks

    def __str__(self) -> str:
        parts = [
            [f"{title}:", *(f"    {path}" for path in sorted(getattr(self, name)))]
            for title, name in _SECTIONS
            if getattr(self, name)
        ]
        if self.moved_nodes:
            moves = [f"    {source} -> {target}" for source, target in self.moved_nodes]
            parts.append(["Nodes moved/renamed:", *moves])
        if self._chunks:
            parts.append(["Chunks updated:", *self._chunk_lines()])
        return "\n".join("\n".join(part) + "\n" for part in parts)

    def _chunk_lines(self) -> Iterable[str]:
        for path, chunks in sorted(self._chunks.items()):
            yield f"    {path}:"
            for coordinates in chunks[:_CHUNKS_SHOWN].tolist():
                yield f"        {coordinates}"
            if len(chunks) > _CHUNKS_SHOWN:
                yield f"        ... {len(chunks) - _CHUNKS_SHOWN} more"

    def __repr__(self) -> str:
        return str(self)

    def _shown(self) -> Iterable[Shown]:
        chunks = "\n".join(line[4:] for line in self._chunk_lines())
        kinds = [f"{verb}_{kind}" for verb in ("new", "deleted", "updated") for kind in _KINDS]
        return [
            *record(kinds, self),
            Shown("updated_chunks", chunks or "{}"),
            Shown("moved_nodes", self.moved_nodes),
        ]


@dataclass(frozen=True, repr=False, slots=True)
class AncestryGraph:
    """A history, drawn: as text, coloured unless `plain`, and as SVG in notebooks.

    rows: the commits, children before their parents.
    """

    rows: tuple[GraphRow, ...]
    plain: bool = False

    def __str__(self) -> str:
        return graph.text(self.rows, plain=self.plain)

    def __repr__(self) -> str:
        return str(self)

    def _repr_svg_(self) -> str:
        return graph.svg(self.rows)
