"""Finding a chunk through the manifests of its array, and reading its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.engine.bulk_reads import QUICK_BYTES, BulkReader, Found, ReadPlan
from frazil.engine.checksums import check
from frazil.engine.packs import ChunkWriter, chunk_key
from frazil.engine.sources.reading import Chunk, VirtualSources
from frazil.engine.sources.table import SourceTable
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.format.manifest import Manifest
from frazil.format.snapshot import ManifestRef, Node
from frazil.library.files import Library
from frazil.model.overlay import contains, inside
from frazil.storage.pool import map_parallel

_AT_ONCE = 8
"""Manifests that are fetched together where not all of them are needed at once."""


class Later(Enum):
    """The answer of what does not wait, where an answer takes waiting."""

    LATER = 0


LATER: Final = Later.LATER


class ChunkReader:
    """Reads the chunks that committed manifests and a session's writer refer to."""

    def __init__(
        self, library: Library, writer: ChunkWriter | None, virtual: VirtualSources | None = None
    ) -> None:
        """virtual: the files of virtual chunks; without them those cannot be read."""
        self._library = library
        self._writer = writer
        self._virtual = virtual or VirtualSources(SourceTable())
        self._verify = library.verify_reads
        self._bulk = BulkReader(
            library.backend, writer, self._virtual.read_many, verify=self._verify
        )

    def locate(self, node: Node, coords: tuple[int, ...]) -> Ref | None:
        """The committed reference of a chunk; None where there is none."""
        for manifest in node.manifests:
            if contains(manifest.extents, coords):
                ref = _look_up(self._library.manifest(manifest.id), node, coords)
                if ref is not None:
                    return ref
        return None

    def locate_now(self, node: Node, coords: tuple[int, ...]) -> Ref | Later | None:
        """As `locate`, or LATER if that needs a request."""
        for manifest in node.manifests:
            if contains(manifest.extents, coords):
                known = self._library.known_manifest(manifest.id)
                if known is None:
                    return LATER
                ref = _look_up(known, node, coords)
                if ref is not None:
                    return ref
        return None

    def locate_many(
        self, node: Node, index: npt.NDArray[np.uint32], rows: npt.NDArray[np.intp]
    ) -> list[Found]:
        """The committed references of the chunks `index[rows]`, as far as there are any."""
        wanted = _reached(node, index, rows)
        map_parallel(lambda manifest: self._library.manifest(manifest.id), wanted)
        found: list[Found] = []
        for manifest in wanted:
            refs = self.refs(node, manifest)
            if refs is None or not len(rows):
                continue
            at = refs.find_many(index[rows])
            hits = (at >= 0) & inside(index[rows], manifest.extents)
            if hits.all():
                found.append(Found(rows, refs.take(at)))
                rows = rows[:0]
            elif hits.any():
                found.append(Found(rows[hits], refs.take(at[hits])))
                rows = rows[~hits]
        return found

    def knows(self, node: Node, index: npt.NDArray[np.uint32], rows: npt.NDArray[np.intp]) -> bool:
        """Whether `locate_many` needs no request."""
        return all(
            self._library.known_manifest(manifest.id) is not None
            for manifest in _reached(node, index, rows)
        )

    def plan(self, node: Node, found: Sequence[Found]) -> ReadPlan:
        """How to read many chunks of an array; no row is ABSENT."""
        return self._bulk.plan(found, node.path)

    def refs(self, node: Node, manifest: ManifestRef) -> ChunkRefs | None:
        """The node's references in one manifest, if they are of the array's rank."""
        refs = self._library.manifest(manifest.id).arrays.get(node.id)
        return refs if refs is not None and refs.ndim == len(node.shape) else None

    def all_refs(self, node: Node) -> list[ChunkRefs]:
        """The node's references in all its manifests, fetched in parallel."""
        return self._fetched(node, node.manifests)

    def ref_batches(self, node: Node) -> Iterator[ChunkRefs]:
        """The node's references, manifest by manifest; a few are fetched at a time."""
        for start in range(0, len(node.manifests), _AT_ONCE):
            yield from self._fetched(node, node.manifests[start : start + _AT_ONCE])

    def _fetched(self, node: Node, manifests: Sequence[ManifestRef]) -> list[ChunkRefs]:
        found = map_parallel(lambda manifest: self.refs(node, manifest), manifests)
        result = []
        for manifest, refs in zip(manifests, found, strict=True):
            if refs is not None:
                mask = inside(refs.index, manifest.extents)
                result.append(refs if mask.all() else refs.take(mask))
        return result

    def is_quick(self, ref: Ref, nbytes: int) -> bool:
        """Whether reading so many bytes is so short that it is best done where one stands."""
        match ref:
            case InlineRef():
                return True
            case NativeRef():
                return self._library.backend.local and nbytes <= QUICK_BYTES
            case VirtualRef():
                return False

    def read(self, ref: Ref, start: int, end: int, chunk: Chunk | None = None) -> bytes:
        """Bytes `start` to `end` (exclusive) of the chunk, which must lie within it.

        chunk: what errors name. `FormatError` (`chunk-corrupted`) if it is read as a whole and
        has not the checksum that the reference carries.
        """
        match ref:
            case InlineRef():
                return ref.data[start:end]
            case NativeRef():
                if self._writer is not None:
                    pending = self._writer.pending(ref)
                    if pending is not None:
                        return pending[start:end]
                data = self._library.backend.get(
                    chunk_key(ref.object), start=ref.offset + start, end=ref.offset + end
                )
                if self._verify and end - start == ref.length:
                    check(data, ref, chunk)
                return data
            case VirtualRef():
                return self._virtual.read(ref, start, end, chunk=chunk)


def _reached(
    node: Node, index: npt.NDArray[np.uint32], rows: npt.NDArray[np.intp]
) -> list[ManifestRef]:
    """The manifests that may have some of the chunks `index[rows]`."""
    if not len(rows) or not node.manifests:
        return []
    if not index.shape[1]:
        return list(node.manifests)
    wanted = index[rows]
    low, high = wanted.min(axis=0).tolist(), wanted.max(axis=0).tolist()
    return [
        manifest
        for manifest in node.manifests
        if all(
            start <= last and first < stop
            for (start, stop), first, last in zip(manifest.extents, low, high, strict=False)
        )
    ]


def _look_up(manifest: Manifest, node: Node, coords: tuple[int, ...]) -> Ref | None:
    refs = manifest.arrays.get(node.id)
    if refs is None or refs.ndim != len(coords):
        return None
    row = refs.find(coords)
    return refs.row(row) if row >= 0 else None


def ref_length(ref: Ref) -> int:
    """The number of bytes of a chunk."""
    return len(ref.data) if isinstance(ref, InlineRef) else ref.length


def resolve_range(
    length: int, start: int | None, end: int | None, suffix: int | None
) -> tuple[int, int]:
    """The (start, end) asked for in a chunk of `length` bytes, which must lie within it.

    Raises `InvalidInputError` (`invalid-byte-range`); nothing is clamped.
    """
    if suffix is not None:
        first, last = length - suffix, length
    else:
        first, last = start or 0, length if end is None else end
    beyond = start is not None and end is None and start >= length
    if first < 0 or first > last or last > length or beyond:
        wanted = f"the last {suffix}" if suffix is not None else f"{start or 0} to {end or 'end'}"
        raise InvalidInputError(
            f"invalid byte range: {wanted} of a chunk of {length} bytes",
            ErrorKind.INVALID_BYTE_RANGE,
        )
    return first, last
