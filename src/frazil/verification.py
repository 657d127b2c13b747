"""What `Repository.verify` finds: files and chunks that are not as they should be.

And what `Repository.repair` has done about the repo object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal

from frazil.display import Displayed, Shown, record

Level = Literal["metadata", "objects", "data"]
"""How much is looked at; each level includes those before."""

_SHOWN = 10
"""Findings that a display lists."""


class FindingKind(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    MISPLACED = "misplaced"
    OUTDATED = "outdated"
    DISAGREES = "disagrees"
    NAME_CONFLICT = "name-conflict"
    TOO_SHORT = "too-short"
    OVERLAPPING = "overlapping"
    CORRUPTED = "corrupted"
    DAMAGED_FOOTER = "damaged-footer"


_ADVICE = {
    FindingKind.MISSING: "put the object back from a copy of the repository",
    FindingKind.UNREADABLE: "put the object back from a copy of the repository",
    FindingKind.MISPLACED: "this is another file under this name: put the right one back",
    FindingKind.OUTDATED: "put the newest one back",
    FindingKind.DISAGREES: "put both files back from one copy of the repository",
    FindingKind.NAME_CONFLICT: "move or delete one of the nodes",
    FindingKind.TOO_SHORT: "put the object back from a copy, or write the chunk again",
    FindingKind.OVERLAPPING: "write the chunks again",
    FindingKind.CORRUPTED: "put the object back from a copy, or write the chunk again",
    FindingKind.DAMAGED_FOOTER: "put the object back from a copy; the chunks can be read without",
}


_REPAIR = "Repository.repair puts its newest backup back"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    object: the key of the file; array and chunk: the first that suffers, None where none does or
    it is not known; chunks: how many do.
    """

    kind: FindingKind
    object: str
    message: str
    array: str | None = None
    chunk: tuple[int, ...] | None = None
    chunks: int = 0

    @property
    def advice(self) -> str:
        """What to do."""
        return _REPAIR if self.object == "repo" else _ADVICE[self.kind]

    def __str__(self) -> str:
        where = ""
        if self.array is not None:
            more = f" and {self.chunks - 1} more" if self.chunks > 1 else ""
            where = f" (chunk {self.chunk} of {self.array}{more})"
        return f"{self.kind}: {self.object}: {self.message}{where}"


@dataclass(frozen=True, repr=False, slots=True)
class VerifyReport(Displayed):
    """What was looked at, and what is wrong.

    repository: its id, None if that is lost; snapshots, manifests, objects (of chunks): how many
    were looked at; chunks: distinct references; checked, unchecked: chunks whose bytes were
    compared with a checksum, and those that were read and have none; both 0 below level "data".
    """

    level: Level
    snapshots: int
    manifests: int
    objects: int
    chunks: int
    checked: int
    unchecked: int
    findings: tuple[Finding, ...]
    repository: str | None = None

    _public_name: ClassVar[str] = "frazil.verification.VerifyReport"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self) | {
            "is_healthy": self.is_healthy,
            "findings": [
                asdict(one) | {"kind": str(one.kind), "advice": one.advice} for one in self.findings
            ],
        }

    def _shown(self) -> Iterable[Shown]:
        yield from record(("repository", "level", "is_healthy", "snapshots"), self)
        yield from record(("manifests", "objects"), self)
        yield from record(("chunks", "checked", "unchecked"), self)
        if self.findings:
            lines = [f"- {one}: {one.advice}" for one in self.findings[:_SHOWN]]
            more = len(self.findings) - len(lines)
            lines += [f"and {more} more"] * (more > 0)
            yield Shown(f"findings ({len(self.findings)})", "\n".join([*lines, ""]))


@dataclass(frozen=True, repr=False, slots=True)
class RepairReport(Displayed):
    """What was put in the place of the repo object, or would have been (dry_run).

    restored: the key of the backup, None where nothing was to be done; kept: where the damaged
    object is now, None if there was none; lost_snapshots: ids of snapshots that are stored and
    that the backup does not know: commits that are not in the history any more.
    """

    dry_run: bool
    restored: str | None
    kept: str | None
    lost_snapshots: tuple[str, ...]

    _public_name: ClassVar[str] = "frazil.verification.RepairReport"

    def _shown(self) -> Iterable[Shown]:
        return record(("dry_run", "restored", "kept", "lost_snapshots"), self)
