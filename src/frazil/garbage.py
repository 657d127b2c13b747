"""What a collection would delete, by kind, array and age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from frazil.display import Displayed, Shown
from frazil.ops import GCSummary


class Share(NamedTuple):
    """So many objects, and the bytes of their files."""

    objects: int
    bytes: int


@dataclass(frozen=True, repr=False, slots=True)
class GarbageReport(Displayed):
    """What a collection would delete: objects and bytes.

    before: what is younger stays; by_kind: `chunks`, `manifests`, `snapshots`, `transaction_logs`,
    `backups`; by_array: of chunk objects, by the path of the array that has most of the chunks in
    each, or "" where nothing says which: an object that no commit ever named, say; by_month: all
    but backups, by the month, `2026-11`, in which they were stored, by the clock of the storage.
    The largest array comes first, and the oldest month.
    """

    before: datetime
    by_kind: Mapping[str, Share]
    by_array: Mapping[str, Share]
    by_month: Mapping[str, Share]

    _public_name: ClassVar[str] = "frazil.garbage.GarbageReport"

    @property
    def total(self) -> Share:
        """All together."""
        shares = self.by_kind.values()
        return Share(sum(share.objects for share in shares), sum(share.bytes for share in shares))

    @property
    def summary(self) -> GCSummary:
        """As a dry run of a collection says it."""
        counts: dict[str, Any] = {
            f"{kind}_deleted": share.objects for kind, share in self.by_kind.items()
        }
        return GCSummary(bytes_deleted=self.total.bytes, **counts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; the path of what belongs to no known array is ""."""
        return {
            "before": self.before.isoformat(),
            "objects": self.total.objects,
            "bytes": self.total.bytes,
            **{
                name: {key: share._asdict() for key, share in getattr(self, name).items()}
                for name in ("by_kind", "by_array", "by_month")
            },
        }

    def _shown(self) -> Iterable[Shown]:
        yield Shown("before", self.before)
        yield Shown("objects", self.total.objects)
        yield Shown("bytes", self.total.bytes)
        for name in ("by_kind", "by_array", "by_month"):
            shares = getattr(self, name).items()
            lines = [f"{k or '(no array)'}: {n} objects, {size} bytes" for k, (n, size) in shares]
            yield Shown(name, "\n".join(["", *lines]) if lines else "nothing")
