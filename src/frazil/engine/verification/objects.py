"""The chunk objects that references lead to: whether they are there, and which to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.engine.inventory import sizes_of
from frazil.engine.packs import chunk_key
from frazil.engine.verification.rows import Rows, object_of, objects_of, starts_of
from frazil.engine.verification.steps import Found, ObjectsItem, found_at
from frazil.format.ragged import run_items
from frazil.storage.base import Backend
from frazil.verification import FindingKind

_STEP_BYTES = 32 * 1024 * 1024
_STEP_OBJECTS = 512
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Objects:
    """Sorted references by object: `starts` of each, and its `sizes` in bytes, -1 if missing."""

    rows: Rows
    starts: npt.NDArray[np.intp]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, backend: Backend, rows: Rows) -> Objects:
        """Look for the objects of sorted references."""
        starts = starts_of(rows)
        return cls(rows, starts, sizes_of(backend, "chunks", objects_of(rows, starts)))

    def __len__(self) -> int:
        return len(self.starts)

    def _stops(self) -> npt.NDArray[np.intp]:
        return np.append(self.starts, len(self.rows))[1:]

    def high(self, i: int) -> int:
        """The first 8 bytes of the id of object `i`, as a number."""
        return int(self.rows["high"][self.starts[i]])

    def chunks_before(self, i: int) -> int:
        """The number of chunks in the objects before object `i`."""
        return int(self.starts[i]) if i < len(self) else len(self.rows)

    @property
    def object_of_row(self) -> npt.NDArray[np.intp]:
        """The number of the object of each reference."""
        return np.repeat(np.arange(len(self)), self._stops() - self.starts)

    def _parts(self) -> Iterator[tuple[int, Objects]]:
        """Some of them at a time, and the number of the first: columns for all take memory."""
        first = 0
        while first < len(self):
            start = int(self.starts[first])
            stop = int(np.searchsorted(self.starts, start + _ROWS_AT_ONCE))
            rows = self.rows[start : self.chunks_before(stop)]
            part = slice(first, stop)
            yield first, Objects(rows, self.starts[part] - start, self.sizes[part])
            first = stop

    def unreadable(self) -> npt.NDArray[np.bool_]:
        """Which references lead to an object that is missing, or beyond its end."""
        parts = (part._unreadable() for _, part in self._parts())
        return np.concatenate([np.empty(0, np.bool_), *parts])

    def _unreadable(self) -> npt.NDArray[np.bool_]:
        of = self.object_of_row
        size = np.maximum(self.sizes, 0).astype(np.uint64)[of]
        offset, length = self.rows["offset"], self.rows["length"]
        beyond = (length > size) | (offset > size - np.minimum(length, size))
        return np.asarray(beyond | (self.sizes < 0)[of])

    def check(self) -> tuple[list[tuple[int, Found]], npt.NDArray[np.bool_]]:
        """What is wrong with places and sizes, by object; and which objects can be read."""
        found: list[tuple[int, Found]] = []
        readable = np.empty(len(self), np.bool_)
        for first, part in self._parts():
            wrong, readable[first : first + len(part)] = part._check()
            found += [(first + i, one) for i, one in wrong]
        return found, readable

    def _check(self) -> tuple[list[tuple[int, Found]], npt.NDArray[np.bool_]]:
        rows, of = self.rows, self.object_of_row
        offset, length = rows["offset"], rows["length"]
        missing = self.sizes < 0
        beyond = self._unreadable() & ~missing[of]
        readable = ~missing
        readable[of[beyond]] = False
        # Of the same place there may be two rows, whose checksums contradict each other.
        same = (offset[1:] == offset[:-1]) & (length[1:] == length[:-1])
        meet = np.zeros(len(rows), np.bool_)
        meet[1:] = (of[1:] == of[:-1]) & (offset[1:] < offset[:-1] + length[:-1]) & ~same
        meet &= readable[of]
        found = []
        for kind, mask, text in (
            (FindingKind.MISSING, missing[of], "there is no such object"),
            (FindingKind.TOO_SHORT, beyond, "it has {} bytes, and chunks are said to lie beyond"),
            (FindingKind.OVERLAPPING, meet, "references to it overlap"),
        ):
            for i in np.unique(of[mask]).tolist():
                part = slice(self.chunks_before(i), self.chunks_before(i + 1))
                message = text.format(int(self.sizes[i]))
                found.append((i, found_at(kind, self._key(i), message, rows[part][mask[part]])))
        return sorted(found, key=lambda one: one[0]), readable

    def _key(self, i: int) -> str:
        return chunk_key(object_of(self.rows[self.starts[i]]))

    def steps(
        self, chosen: npt.NDArray[np.bool_], documents: dict[int, tuple[bytes, ...]]
    ) -> Iterator[tuple[int, ObjectsItem]]:
        """The chosen objects in parts for one step each, with the number of objects up to its end.

        documents: by source; each part gets its own.
        """
        batch: list[int] = []
        held = 0
        stops = self._stops()

        def item() -> tuple[int, ObjectsItem]:
            first = self.starts[batch]
            rows = self.rows[run_items(first, stops[batch] - first)]
            sources = np.unique(rows["source"]).tolist()
            own = {source: documents[source] for source in sources if source in documents}
            return batch[-1] + 1, ObjectsItem(rows, own)

        for i in np.flatnonzero(chosen).tolist():
            size = int(self.sizes[i])
            if batch and (held + size > _STEP_BYTES or len(batch) == _STEP_OBJECTS):
                yield item()
                batch, held = [], 0
            batch.append(i)
            held += size
        if batch:
            yield item()


def evenly(first: int, count: int, share: float) -> npt.NDArray[np.bool_]:
    """Which of the objects `first` to `first + count` belong to a sample of this share.

    Of any run of objects about this share; the very first one is always one of them.
    """
    marks = np.ceil(np.arange(first, first + count + 1, dtype=np.float64) * share)
    return np.asarray(marks[1:] > marks[:-1])
