"""Reading virtual chunks: ranges of files that are not the repository's.

Near ranges of one file are read together, far ones and other files in parallel. What comes back
is checked against the checksums of the references; a file that is missing, too short or changed
is an error that says which, and never a chunk without data.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from frazil.engine.sources.source import Found, Source, Stamp, bare_etag
from frazil.engine.sources.table import SourceTable
from frazil.errors import ErrorKind, IcechunkError, StorageError
from frazil.format.chunk_refs import ChunkRefs, VirtualRef
from frazil.format.columns import ByteColumn, row_starts
from frazil.model.coalescing import coalesce
from frazil.model.virtual_urls import Target
from frazil.storage.pool import map_parallel
from frazil.types import ChecksumPolicy

logger = logging.getLogger(__name__)


_OWN_KINDS = frozenset(
    {
        ErrorKind.VIRTUAL_CHUNK_FETCH,
        ErrorKind.VIRTUAL_CHUNK_MODIFIED,
        ErrorKind.INVALID_OBJECT_SIZE,
    }
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Which chunk is read, for errors."""

    path: str
    coords: Sequence[int]

    def __str__(self) -> str:
        return f"chunk {tuple(map(int, self.coords))} of {self.path}"


class VirtualSources:
    """What a session reads virtual chunks through; any number of threads may use it."""

    def __init__(self, table: SourceTable, checksums: ChecksumPolicy = "strict") -> None:
        self.table = table
        self.checksums = checksums
        """What to do where a file has changed."""

    def read(
        self,
        ref: VirtualRef,
        start: int,
        end: int,
        *,
        chunk: Chunk | None = None,
    ) -> bytes:
        """Bytes `start` to `end` (exclusive) of a chunk, which must lie within it.

        `StorageError`: `virtual-chunk-fetch`, `virtual-chunk-modified`, `invalid-object-size`;
        `InvalidInputError` as `SourceTable.find`.
        """
        try:
            source, target = self.table.find(ref.location)
            found = _read(source, target, ref.offset + start, ref.offset + end)
            _check(target, found.stamp, ref.etag, ref.modified, self.checksums, chunk)
        except IcechunkError as error:
            raise _of_chunk(error, chunk) from error.__cause__
        return found.data

    def read_many(self, refs: ChunkRefs, path: str) -> ByteColumn:
        """The chunks of these references, all VIRTUAL, in their order; errors as `read`.

        path: of the array, for errors. The heap is what was read, with the gaps between chunks.
        """
        if not len(refs):
            return ByteColumn.absent(0)
        files, code = self._files(refs, path)
        # As if each file were an object: its number in place of an id.
        object_ = np.zeros((len(refs), 3), np.uint32)
        object_[:, 0] = code
        reads = coalesce(
            object_.view(np.uint8),
            refs.offset,
            refs.length,
            gap=min(source.gap for source, _ in files),
            limit=min(source.piece for source, _ in files),
        )
        checked = self.checksums != "off" and (refs.etag is not None or refs.modified is not None)
        offset, size = refs.offset.astype(np.int64), refs.length.astype(np.int64)
        start = np.empty(len(refs), np.int64)  # of each chunk in what its read brought

        def run(i: int) -> bytes:
            rows = reads.order[reads.first[i] : reads.first[i + 1]]
            source, target = files[code[rows[0]]]
            begin = int(reads.start[i])
            try:
                found = _read(source, target, begin, int(reads.end[i]))
            except IcechunkError as error:
                if len(rows) == 1:
                    chunk = Chunk(path, refs.index[rows[0]])
                    raise _of_chunk(error, chunk) from error.__cause__
                start[rows] = row_starts(size[rows])
                return b"".join([self._read_row(refs, row, path) for row in rows.tolist()])
            start[rows] = offset[rows] - begin
            if checked:
                self._check_rows(refs, path, target, found.stamp, rows.tolist())
            return found.data

        parts = map_parallel(run, range(len(reads.start)))
        heap = parts[0] if len(parts) == 1 else b"".join(parts)
        # Where each read lies in the heap.
        before = row_starts(np.array([len(part) for part in parts], np.int64))
        start[reads.order] += np.repeat(before, np.diff(reads.first))
        return ByteColumn(np.frombuffer(heap, np.uint8), start, size)

    def _read_row(self, refs: ChunkRefs, row: int, path: str) -> bytes:
        """One of some chunks that could not be read together."""
        ref = refs.row(row)
        assert isinstance(ref, VirtualRef)
        return self.read(ref, 0, ref.length, chunk=Chunk(path, refs.index[row]))

    def _files(self, refs: ChunkRefs, path: str) -> tuple[list[tuple[Source, Target]], list[int]]:
        """The distinct files of the references, and for each reference which one it is."""
        assert refs.payload is not None
        place: dict[bytes, int] = {}
        files: list[tuple[Source, Target]] = []
        code = []
        for i in range(len(refs)):
            location = refs.payload[i] or b""
            number = place.setdefault(location, len(files))
            code.append(number)
            if number == len(files):
                try:
                    files.append(self.table.find(location.decode(errors="surrogateescape")))
                except IcechunkError as error:
                    chunk = Chunk(path, refs.index[i])
                    raise _of_chunk(error, chunk) from error.__cause__
        return files, code

    def _check_rows(
        self,
        refs: ChunkRefs,
        path: str,
        target: Target,
        stamp: Stamp,
        rows: Sequence[int],
    ) -> None:
        seen = set()
        for row in rows:
            etag = None if refs.etag is None else refs.etag[row]
            modified = 0 if refs.modified is None else int(refs.modified[row])
            if (etag, modified) not in seen:
                seen.add((etag, modified))
                text = None if etag is None else etag.decode(errors="surrogateescape")
                chunk = Chunk(path, refs.index[row])
                try:
                    _check(target, stamp, text, modified or None, self.checksums, chunk)
                except StorageError as error:
                    raise _of_chunk(error, chunk) from error.__cause__


