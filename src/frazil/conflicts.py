"""Conflicts between a session and commits that were there first, and who may settle them.

The values only; what collides and what a solver makes of it is decided in `model/conflicts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from frazil.display import Displayed, Shown, record
from frazil.types import NamedInt


class ConflictType(NamedInt):
    """What excludes what; "my" is the session, "they" the other commit."""

    NewNodeConflictsWithExistingNode = 1
    """I created a node at a path that now exists."""
    NewNodeInInvalidGroup = 2
    """An ancestor of my new node is now an array."""
    ZarrMetadataDoubleUpdate = 3
    """Both changed the metadata of one node."""
    ZarrMetadataUpdateOfDeletedArray = 4
    """I changed the metadata of an array that they deleted."""
    ZarrMetadataUpdateOfDeletedGroup = 5
    """I changed the metadata of a group that they deleted."""
    ChunkDoubleUpdate = 6
    """Both wrote the same chunks."""
    ChunksUpdatedInDeletedArray = 7
    """I wrote chunks of an array that they deleted."""
    ChunksUpdatedInUpdatedArray = 8
    """I wrote chunks of an array whose metadata they changed."""
    DeleteOfUpdatedArray = 9
    """I deleted an array that they changed."""
    DeleteOfUpdatedGroup = 10
    """I deleted a group that they changed."""
    MoveOperationCannotBeRebased = 11
    """Their commit moved nodes."""

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        words = re.findall(r"[A-Z][a-z]*", self.name)
        return " ".join([words[0], *(word.lower() for word in words[1:])])


class VersionSelection(NamedInt):
    """Whose version of a chunk stays when both wrote it."""

    Fail = 0
    UseOurs = 1
    UseTheirs = 2


@dataclass(frozen=True, repr=False, slots=True)
class Conflict(Displayed):
    """One conflict: its type, the path of the node, and for chunks which coordinates."""

    conflict_type: ConflictType
    path: str
    conflicted_chunks: list[list[int]] | None = None

    _public_name: ClassVar[str] = "frazil.conflicts.Conflict"

    def __hash__(self) -> int:
        return hash((self.conflict_type, self.path))

    def _shown(self) -> Iterable[Shown]:
        return record(("conflict_type", "path", "conflicted_chunks"), self)


@dataclass(frozen=True, slots=True)
class ConflictSolver:
    """Base of what can be given to `rebase`: use one of the subclasses."""

    def __post_init__(self) -> None:
        if type(self) is ConflictSolver:
            raise TypeError("ConflictSolver is a base class: use ConflictDetector or another one")


@dataclass(frozen=True, slots=True)
class ConflictDetector(ConflictSolver):
    """Solves nothing: a rebase succeeds only where there is no conflict at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicConflictSolver(ConflictSolver):
    """Settles chunks that both wrote, and deletions, by fixed rules; all else fails.

    on_chunk_conflict: whose chunk stays; the two flags let my deletion of a node that they
    changed fail instead of winning.
    """

    on_chunk_conflict: VersionSelection = VersionSelection.UseOurs
    fail_on_delete_of_updated_array: bool = False
    fail_on_delete_of_updated_group: bool = False
