"""What `Repository.repack` has done, or would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from frazil.display import Displayed, Shown, record


@dataclass(frozen=True, repr=False, slots=True)
class RepackSummary(Displayed):
    """What a repack has done, or in a dry run would do.

    chunks_moved, bytes_moved: what was copied to new objects; chunks_shared: those that turned
    out to be copies of others, as an earlier repack leaves them, which stand for them now;
    objects_written: those that were
    stored, objects_found: those that an interrupted repack had stored before.

    Of all native chunks of the versions that were looked at: objects_before, objects_after, the
    bytes of these objects, and the requests that it takes to read all chunks once.
    dead_bytes: what none of these versions needs in objects that they need, before.

    chunks_recompressed, bytes_saved: chunks that were compressed anew, and how much smaller they
    are all together; in a dry run an estimate from samples. objects_missing: objects that should
    be there and are not; their chunks stay as they are.

    commits: the new snapshot of each branch that has one; snapshots_rewritten: older snapshots
    that refer to the new objects now. The old objects stay until they are collected.
    """

    dry_run: bool = False
    chunks_moved: int = 0
    bytes_moved: int = 0
    chunks_shared: int = 0
    objects_written: int = 0
    objects_found: int = 0
    objects_before: int = 0
    objects_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    requests_before: int = 0
    requests_after: int = 0
    dead_bytes: int = 0
    chunks_recompressed: int = 0
    bytes_saved: int = 0
    objects_missing: int = 0
    commits: Mapping[str, str] = field(default_factory=dict)
    snapshots_rewritten: int = 0

    _public_name: ClassVar[str] = "frazil.repacking.RepackSummary"

    def __hash__(self) -> int:
        return hash((self.chunks_moved, self.bytes_moved, self.objects_before, self.objects_after))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self)

    def _shown(self) -> Iterable[Shown]:
        names = [name for name in asdict(self) if name != "commits"]
        yield from record(names, self)
        yield Shown("commits", ", ".join(f"{k}: {v}" for k, v in self.commits.items()) or "none")
