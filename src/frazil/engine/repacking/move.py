"""Building one new chunk object out of chunks that are in others: a step of a repack.

The id of the object follows from what goes into it, so that a step that is done twice, by a
cluster or by a repack that was interrupted and is repeated, makes one object.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from frazil.engine.bulk_reads import LOCAL_GAP, LOCAL_READ, REMOTE_GAP, REMOTE_READ
from frazil.engine.checksums import corrupted
from frazil.engine.copying import End
from frazil.engine.packs import chunk_key
from frazil.engine.repacking.recompress import Recoder
from frazil.engine.sources.reading import Chunk
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.format.chunk_refs import ChunkRefs, NativeRef
from frazil.format.columns import ByteColumn, gather_bytes, row_starts
from frazil.format.pack import TAIL_BYTES, Contents, checksums, decode_footer, footer_bytes
from frazil.ids import ChunkId, NodeId
from frazil.model.coalescing import coalesce
from frazil.model.relocation import Moved, place_keys
from frazil.model.repacking import Reading
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel

_END = 64 * 1024
"""Bytes at the end of an object in which nearly all footers lie whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An array of which chunks go into an object: `index[k, rank]`, in their order there.

    recoder: compresses them anew.
    """

    node: NodeId
    path: str
    index: npt.NDArray[np.uint32]
    recoder: Recoder | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """A new object: what goes into it. is_there: it was stored by an earlier attempt.

    source: int64[n], the array of each chunk; refs: where they are now, without coordinates.
    """

    id: ChunkId
    sources: tuple[Source, ...]
    source: npt.NDArray[np.int64]
    refs: ChunkRefs
    is_there: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the chunks as they are now."""
        return int(self.refs.length.sum())

    def chunk(self, row: int) -> Chunk:
        """What errors name."""
        of = self.sources[int(self.source[row])]
        before = int((self.source[:row] == self.source[row]).sum())
        return Chunk(of.path, of.index[before].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A new object that is stored: where its chunks were and are; whether it was there before.

    nbytes: of the object; saved: how many bytes compressing anew has saved; anew: of how many
    chunks.
    """

    moved: Moved
    nbytes: int
    was_there: bool = False
    saved: int = 0
    anew: int = 0


def reading(backend: Backend) -> Reading:
    """How chunks are read from there."""
    return Reading(LOCAL_GAP, LOCAL_READ) if backend.local else Reading(REMOTE_GAP, REMOTE_READ)


def derived_id(
    sources: Sequence[Source], source: npt.NDArray[np.int64], refs: ChunkRefs
) -> ChunkId:
    """The id of an object of these chunks."""
    digest = blake2b(digest_size=ChunkId.SIZE, person=b"frazil pack")
    for one in sources:
        digest.update(one.node)
        digest.update(len(one.index).to_bytes(8, "little"))
        digest.update(one.index.astype("<u4").tobytes())
    digest.update(source.astype("<i8").tobytes())
    digest.update(place_keys(refs.object, refs.offset, refs.length).tobytes())
    return ChunkId(digest.digest())


@dataclass(frozen=True, slots=True)
class How:
    """What all steps share. verify: compare checksums; repository: its id, for footers."""

    verify: bool
    repository: bytes


def build_there(end: End, how: How, pack: Pack) -> Built:
    """As `build`, in a process that has yet to open the storage; durable when it returns."""
    backend = end.open()
    built = build(backend, how, pack)
    backend.sync()  # nobody else can
    return built


def build(backend: Backend, how: How, pack: Pack) -> Built:
    """Store the object, unless it is there.

    Raises `FormatError` (`chunk-corrupted`) for a chunk that has not the checksum it was written
    with, if told to verify, and `StorageError` for an object that cannot be read.
    """
    refs = pack.refs
    old = place_keys(refs.object, refs.offset, refs.length)
    if pack.is_there:
        found = _found(backend, pack, old)
        if found is not None:
            return found
        # Not under its id: whoever has deleted it, or is about to, goes by that.
        pack = replace(pack, id=ChunkId(os.urandom(ChunkId.SIZE)))
    data = read_chunks(backend, refs)
    sums = checksums(data)
    if refs.checksum is not None:
        wrong = np.flatnonzero((refs.checksum != 0) & (refs.checksum != sums))
        if how.verify and len(wrong):
            ref = refs.row(int(wrong[0]))
            assert isinstance(ref, NativeRef)
            raise corrupted(pack.chunk(int(wrong[0])), ref, int(sums[wrong[0]]))
        # What does not agree must not look as if it did.
        sums[wrong] = refs.checksum[wrong]
    before = int(data.size.sum())
    data, anew = _recoded(pack, data)
    if anew.any():
        sums = np.where(anew, checksums(data), sums)
    length = data.size.astype(np.uint64)
    body = b"".join(
        (
            gather_bytes(data.heap, data.start, data.size).data,
            _contents(pack, length, sums).footer(how.repository),
        )
    )
    backend.put(chunk_key(pack.id), body)
    offset = row_starts(data.size).astype(np.uint64)
    saved = before - int(data.size.sum())
    return Built(
        _moved(pack, old, offset, length, sums), len(body), saved=saved, anew=int(anew.sum())
    )


def equal_there(end: End, pair: tuple[ChunkRefs, ChunkRefs]) -> npt.NDArray[np.bool_]:
    """As `equal`, in a process that has yet to open the storage."""
    return equal(end.open(), pair)


def equal(backend: Backend, pair: tuple[ChunkRefs, ChunkRefs]) -> npt.NDArray[np.bool_]:
    """Which of the chunks at some places have the same bytes as those at others."""
    one, other = (read_chunks(backend, refs) for refs in pair)
    return np.array([one[i] == other[i] for i in range(len(one))], np.bool_)


def _contents(pack: Pack, length: npt.NDArray[np.uint64], sums: npt.NDArray[np.uint64]) -> Contents:
    contents = Contents()
    source = pack.source
    starts = [0, *(np.flatnonzero(source[1:] != source[:-1]) + 1).tolist()]
    done = [0] * len(pack.sources)
    singly = 2 * len(starts) > len(source)
    coords = [one.index.tolist() for one in pack.sources] if singly else []
    for start, stop in pairwise([*starts, len(source)]):
        i = int(source[start])
        first, done[i] = done[i], done[i] + stop - start
        node = pack.sources[i].node
        if singly:
            for row, at in zip(range(start, stop), range(first, done[i]), strict=True):
                contents.add(node, coords[i][at], int(length[row]), int(sums[row]))
        else:
            index = pack.sources[i].index[first : done[i]]
            contents.add_many(node, index, length[start:stop], sums[start:stop])
    return contents


def _moved(
    pack: Pack,
    old: npt.NDArray[np.bytes_],
    offset: npt.NDArray[np.uint64],
    length: npt.NDArray[np.uint64],
    sums: npt.NDArray[np.uint64],
) -> Moved:
    object_ = np.broadcast_to(np.frombuffer(pack.id, np.uint8), (len(old), ChunkId.SIZE))
    return Moved(old, object_, offset, length, sums)


def read_chunks(backend: Backend, refs: ChunkRefs) -> ByteColumn:
    """The bytes of native chunks, in their order; neighbours are read in one request."""
    how = reading(backend)
    object_ = np.ascontiguousarray(refs.object)
    reads = coalesce(object_, refs.offset, refs.length, gap=how.gap, limit=how.limit)
    begin, end = reads.start.tolist(), reads.end.tolist()
    ids = [bytes(raw) for raw in object_[reads.order[reads.first[:-1]]]]
    items = zip(ids, begin, end, strict=True)
    got = map_parallel(lambda one: backend.get(chunk_key(one[0]), start=one[1], end=one[2]), items)
    sizes = np.array([len(one) for one in got], np.int64)
    shift = np.repeat(row_starts(sizes) - np.array(begin, np.int64), np.diff(reads.first))
    start = np.empty(len(refs), np.int64)
    start[reads.order] = refs.offset[reads.order].astype(np.int64) + shift
    heap = got[0] if len(got) == 1 else b"".join(got)
    return ByteColumn(np.frombuffer(heap, np.uint8), start, refs.length.astype(np.int64))


def _recoded(pack: Pack, data: ByteColumn) -> tuple[ByteColumn, npt.NDArray[np.bool_]]:
    """The chunks, compressed anew where that makes them smaller; and which ones are."""
    anew = np.zeros(len(data), np.bool_)
    recoders = [one.recoder for one in pack.sources]
    if all(recoder is None for recoder in recoders):
        return data, anew
    rows: list[bytes | None] = []
    for i, of in enumerate(pack.source.tolist()):
        chunk = data[i] or b""
        recoder = recoders[of]
        smaller = None if recoder is None else recoder.smaller(chunk)
        anew[i] = smaller is not None
        rows.append(chunk if smaller is None else smaller)
    return ByteColumn.of(rows), anew


def _found(backend: Backend, pack: Pack, old: npt.NDArray[np.bytes_]) -> Built | None:
    """What is in the object that an earlier attempt has stored; None if it is not that."""
    key = chunk_key(pack.id)
    try:
        size = backend.info(key).size
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None
    end = backend.get(key, start=max(0, size - _END), end=size)
    length = footer_bytes(end)
    if not TAIL_BYTES < length <= size:
        return None
    footer = end[-length:] if length <= len(end) else backend.get(key, start=size - length)
    try:
        held = decode_footer(footer, size=size, where=key)
    except FormatError:
        return None
    if not np.array_equal(held.length, pack.refs.length):
        return None
    return Built(_moved(pack, old, held.offset, held.length, held.checksum), size, was_there=True)
