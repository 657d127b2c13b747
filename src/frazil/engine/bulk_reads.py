"""Reading many chunks of an array: few reads, each of many chunks.

A plan lists the reads and what each of them holds. Whoever carries it out decides how many go on
at the same time, and works on the chunks of one while others wait for the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.engine.checksums import check_many
from frazil.engine.packs import ChunkWriter, chunk_key
from frazil.engine.sources.reading import Chunk
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs, NativeRef
from frazil.format.columns import ByteColumn
from frazil.model.coalescing import Reads, coalesce
from frazil.storage.base import Backend
from frazil.storage.pool import WORKERS, map_parallel

LOCAL_GAP = 16 * 1024
REMOTE_GAP = 512 * 1024
"""Bytes that are read for nothing rather than asked around: a request takes longer."""
LOCAL_READ = 1024 * 1024
REMOTE_READ = 8 * 1024 * 1024
"""Longest read that chunks share. On a local disk short ones cost nothing, and make work that
threads can divide."""
QUICK_BYTES = 256 * 1024
"""Up to this many bytes from a local disk are read where the caller stands."""
_VIRTUAL_ROWS = 1024
_VIRTUAL_BYTES = 4 * 1024 * 1024
"""Virtual chunks that are asked for together; those who read them find out how."""

Rows = npt.NDArray[np.intp]


class Found(NamedTuple):
    """References of some of the chunks asked for: those at the positions `rows`."""

    rows: Rows
    refs: ChunkRefs

    def where(self, mask: npt.NDArray[np.bool_]) -> Found:
        """Only the rows under a mask."""
        return self if mask.all() else Found(self.rows[mask], self.refs.take(mask))


@dataclass(frozen=True, slots=True)
class Fetch:
    """Chunks that are read together: those at the positions `rows`, of `nbytes` in all.

    `read` returns their bytes in the order of the rows.
    """

    rows: Rows
    nbytes: int
    read: Callable[[], ByteColumn]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How to read the chunks asked for; those in no fetch are not initialised.

    quick: whether all of it is so short that it is best done without another thread.
    """

    fetches: list[Fetch]
    quick: bool


def read_all(plan: ReadPlan, limit: int = WORKERS + 1) -> list[tuple[Rows, ByteColumn]]:
    """All chunks of a plan, `limit` reads at a time: positions, and the bytes for them."""
    return map_parallel(lambda fetch: (fetch.rows, fetch.read()), plan.fetches, limit=limit)


def part_of(
    refs: ChunkRefs,
    rows: Rows,
    start: npt.NDArray[np.uint64],
    length: npt.NDArray[np.uint64],
) -> ChunkRefs:
    """Parts of chunks, as if they were chunks: `length` bytes from `start` on, inside of them.

    A chunk may be among the `rows` any number of times. Checksums are those of whole chunks,
    so parts have none.
    """
    part = refs.take(rows)
    payload = part.payload
    if payload is not None:
        inline = part.kind == INLINE
        payload = ByteColumn(
            payload.heap,
            payload.start + np.where(inline, start.astype(np.int64), 0),
            np.where(inline, length.astype(np.int64), payload.size),
        )
    offset = part.offset + np.where(part.kind == INLINE, np.uint64(0), start)
    return replace(part, offset=offset, length=length, payload=payload, checksum=None)


