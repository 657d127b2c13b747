"""How many bytes of chunks a repository refers to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from frazil.display import Displayed, Shown, record


@dataclass(frozen=True, repr=False, slots=True)
class ChunkStorageStats(Displayed):
    """Bytes in own objects, in foreign files, and inside manifests; can be added."""

    native_bytes: int = 0
    virtual_bytes: int = 0
    inlined_bytes: int = 0

    _public_name: ClassVar[str] = "frazil.stats.ChunkStorageStats"

    def non_virtual_bytes(self) -> int:
        """Bytes that this repository itself stores."""
        return self.native_bytes + self.inlined_bytes

    def total_bytes(self) -> int:
        """Bytes of all kinds."""
        return self.native_bytes + self.virtual_bytes + self.inlined_bytes

    def __add__(self, other: ChunkStorageStats) -> ChunkStorageStats:
        return ChunkStorageStats(
            self.native_bytes + other.native_bytes,
            self.virtual_bytes + other.virtual_bytes,
            self.inlined_bytes + other.inlined_bytes,
        )

    def _shown(self) -> Iterable[Shown]:
        return record(("native_bytes", "virtual_bytes", "inlined_bytes"), self)
