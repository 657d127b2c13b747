"""What `Repository.verify` finds: files and chunks that are not as they should be.

And what `Repository.repair` has done about it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from frazil.display import Displayed, Shown, record

Level = Literal["metadata", "objects", "data"]
"""How much is looked at; each level includes those before."""
Proof = Literal["digest", "transaction logs"]
"""What proves that a manifest was built anew as it was."""

Extents = tuple[tuple[int, int], ...]
"""From and up to which chunk index, in each dimension."""

_SHOWN = 10
"""Findings that a display lists."""


def _box(extents: Extents) -> str:
    """As a selection of chunks is written."""
    return f"[{', '.join(f'{start}:{stop}' for start, stop in extents)}]"


def _chunks(count: int) -> str:
    return f"{count} chunk" if count == 1 else f"{count} chunks"


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
    UNDECODABLE = "undecodable"
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
    FindingKind.UNDECODABLE: "put the object back from a copy, or write the chunk again",
    FindingKind.DAMAGED_FOOTER: "put the object back from a copy; the chunks can be read without",
}


_REPAIR = "Repository.repair puts its newest backup back"
_REBUILT = (FindingKind.MISSING, FindingKind.UNREADABLE, FindingKind.MISPLACED)


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
        if self.object == "repo":
            return _REPAIR
        if self.object.startswith("manifests/") and self.kind in _REBUILT:
            return f"{_ADVICE[self.kind]}, or have Repository.repair build it anew if it can"
        if self.object.startswith("transactions/") and self.kind in _REBUILT:
            return f"{_ADVICE[self.kind]}, or have Repository.repair tell it from the snapshots"
        return _ADVICE[self.kind]

    @property
    def last_resort(self) -> str:
        """What to do where a repair can do nothing."""
        return _ADVICE[self.kind]

    def __str__(self) -> str:
        where = ""
        if self.array is not None:
            more = f" and {self.chunks - 1} more" if self.chunks > 1 else ""
            where = f" (chunk {self.chunk} of {self.array}{more})"
        message = self.message.removeprefix(f"{self.object}: ")
        return f"{self.kind}: {self.object}: {message}{where}"


@dataclass(frozen=True, repr=False, slots=True)
class VerifyReport(Displayed):
    """What was looked at, and what is wrong.

    repository: its id, None if that is lost; snapshots, manifests, objects (of chunks): how many
    were looked at; chunks: distinct references to places in objects, 0 at level "metadata". At
    level "data", checked: chunks whose bytes were compared with a checksum; decoded: those
    without one that their array's codecs can decode; unchecked: those that could not be tried.
    begun_at, ended_at: when; resumed: whether it went on from an earlier attempt.
    """

    level: Level
    snapshots: int
    manifests: int
    objects: int
    chunks: int
    checked: int
    unchecked: int
    findings: tuple[Finding, ...]
    decoded: int
    begun_at: datetime
    ended_at: datetime
    resumed: bool = False
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
            "begun_at": self.begun_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "findings": [_finding_document(one) for one in self.findings],
        }

    def to_html(self) -> str:
        """A page of HTML with all findings, complete in itself."""
        return page(self)

    def _shown(self) -> Iterable[Shown]:
        yield from record(("repository", "level", "is_healthy", "snapshots", "manifests"), self)
        yield from record(("objects", "chunks", "checked", "decoded", "unchecked"), self)
        yield from record(("begun_at", "ended_at", "resumed"), self)
        if self.findings:
            lines = [f"- {one}: {one.advice}" for one in self.findings[:_SHOWN]]
            more = len(self.findings) - len(lines)
            lines += [f"and {more} more"] * (more > 0)
            yield Shown(f"findings ({len(self.findings)})", "\n".join([*lines, ""]))


def page(report: VerifyReport) -> str:
    """A report as a page of HTML."""
    facts = "".join(
        f"<tr><th>{shown.name.replace('_', ' ')}</th><td>{html.escape(str(shown.value))}</td></tr>"
        for shown in report._shown()
        if not shown.name.startswith("findings")
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{html.escape(text)}</td>"
            for text in (
                str(one.kind),
                one.object,
                "" if one.array is None else f"{one.array} {one.chunk or ''}",
                str(one.chunks or ""),
                one.message,
                one.advice,
            )
        )
        + "</tr>"
        for one in report.findings
    )
    head = "".join(
        f"<th>{name}</th>" for name in ("what", "object", "chunk", "chunks", "why", "what to do")
    )
    found = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    title = "Nothing is wrong" if report.is_healthy else f"Findings: {len(report.findings)}"
    return _PAGE.format(title=title, facts=facts, found=found)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Verification: {title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
body {{ max-width: 75em; margin: 2em auto; padding: 0 1em; line-height: 1.5; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ text-align: left; vertical-align: top; padding: .2em 1em .2em 0; }}
td {{ overflow-wrap: anywhere; }}
tbody tr {{ border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
</style></head><body><h1>{title}</h1><table>{facts}</table>{found}</body></html>
"""


