"""What `Repository.purge` removes from all of history, and the proof that it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from frazil.display import Displayed, Shown, record

_SHOWN = 10


@dataclass(frozen=True, repr=False, slots=True)
class PurgeReport(Displayed):
    """What was removed, or in a dry run would be.

    target: in words; nodes: the ids of the arrays and groups that are concerned, under whatever
    paths; snapshots: the new id of each that was written anew. chunks, bytes: distinct stored
    chunks that went as a whole, with their size in the storage, also those that nothing refers to;
    chunks_rewritten, bytes_rewritten: distinct chunks of which only some elements went, with the
    size that they had; inline, virtual: references to chunks in manifests and in foreign files
    that went; virtual_rewritten: how many of those rewritten were in foreign files, their rest is
    in the repository now. foreign_files: where they are, which are not ours to change.
    objects_deleted, objects_rewritten: of chunks, the latter without what went; manifests, logs,
    backups: files that were written anew or deleted. warnings: what may not have been meant.

    The proof: after all was done, every file of the repository was read. files_read: how many
    of each kind; chunks_checked: those that only some elements went of, decoded once more;
    remaining: what still tells of the target, each with the key of its file;
    unreadable: files of which nothing can be said; unattributed: chunk objects that nothing refers
    to and that do not say what is in them; same_bytes: chunks of other arrays with the checksum
    of one that went.
    """

    target: str
    dry_run: bool
    nodes: tuple[str, ...] = ()
    snapshots: Mapping[str, str] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0
    chunks_rewritten: int = 0
    bytes_rewritten: int = 0
    inline: int = 0
    virtual: int = 0
    virtual_rewritten: int = 0
    foreign_files: tuple[str, ...] = ()
    manifests: int = 0
    logs: int = 0
    objects_deleted: int = 0
    objects_rewritten: int = 0
    backups: int = 0
    warnings: tuple[str, ...] = ()
    files_read: Mapping[str, int] = field(default_factory=dict)
    chunks_checked: int = 0
    remaining: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    unattributed: tuple[str, ...] = ()
    same_bytes: tuple[str, ...] = ()

    _public_name: ClassVar[str] = "frazil.purging.PurgeReport"

    @property
    def is_clean(self) -> bool:
        """Whether it was done, and nothing is left that tells of the target or might."""
        return not (self.dry_run or self.remaining or self.unreadable or self.unattributed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self) | {"is_clean": self.is_clean}

    def __hash__(self) -> int:
        return hash((self.target, self.dry_run, self.nodes, self.bytes))

    def _shown(self) -> Iterable[Shown]:
        yield from record(("target", "dry_run", "is_clean"), self)
        yield Shown("snapshots", f"{len(self.snapshots)} written anew")
        yield from record(("chunks", "bytes", "chunks_rewritten", "bytes_rewritten"), self)
        yield from record(("inline", "virtual", "virtual_rewritten", "manifests", "logs"), self)
        yield from record(("objects_deleted", "objects_rewritten", "backups"), self)
        read = ", ".join(f"{count} {kind}" for kind, count in self.files_read.items())
        yield Shown("files_read", read or "none yet")
        yield from record(("chunks_checked",), self)
        for name in (
            "warnings",
            "foreign_files",
            "remaining",
            "unreadable",
            "unattributed",
            "same_bytes",
        ):
            found: tuple[str, ...] = getattr(self, name)
            lines = [*found[:_SHOWN], *[f"and {len(found) - _SHOWN} more"] * (len(found) > _SHOWN)]
            yield Shown(f"{name} ({len(found)})", "\n".join([*lines, ""]) if lines else "none")
