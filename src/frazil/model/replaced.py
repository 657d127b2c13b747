"""What is in the place of chunks that were written anew, in columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ABSENT, NATIVE, ChunkRefs
from frazil.model.relocation import PLACE_BYTES, PlaceKeys, place_keys

ChunkKeys = npt.NDArray[np.bytes_]
"""Chunks as byte strings of one width: coordinates, kind, and where the bytes are."""
_DIGEST: Final = 12


def chunk_keys(refs: ChunkRefs) -> ChunkKeys:
    """What tells the chunks of an array, as they are stored, apart; in the order of the rows."""
    n = len(refs)
    object_ = np.ascontiguousarray(refs.object).copy()
    for row in np.flatnonzero(refs.kind != NATIVE).tolist():
        digest = blake2b(digest_size=_DIGEST)
        for column in (refs.payload, refs.etag):
            digest.update((None if column is None else column[row]) or b"")
        digest.update(bytes(4) if refs.modified is None else refs.modified[row].tobytes())
        object_[row] = np.frombuffer(digest.digest(), np.uint8)
    places = place_keys(object_, refs.offset, refs.length).view(np.uint8)
    index = np.ascontiguousarray(refs.index, ">u4").view(np.uint8)
    rows = np.concatenate(
        [index.reshape(n, 4 * refs.ndim), refs.kind[:, None], places.reshape(n, PLACE_BYTES)],
        axis=1,
    )
    return rows.view(f"S{rows.shape[1]}").reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """Chunks of one array, sorted by key, and what is there instead.

    keys: of the chunks as they were; refs: in their place, ABSENT where nothing is; same: those
    that are as they were.
    """

    keys: ChunkKeys
    refs: ChunkRefs
    same: npt.NDArray[np.bool_]

    @classmethod
    def none(cls, ndim: int) -> Replaced:
        """No chunk of an array of this rank."""
        refs = ChunkRefs.empty(ndim)
        return cls(chunk_keys(refs), refs, np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.keys)

    def joined(self, other: Replaced) -> Replaced:
        """With more chunks, in any order, none of which is known yet."""
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        refs = ChunkRefs.concat([self.refs, other.refs]).take(order)
        return Replaced(keys[order], refs, np.concatenate([self.same, other.same])[order])

    def find(self, keys: ChunkKeys) -> npt.NDArray[np.int64]:
        """int64[k]: the rows of these chunks, -1 for one that is not known."""
        if not len(self):
            return np.full(len(keys), -1, np.int64)
        row = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return np.where(self.keys[row] == keys, row, -1)

    def instead_of(self, refs: ChunkRefs) -> ChunkRefs:
        """What is in the place of these chunks, all of which are known."""
        rows = self.find(chunk_keys(refs))
        kept = self.refs.kind[rows] != ABSENT
        return replace(self.refs.take(rows[kept]), index=refs.index[kept])

    def are_same(self, refs: ChunkRefs) -> npt.NDArray[np.bool_]:
        """Which of these chunks, all of which are known, are as they were."""
        return self.same[self.find(chunk_keys(refs))]

    def native_places(self, rows: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], PlaceKeys]:
        """Which ones of some rows were native, and where these were."""
        width = self.keys.dtype.itemsize
        raw = np.ascontiguousarray(self.keys).view(np.uint8).reshape(-1, width)
        at = width - PLACE_BYTES
        native = np.flatnonzero(rows & (raw[:, at - 1] == NATIVE))
        places = np.ascontiguousarray(raw[native, at:])
        return native, places.view(f"S{PLACE_BYTES}").reshape(-1)