class BulkReader:
    """Plans the reads of the chunks that references name.

    read_virtual: reads the chunks of references that are all VIRTUAL, of the array at a path.
    """

    def __init__(
        self,
        backend: Backend,
        writer: ChunkWriter | None,
        read_virtual: Callable[[ChunkRefs, str], ByteColumn],
        *,
        verify: bool,
    ) -> None:
        """verify: whether checksums that references carry are checked."""
        self._backend = backend
        self._writer = writer
        self._read_virtual = read_virtual
        self._verify = verify

    def plan(self, found: Sequence[Found], path: str) -> ReadPlan:
        """The reads for chunks of the array at a path that are somewhere: no row is ABSENT."""
        fetches: list[Fetch] = []
        quick = True
        native = []
        for part in found:
            kind = part.refs.kind
            if (kind == NATIVE).all():
                native.append(part)
                continue
            native.append(part.where(kind == NATIVE))
            fetches.extend(_inline(part.where(kind == INLINE)))
            virtual = list(self._virtual(part.where(kind == VIRTUAL), path))
            quick = quick and not virtual
            fetches.extend(virtual)
        stored = [part for part in native if len(part.rows)]
        if stored:
            fetches.extend(self._native(stored, path))
        quick = quick and (
            not stored
            or (self._backend.local and sum(fetch.nbytes for fetch in fetches) <= QUICK_BYTES)
        )
        return ReadPlan(fetches, quick)

    def _native(self, stored: Sequence[Found], path: str) -> Iterator[Fetch]:
        rows = np.concatenate([part.rows for part in stored])
        refs = ChunkRefs.concat([part.refs for part in stored])
        object_, offset, length = refs.object, refs.offset, refs.length
        local = self._backend.local
        limit = LOCAL_READ if local else REMOTE_READ
        reads = coalesce(
            np.ascontiguousarray(object_),
            offset,
            length,
            gap=LOCAL_GAP if local else REMOTE_GAP,
            limit=limit,
        )
        at = _Ranges(rows, refs, reads, path)
        size = (reads.end - reads.start).tolist()
        begin, together = 0, 0
        for i, nbytes in enumerate(size):
            # Each read from afar is for itself: they go on at the same time.
            if i > begin and (not local or together + nbytes > limit):
                yield self._fetch(at, begin, i, together)
                begin, together = i, 0
            together += nbytes
        yield self._fetch(at, begin, len(size), together)

    def _fetch(self, at: _Ranges, first: int, stop: int, nbytes: int) -> Fetch:
        ranges = at.reads.order[at.reads.first[first] : at.reads.first[stop]]
        return Fetch(at.rows[ranges], nbytes, lambda: self._read_native(at, first, stop))

    def _read_native(self, at: _Ranges, first: int, stop: int) -> ByteColumn:
        heaps: list[bytes | memoryview] = []
        reads = at.reads
        row = reads.first[first : stop + 1]
        ranges = reads.order[row[0] : row[-1]]
        begin, end = reads.start[first:stop].tolist(), reads.end[first:stop].tolist()
        refs = at.refs
        objects = refs.object[reads.order[row[:-1]]]
        keyed = zip(map(bytes, objects), begin, end, strict=True)
        for id_, group in groupby(keyed, key=lambda read: read[0]):
            wanted = [(a, b) for _, a, b in group]
            held = None if self._writer is None else self._writer.pending_ranges(id_, wanted)
            if held is not None:
                heaps += held
            elif len(wanted) == 1:
                a, b = wanted[0]
                heaps.append(self._backend.get(chunk_key(id_), start=a, end=b))
            else:
                heaps += self._backend.get_ranges(chunk_key(id_), wanted)
        heap = heaps[0] if len(heaps) == 1 else b"".join(heaps)
        # Where each read lies in the heap, less where it begins in its object.
        shift = np.zeros(stop - first, np.int64)
        np.cumsum([b - a for a, b in zip(begin[:-1], end[:-1], strict=True)], out=shift[1:])
        shift -= np.array(begin, np.int64)
        start = refs.offset[ranges].astype(np.int64) + np.repeat(shift, np.diff(row))
        size = refs.length[ranges].astype(np.int64)
        chunks = ByteColumn(np.frombuffer(heap, np.uint8), start, size)
        if self._verify and refs.checksum is not None:
            check_many(chunks, refs.checksum[ranges], lambda i: at.chunk(int(ranges[i])))
        return chunks

    def _virtual(self, found: Found, path: str) -> Iterator[Fetch]:
        end = np.cumsum(found.refs.length)
        begin = 0
        while begin < len(found.rows):
            done = int(end[begin]) - int(found.refs.length[begin])
            stop = int(np.searchsorted(end, np.uint64(done + _VIRTUAL_BYTES), side="right"))
            part = slice(begin, min(max(stop, begin + 1), begin + _VIRTUAL_ROWS))
            refs = found.refs.take(part)
            yield Fetch(
                found.rows[part],
                int(refs.length.sum()),
                partial(self._read_virtual, refs, path),
            )
            begin = part.stop


class _Ranges(NamedTuple):
    rows: Rows
    refs: ChunkRefs
    reads: Reads
    path: str

    def chunk(self, row: int) -> tuple[Chunk, NativeRef]:
        ref = self.refs.row(row)
        assert isinstance(ref, NativeRef)
        return Chunk(self.path, self.refs.index[row].tolist()), ref


def _inline(found: Found) -> Iterator[Fetch]:
    payload = found.refs.payload
    if len(found.rows):
        assert payload is not None
        yield Fetch(found.rows, int(payload.size.sum()), lambda: payload)
