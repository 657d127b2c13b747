"""Chunks that are not what was written: noticed where a checksum is at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from frazil.engine.sources.reading import Chunk
from frazil.errors import ErrorKind, FormatError
from frazil.format.chunk_refs import NativeRef
from frazil.format.columns import ByteColumn
from frazil.format.pack import checksum, checksums


def check(data: bytes, ref: NativeRef, chunk: Chunk | None) -> None:
    """Raise `FormatError` (`chunk-corrupted`) unless these are the bytes of the chunk.

    chunk: what the error names.
    """
    if ref.checksum:
        found = checksum(data)
        if found != ref.checksum:
            raise corrupted(chunk, ref, found)


def check_many(
    data: ByteColumn,
    expected: npt.NDArray[np.uint64],
    what: Callable[[int], tuple[Chunk | None, NativeRef]],
) -> None:
    """As `check`, for chunks with the checksums `expected[n]`; `what` names the one in a row."""
    known = np.flatnonzero(expected)
    if not len(known):
        return
    found = checksums(data if len(known) == len(data) else data.take(known))
    wrong = np.flatnonzero(found != expected[known])
    if len(wrong):
        chunk, ref = what(int(known[wrong[0]]))
        raise corrupted(chunk, ref, int(found[wrong[0]]))


def corrupted(chunk: Chunk | None, ref: NativeRef, found: int) -> FormatError:
    """The error about a chunk whose bytes have another checksum than those that were written."""
    return FormatError(
        f"{chunk or 'a chunk'} is damaged: bytes {ref.offset} to {ref.offset + ref.length} of "
        f"chunks/{ref.object} have the checksum {found:016x}, {ref.checksum:016x} was written; "
        "restore the object from a copy, or write the chunk again",
        ErrorKind.CHUNK_CORRUPTED,
    )
