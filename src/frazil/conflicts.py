"""Conflicts between a session and commits that were there first, and who may settle them.

The values only; what collides and what a solver makes of it is decided in `model/conflicts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, Literal

from frazil.arguments import instance_of
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


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """What two sides made of one thing: of a node's metadata, one key of it, or a chunk.

    base, ours, theirs: the value before, in the changes that are to go on top, and in what was
    there first; None where there is none. A chunk's value is its encoded bytes, the metadata
    of a node is its `zarr.json` as a dictionary. key: the way to a value in that document, such
    as `("attributes", "units")`, None for all of it; chunk: the coordinates, None for metadata.
    """

    path: str
    base: Any
    ours: Any
    theirs: Any
    key: tuple[str, ...] | None = None
    chunk: tuple[int, ...] | None = None


@dataclass(frozen=True, repr=False, slots=True)
class Conflict(Displayed):
    """One conflict: its type, the path of the node, and for chunks which coordinates.

    values: what merges, cherry-picks and reverts tell of it, no part of its identity: for
    metadata a `ThreeWay` for each key, for chunks one for each of the first hundred, else one
    with the documents of the node. Rebases leave it empty.
    """

    conflict_type: ConflictType
    path: str
    conflicted_chunks: list[list[int]] | None = None
    values: tuple[ThreeWay, ...] = field(default=(), compare=False)

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

    def __post_init__(self) -> None:
        instance_of(VersionSelection, "on_chunk_conflict", self.on_chunk_conflict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataMergeSolver(BasicConflictSolver):
    """Merges the metadata of nodes key by key, and settles the rest as `BasicConflictSolver`.

    Different keys that both changed go together, below `attributes` at any depth; one key that
    both changed differently is a conflict. Chunks that one side wrote go with metadata that the
    other changed, as long as the encoding stays the same and nothing is cut off.

    appends: what to make of an array that both made longer along one dimension: "fail", or
    "order" to put what is mine behind what they appended. My chunks then move by whole chunks,
    so the lengths before and after their append must be multiples of the chunk size.
    """

    appends: Literal["fail", "order"] = "fail"


class Unsolved(Enum):
    """The answer of a callback that leaves a conflict to others."""

    UNSOLVED = 0


UNSOLVED: Final = Unsolved.UNSOLVED


@dataclass(frozen=True, slots=True)
class CallbackSolver(ConflictSolver):
    """Asks a function about metadata and chunks that both changed.

    callback: is given a `ThreeWay` and returns what is to be stored: a document for metadata,
    for a chunk its encoded bytes or None for no chunk; or `UNSOLVED`, to leave the conflict to
    `otherwise`, which also gets all other kinds of conflicts. What it raises ends the rebase.
    """

    callback: Callable[[ThreeWay], Any]
    otherwise: ConflictSolver = field(default_factory=ConflictDetector)