@dataclass(frozen=True, repr=False, slots=True)
class LastVerification(Displayed):
    """The last verification of a whole repository, as it is noted in the repository.

    What the fields say, see `VerifyReport`; findings: their number; sample: the share of chunk
    objects whose bytes were read, where level is "data".
    """

    level: Level
    ended_at: datetime
    findings: int
    snapshots: int
    objects: int
    chunks: int
    checked: int
    decoded: int
    unchecked: int
    sample: float

    _public_name: ClassVar[str] = "frazil.verification.LastVerification"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self) | {"ended_at": self.ended_at.isoformat()}

    def _shown(self) -> Iterable[Shown]:
        yield from record(("level", "ended_at", "is_healthy", "findings", "snapshots"), self)
        yield from record(("objects", "chunks", "checked", "decoded", "unchecked", "sample"), self)


@dataclass(frozen=True, repr=False, slots=True)
class RebuiltManifest(Displayed):
    """A manifest that was lost or damaged, and is known again.

    arrays: whose references it holds; chunks: how many; proof: "digest", of its references, which
    a snapshot has, or "transaction logs", which say that neighbouring snapshots have the same.
    """

    id: str
    arrays: tuple[str, ...]
    chunks: int
    proof: Proof

    _public_name: ClassVar[str] = "frazil.verification.RebuiltManifest"

    def _shown(self) -> Iterable[Shown]:
        return record(("id", "arrays", "chunks", "proof"), self)


@dataclass(frozen=True, repr=False, slots=True)
class RebuiltLog(Displayed):
    """A transaction log that was lost or damaged, and told from what differs.

    id: of its commit; parent: of the snapshot that was compared with the commit's, None for the
    first, which changed nothing; created, deleted, updated (other metadata), moved: numbers of
    nodes; chunks: of written and erased ones; uncertain: what cannot be known, in words.
    """

    id: str
    parent: str | None
    created: int
    deleted: int
    updated: int
    moved: int
    chunks: int
    uncertain: tuple[str, ...]

    _public_name: ClassVar[str] = "frazil.verification.RebuiltLog"

    def summary(self) -> str:
        """What the commit did, in a line."""
        if self.parent is None:
            return "the first commit, which changed nothing"
        counts = {
            "created": self.created,
            "deleted": self.deleted,
            "with other metadata": self.updated,
            "moved": self.moved,
        }
        told = [f"{count} {what}" for what, count in counts.items() if count]
        parts = [f"nodes: {', '.join(told)}"] * bool(told)
        parts += [f"{_chunks(self.chunks)} changed"] * bool(self.chunks)
        return f"{'; '.join(parts) or 'nothing'} since {self.parent}"

    def _shown(self) -> Iterable[Shown]:
        yield from record(("id", "parent", "created", "deleted", "updated", "moved"), self)
        yield from record(("chunks", "uncertain"), self)


@dataclass(frozen=True, repr=False, slots=True)
class LostManifest(Displayed):
    """A manifest that is lost or damaged and cannot be built anew.

    chunks: how many it has, None if no snapshot says so; known: of how many of them other manifests
    or footers of objects tell, though not enough to prove the whole; the others are inline chunks,
    which are nowhere else, or in objects without footers. parts: its arrays, with the ranges
    (start, stop) of chunk indices in which its chunks of each lie, by dimension.
    """

    id: str
    chunks: int | None
    known: int
    parts: tuple[tuple[str, Extents], ...]

    _public_name: ClassVar[str] = "frazil.verification.LostManifest"

    def summary(self) -> str:
        """What was in it, in a line."""
        arrays = " and ".join(f"{path} in {_box(extents)}" for path, extents in self.parts)
        if not arrays:
            return "what was in it cannot be known, as the snapshots that need it are lost, too"
        count = "chunks" if self.chunks is None else _chunks(self.chunks)
        return f"{count} of {arrays}; other files tell of {self.known} of them"

    def _shown(self) -> Iterable[Shown]:
        return record(("id", "chunks", "known", "parts"), self)


