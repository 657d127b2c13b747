"""Chunks that are somewhere else now: old places to new ones, and what refers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import ManifestInfo, ManifestTable, NodeTable
from frazil.ids import ManifestId

PLACE_BYTES = 12 + 8 + 8

PlaceKeys = npt.NDArray[np.bytes_]
"""Places as byte strings S28[n]: object, offset, length. They compare as the three do."""


def place_keys(
    object_: npt.NDArray[np.uint8], offset: npt.NDArray[np.uint64], length: npt.NDArray[np.uint64]
) -> PlaceKeys:
    """S28[n] of the places `[offset, offset + length)` of objects uint8[n, 12]."""
    rows = np.empty((len(offset), PLACE_BYTES), np.uint8)
    rows[:, :12] = object_
    rows[:, 12:20] = offset.astype(">u8").view(np.uint8).reshape(-1, 8)
    rows[:, 20:] = length.astype(">u8").view(np.uint8).reshape(-1, 8)
    return rows.view(f"S{PLACE_BYTES}").reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Where the bytes of chunks can be found as well, sorted by the old place.

    old: S28[n]; object: uint8[n, 12]; offset, length, checksum (0 = not known): uint64[n]. The
    length differs from the old one where a chunk was compressed anew.
    """

    old: PlaceKeys
    object: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    checksum: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, parts: Sequence[Moved]) -> Moved:
        """All of these, in any order; no place twice."""
        if not parts:
            none = np.empty(0, np.uint64)
            empty = np.empty(0, f"S{PLACE_BYTES}")
            return cls(empty, np.empty((0, 12), np.uint8), none, none, none)
        old = np.concatenate([part.old for part in parts])
        order = np.argsort(old, kind="stable")
        return cls(
            old[order],
            np.concatenate([part.object for part in parts])[order],
            np.concatenate([part.offset for part in parts])[order],
            np.concatenate([part.length for part in parts])[order],
            np.concatenate([part.checksum for part in parts])[order],
        )

    def __len__(self) -> int:
        return len(self.old)

    def apply(self, refs: ChunkRefs) -> ChunkRefs | None:
        """The references with the new places of what has moved; None where nothing has.

        Virtual and inline references stay as they are.
        """
        if not len(self) or not len(refs):
            return None
        keys = place_keys(refs.object, refs.offset, refs.length)
        at = np.minimum(np.searchsorted(self.old, keys), len(self) - 1)
        hit = (refs.kind == NATIVE) & (self.old[at] == keys)
        if not hit.any():
            return None
        to = at[hit]
        object_, offset, length = refs.object.copy(), refs.offset.copy(), refs.length.copy()
        checksum = np.zeros(len(refs), np.uint64) if refs.checksum is None else refs.checksum.copy()
        object_[hit], offset[hit], length[hit] = self.object[to], self.offset[to], self.length[to]
        checksum[hit] = self.checksum[to]
        return replace(
            refs,
            object=object_,
            offset=offset,
            length=length,
            checksum=checksum if checksum.any() else None,
        )


def refer_to(
    nodes: NodeTable, manifests: ManifestTable, new: Mapping[ManifestId, ManifestInfo]
) -> tuple[NodeTable, ManifestTable]:
    """The nodes and manifests of a snapshot with other manifests in the place of some.

    new: by the manifest that it stands for, at least one.
    """
    order = sorted(new)
    old = np.frombuffer(b"".join(order), "S12")
    now = np.frombuffer(b"".join(new[id_].id for id_ in order), "V12")
    refs = nodes.refs.copy()
    used = sort_keys(refs["id"])
    at = np.minimum(np.searchsorted(old, used), len(old) - 1)
    hit = old[at] == used
    refs["id"][hit] = now[at[hit]]
    table = NodeTable(nodes.rows, nodes.heap, nodes.dims, nodes.names, refs, nodes.extents)
    return table, manifests.select(table.manifest_ids(), new.values())
