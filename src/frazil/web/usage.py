"""What a repository takes: by array, and by when it was stored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from frazil.session import Session
from frazil.storage.base import Backend

QUICK_ARRAYS, QUICK_REFERENCES = 500, 100_000
"""Up to so many are counted without being told to."""
MONTHS = 24
"""As many are shown one by one; what is older is one sum."""

FOLDERS = {
    "chunks": "Chunks",
    "manifests": "Manifests",
    "snapshots": "Snapshots",
    "transactions": "Transaction logs",
    "overwritten": "Earlier states",
}


@dataclass(frozen=True, slots=True)
class ArrayUse:
    """Bytes of the chunks of an array by kind, and what its elements take uncompressed."""

    path: str
    native: int
    inline: int
    virtual: int

    @property
    def total(self) -> int:
        """Bytes of all kinds."""
        return self.native + self.inline + self.virtual


@dataclass(frozen=True, slots=True)
class Stored:
    """Objects in the storage: (folder, objects, bytes), and (month, bytes), newest first."""

    folders: tuple[tuple[str, int, int], ...]
    months: tuple[tuple[str, int], ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all objects."""
        return sum(size for _, _, size in self.folders)


def is_quick(session: Session) -> bool:
    """Whether `by_array` reads little."""
    base = session._workspace.base
    return (
        len(base.nodes) <= QUICK_ARRAYS
        and int(base.manifests.num_refs.sum(dtype="int64")) <= QUICK_REFERENCES
    )


def by_array(session: Session) -> list[ArrayUse]:
    """The arrays of a version, the largest first. Reads all manifests of the version."""
    found = [
        ArrayUse(path, use.native_bytes, use.inlined_bytes, use.virtual_bytes)
        for path, use in session.storage_of().items()
    ]
    return sorted(found, key=lambda use: (-use.total, use.path))


def stored(backend: Backend) -> Stored:
    """All objects, by folder and month. Lists the whole storage."""
    counts: dict[str, list[int]] = {name: [0, 0] for name in FOLDERS.values()}
    months: dict[str, int] = defaultdict(int)
    for info in backend.list():
        name = FOLDERS.get(info.key.partition("/")[0], "References and configuration")
        count = counts.setdefault(name, [0, 0])
        count[0] += 1
        count[1] += info.size
        months[f"{info.last_modified:%Y-%m}"] += info.size
    newest = sorted(months.items(), reverse=True)
    shown = newest[:MONTHS]
    if newest[MONTHS:]:
        shown.append(("earlier", sum(size for _, size in newest[MONTHS:])))
    return Stored(
        tuple((name, number, size) for name, (number, size) in counts.items() if number),
        tuple(shown),
    )