@dataclass(frozen=True, repr=False, slots=True)
class DroppedChunks(Displayed):
    """Chunks of an array that were given up.

    chunks: how many, None if nobody knows; extents: of a lost manifest, the ranges (start, stop) of
    chunk indices in which all chunks are given up, by dimension.
    """

    array: str
    chunks: int | None
    reason: str
    extents: Extents | None = None

    _public_name: ClassVar[str] = "frazil.verification.DroppedChunks"

    def summary(self) -> str:
        """What was given up, in a line."""
        count = "all chunks" if self.chunks is None else _chunks(self.chunks)
        where = "" if self.extents is None else f" in {_box(self.extents)}"
        return f"{count} of {self.array}{where}: {self.reason}"

    def _shown(self) -> Iterable[Shown]:
        return record(("array", "chunks", "reason", "extents"), self)


@dataclass(frozen=True, repr=False, slots=True)
class RepairReport(Displayed):
    """What was repaired, or would have been (dry_run).

    restored: the key of the backup that took the place of the repo object, None where that was
    not needed; kept: where the damaged object is now, None if there was none; lost_snapshots:
    ids of snapshots that are stored and that the backup does not know: commits that are not in
    the history any more. manifests: those that were built anew; left: what is still wrong;
    dropped: chunks that were given up; snapshot: id of the commit that did so, None if there is
    none. logs: transaction logs that were told from snapshots; lost: manifests that cannot be built
    anew, with what was in them.
    """

    dry_run: bool
    restored: str | None
    kept: str | None
    lost_snapshots: tuple[str, ...]
    manifests: tuple[RebuiltManifest, ...] = ()
    left: tuple[Finding, ...] = ()
    dropped: tuple[DroppedChunks, ...] = ()
    snapshot: str | None = None
    logs: tuple[RebuiltLog, ...] = ()
    lost: tuple[LostManifest, ...] = ()

    _public_name: ClassVar[str] = "frazil.verification.RepairReport"

    @property
    def is_needed(self) -> bool:
        """Whether something was, or would be, changed."""
        return bool(self.restored or self.manifests or self.logs or self.dropped)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self) | {"left": [_finding_document(one) for one in self.left]}

    def _shown(self) -> Iterable[Shown]:
        yield from record(("dry_run", "restored", "kept", "lost_snapshots"), self)
        if self.manifests:
            lines = [
                f"- {one.id}: {_chunks(one.chunks)} of {', '.join(one.arrays)}, by {one.proof}"
                for one in self.manifests
            ]
            yield Shown(f"manifests ({len(self.manifests)})", "\n".join([*lines, ""]))
        if self.logs:
            lines = [f"- {one.id}: {one.summary()}" for one in self.logs]
            lines += [f"  uncertain: {note}" for note in _notes(self.logs)]
            yield Shown(f"logs ({len(self.logs)})", "\n".join([*lines, ""]))
        if self.lost:
            lines = [f"- {one.id}: {one.summary()}" for one in self.lost]
            yield Shown(f"lost ({len(self.lost)})", "\n".join([*lines, ""]))
        if self.dropped:
            lines = [f"- {one.summary()}" for one in self.dropped]
            yield Shown(f"dropped ({len(self.dropped)})", "\n".join([*lines, ""]))
            yield Shown("snapshot", self.snapshot)
        if self.left:
            lines = [f"- {one}" for one in self.left[:_SHOWN]]
            more = len(self.left) - len(lines)
            lines += [f"and {more} more"] * (more > 0)
            yield Shown(f"left ({len(self.left)})", "\n".join([*lines, ""]))


def _notes(logs: Iterable[RebuiltLog]) -> list[str]:
    """What is uncertain about them, each once."""
    return list(dict.fromkeys(note for one in logs for note in one.uncertain))


def _finding_document(one: Finding) -> dict[str, Any]:
    return asdict(one) | {"kind": str(one.kind), "advice": one.advice}
