"""How many bytes of chunks the history of a repository refers to."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import numpy.typing as npt

from frazil.engine.census import Census, Limits, tips_of
from frazil.format.chunk_refs import NATIVE, VIRTUAL, ChunkRefs
from frazil.format.manifest import decode_sizes
from frazil.format.ragged import sort_keys
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.keys import KeySet
from frazil.model.sweep import reached_rows
from frazil.stats import ChunkStorageStats

_DIGEST = 16


def chunk_storage_stats(library: Library, catalog: Catalog, limits: Limits) -> ChunkStorageStats:
    """Sum up what the snapshots that branches and tags lead to refer to.

    Each manifest is read once. Native and virtual bytes count once for each distinct range of
    an object, inline bytes for each reference.
    """
    census, count = Census(library, limits), _Count()
    if isinstance(catalog, CatalogV2):
        info = catalog.info()
        census.read_snapshots(sort_keys(info.snapshots.rows["id"])[reached_rows(info)])
    else:
        census.follow(tips_of(catalog))
    census.read_manifests(census.parts(), count.add)
    return count.stats()


class _Count:
    def __init__(self) -> None:
        # A range: what it is a range of, then offset and length, 8 bytes each.
        self._native = KeySet(12 + 16)
        self._virtual = KeySet(_DIGEST + 16)
        self._inline = 0
        self._lock = threading.Lock()

    def add(self, data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        """Add the references of these arrays in one manifest file; no file twice."""
        inline, refs = decode_sizes(data, where=where, nodes=nodes)
        self._native.add(_ranges(refs.object, refs, refs.kind == NATIVE))
        virtual = refs.kind == VIRTUAL
        if virtual.any():
            self._virtual.add(_ranges(_digests(refs), refs, virtual))
        with self._lock:
            self._inline += inline

    def stats(self) -> ChunkStorageStats:
        """The sums."""
        return ChunkStorageStats(
            native_bytes=_lengths(self._native),
            virtual_bytes=_lengths(self._virtual),
            inlined_bytes=self._inline,
        )


def _ranges(
    of: npt.NDArray[np.uint8], refs: ChunkRefs, rows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bytes_]:
    width = of.shape[1]
    keys = np.empty((int(rows.sum()), width + 16), np.uint8)
    keys[:, :width] = of[rows]
    for start, column in ((width, refs.offset), (width + 8, refs.length)):
        keys[:, start : start + 8] = column[rows].astype("<u8").view(np.uint8).reshape(-1, 8)
    return np.unique(sort_keys(keys))


def _digests(refs: ChunkRefs) -> npt.NDArray[np.uint8]:
    """uint8[n, _DIGEST] of the locations, zero where there is none."""
    digests = np.zeros((len(refs), _DIGEST), np.uint8)
    assert refs.payload is not None
    known: dict[bytes, npt.NDArray[np.uint8]] = {}
    for row in np.flatnonzero(refs.kind == VIRTUAL).tolist():
        location = refs.payload[row] or b""
        digest = known.get(location)
        if digest is None:
            raw = hashlib.blake2b(location, digest_size=_DIGEST).digest()
            digest = known[location] = np.frombuffer(raw, np.uint8)
        digests[row] = digest
    return digests


def _lengths(ranges: KeySet) -> int:
    keys = ranges.keys()
    rows = keys.view(np.uint8).reshape(len(keys), keys.dtype.itemsize)
    return int(np.ascontiguousarray(rows[:, -8:]).view("<u8").sum())