def _read(source: Source, target: Target, start: int, end: int) -> Found:
    """A range of a file, in pieces if it is large; all of it or an error."""
    try:
        if end - start <= source.piece + source.piece // 2:
            found = source.read(target.key, start, end)
        else:
            # The first piece tells the size: what a reference says is not to be relied on.
            first = source.read(target.key, start, start + source.piece)
            if first.size < end:
                raise _too_short(target, start, end, first.size)
            starts = range(start + source.piece, end, source.piece)
            pieces = [(s, min(s + source.piece, end)) for s in starts]
            parts = [first, *map_parallel(lambda p: source.read(target.key, *p), pieces)]
            if len({part.stamp for part in parts}) > 1:
                raise StorageError(
                    f"{target.url} was changed while it was read: try again",
                    ErrorKind.VIRTUAL_CHUNK_MODIFIED,
                )
            data = b"".join([part.data for part in parts])
            found = Found(data, parts[0].size, parts[0].stamp)
    except StorageError as error:
        if error.kind == ErrorKind.OBJECT_NOT_FOUND:
            raise StorageError(
                f"the file {target.url} is not there: restore it, or set other references",
                ErrorKind.VIRTUAL_CHUNK_FETCH,
            ) from error
        if error.kind in _OWN_KINDS:
            raise
        raise StorageError(
            f"cannot read {target.url}: {error.message}", ErrorKind.VIRTUAL_CHUNK_FETCH
        ) from error
    if len(found.data) != end - start:
        raise _too_short(target, start, end, found.size)
    return found


def _too_short(target: Target, start: int, end: int, size: int) -> StorageError:
    return StorageError(
        f"{target.url} has {size} bytes, and the reference is to bytes {start} to {end}: the file "
        "was cut or replaced, or the reference is wrong",
        ErrorKind.VIRTUAL_CHUNK_FETCH if start >= size else ErrorKind.INVALID_OBJECT_SIZE,
    )


def mismatch(stamp: Stamp, etag: str | None, modified: int | None) -> str | None:
    """How a file differs from what a reference to it says; None if it does not."""
    if etag is not None and stamp.etag != bare_etag(etag):
        now = "none" if stamp.etag is None else repr(stamp.etag)
        return f"its ETag is {now}, and the reference was made when it was {bare_etag(etag)!r}"
    if modified is not None and (stamp.modified is None or stamp.modified > modified):
        now = "unknown" if stamp.modified is None else _time(stamp.modified)
        then = _time(modified)
        return f"it was last modified at {now}, and the reference was made for that of {then}"
    return None


def _check(
    target: Target,
    stamp: Stamp,
    etag: str | None,
    modified: int | None,
    checksums: ChecksumPolicy,
    chunk: Chunk | None,
) -> None:
    if checksums == "off" or (etag is None and modified is None):
        return
    differs = mismatch(stamp, etag, modified)
    if differs is None:
        return
    text = f"{target.url} has changed: {differs}"
    if checksums == "warn":
        text = f"{chunk}: {text}" if chunk else text
        logger.warning(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return
    raise StorageError(
        f"{text}; set the references anew, or read all the same with "
        'session.virtual_checksums = "warn" or "off"',
        ErrorKind.VIRTUAL_CHUNK_MODIFIED,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _of_chunk(error: IcechunkError, chunk: Chunk | None) -> IcechunkError:
    if chunk is None:
        return error
    kinds: Any = type(error)
    made: IcechunkError = kinds(f"{chunk}: {error.message}", error.kind)
    return made
