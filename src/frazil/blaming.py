"""Who wrote what: the results of `Repository.blame` and `Repository.bisect`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from frazil.display import Displayed, Shown
from frazil.snapshots import SnapshotInfo


@dataclass(frozen=True, repr=False, slots=True, eq=False)
class Blame(Displayed):
    """Which commit last wrote each chunk of an array, or of a region of it.

    chunks: uint32[n, ndim], the coordinates of the initialised chunks, sorted; written_by:
    int32[n], for each its place in `commits`, -1 where history does not tell; commits: those
    that wrote any, newest first.
    """

    path: str
    chunks: npt.NDArray[np.uint32]
    written_by: npt.NDArray[np.int32]
    commits: tuple[SnapshotInfo, ...]

    _public_name: ClassVar[str] = "frazil.blaming.Blame"

    def commit_of(self, chunk: tuple[int, ...]) -> SnapshotInfo | None:
        """The commit that wrote a chunk; None if it is not initialised or history does not tell."""
        found = np.flatnonzero((self.chunks == np.asarray(chunk, np.uint32)).all(axis=1))
        row = int(self.written_by[found[0]]) if len(found) else -1
        return None if row < 0 else self.commits[row]

    def chunks_of(self, commit: int) -> npt.NDArray[np.uint32]:
        """The chunks of the commit at this place in `commits`; of -1, those nobody is known for."""
        chunks: npt.NDArray[np.uint32] = self.chunks[self.written_by == commit]
        return chunks

    def _shown(self) -> Iterable[Shown]:
        yield Shown("path", self.path)
        for place, commit in enumerate(self.commits):
            headline = commit.message.split("\n", 1)[0]
            yield Shown(f"{commit.id[:8]} {headline!r}", f"{len(self.chunks_of(place))} chunks")
        if len(self.chunks_of(-1)):
            yield Shown("unknown", f"{len(self.chunks_of(-1))} chunks")


@dataclass(frozen=True, repr=False, slots=True)
class Bisection(Displayed):
    """Where something went wrong.

    suspects: the first bad commit, or several, oldest first, where the check could not judge;
    judged: what was found of each commit that was looked at, in this order.
    """

    suspects: tuple[SnapshotInfo, ...]
    judged: tuple[tuple[SnapshotInfo, bool | None], ...]

    _public_name: ClassVar[str] = "frazil.blaming.Bisection"

    def _shown(self) -> Iterable[Shown]:
        yield Shown("suspects", [commit.id for commit in self.suspects])
        yield Shown("judged", [(commit.id, good) for commit, good in self.judged])
