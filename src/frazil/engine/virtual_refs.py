"""Setting virtual references: checked, and put into columns without a Python object for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs, VirtualRef
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node
from frazil.ids import ChunkId
from frazil.model.locations import Locations
from frazil.model.overlay import contains
from frazil.urls import canonical
from frazil.virtual import VirtualChunkSpec

Checksum: TypeAlias = str | datetime | None
"""An ETag, or the time after which the file must not have been modified."""
Coords: TypeAlias = tuple[int, ...]
ChunkBatch: TypeAlias = tuple[
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint8],
    list[str],
    npt.NDArray[np.uint64],
    npt.NDArray[np.uint64],
    dict[int, bytes],
]
"""Coordinates, kinds, locations, offsets and lengths of chunks, and the bytes of inline ones."""

_MAX_SECONDS = 2**32 - 1


def seconds_of(checksum: datetime) -> int:
    """A time in whole seconds since the epoch, rounded down, as references hold it.

    TypeError without a timezone; OverflowError before 1970 and after 2106.
    """
    if checksum.tzinfo is None:
        raise TypeError("a checksum takes a datetime with a timezone")
    seconds = math.floor(checksum.astimezone(UTC).timestamp())
    if not 0 < seconds <= _MAX_SECONDS:
        raise OverflowError(f"{checksum.isoformat()} is no time that a checksum can hold")
    return seconds


def split_checksum(checksum: Checksum) -> tuple[str | None, int | None]:
    """(etag, seconds since the epoch) of a checksum; TypeError for anything else."""
    if checksum is None or isinstance(checksum, str):
        return checksum, None
    if isinstance(checksum, datetime):
        return None, seconds_of(checksum)
    raise TypeError(f"a checksum takes a str or a datetime, not {type(checksum).__name__}")


def set_one(
    workspace: Workspace,
    path: str,
    coords: Coords,
    location: str,
    offset: int,
    length: int,
    checksum: Checksum,
    *,
    validate: bool,
) -> None:
    """Let one chunk be a range of a file."""
    url = canonical(location)
    if validate:
        url = workspace.virtual.table.containers.check(location)
    etag, modified = split_checksum(checksum)
    _check_length(path, coords, length)
    workspace.set_ref(path, coords, VirtualRef(url, offset, length, etag, modified))


def set_many(
    workspace: Workspace, path: str, chunks: Sequence[VirtualChunkSpec], *, validate: bool
) -> list[Coords] | None:
    """Let chunks be ranges of files, later ones winning; returns those that were left out.

    Left out are those whose location no container covers, if `validate`; None: there is none.
    """
    with workspace.lock:
        workspace.check_editable()
        node = workspace.array(path)
        ndim, n = len(node.shape), len(chunks)
        ranks = np.fromiter((len(spec.index) for spec in chunks), np.intp, n)
        if bool((ranks != ndim).any()):
            wrong = chunks[int((ranks != ndim).argmax())]
            raise _outside(node, tuple(wrong.index))
        flat = np.fromiter((i for spec in chunks for i in spec.index), np.uint32, n * ndim)
        index = flat.reshape(n, ndim)
        texts = [spec.location for spec in chunks]
        locations = Locations.of(texts, workspace.virtual.table.containers, validate=validate)
        etags = [spec.etag_checksum for spec in chunks]
        times = [spec.last_updated_at_checksum for spec in chunks]
        etag = modified = None
        if any(e is not None for e in etags):
            etag = ByteColumn.of(None if e is None else e.encode() for e in etags)
        if any(t is not None for t in times):
            seconds = (0 if t is None else seconds_of(t) for t in times)
            modified = np.fromiter(seconds, np.uint32, n)
        refs = _refs(
            index,
            np.fromiter((spec.offset for spec in chunks), np.uint64, n),
            np.fromiter((spec.length for spec in chunks), np.uint64, n),
            locations.column,
            etag,
            modified,
        )
        return _apply(workspace, node, refs, locations)


def set_arrays(
    workspace: Workspace,
    path: str,
    grid: Sequence[int],
    locations: Sequence[str],
    offsets: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.uint64],
    *,
    validate: bool,
    origin: Sequence[int] | None,
    checksum: Checksum,
) -> list[Coords] | None:
    """As `set_many`, for a box of chunks from columns in C order.

    grid: the shape of the box, which begins at chunk `origin`; an empty location is no change.
    The one chunk of a scalar may be told as a box of shape (1,), as VirtualiZarr does.
    """
    n = math.prod(grid)
    for name, column in (("offsets", offsets), ("lengths", lengths)):
        if not isinstance(column, np.ndarray) or column.dtype != np.uint64 or column.ndim != 1:
            raise TypeError(f"{name} takes a one-dimensional array of uint64")
    if not len(locations) == len(offsets) == len(lengths):
        raise ValueError("locations, offsets, and lengths must have the same length")
    if len(locations) != n:
        raise ValueError(f"a grid of {tuple(grid)} has {n} chunks, not {len(locations)}")
    if origin is not None and len(origin) != len(grid):
        raise ValueError(
            f"arr_offset length ({len(origin)}) != chunk_grid_shape length ({len(grid)})"
        )
    first = [0] * len(grid) if origin is None else [int(i) for i in origin]
    if min(first, default=0) < 0:
        raise OverflowError(f"arr_offset {tuple(first)} is negative")
    etag, modified = split_checksum(checksum)
    with workspace.lock:
        workspace.check_editable()
        node = workspace.array(path)
        counts = [count for _, count in node.shape]
        if not counts and tuple(grid) == (1,) and first == [0]:
            grid, first = (), []
        last = tuple(start + size - 1 for start, size in zip(first, grid, strict=True))
        if n and (len(grid) != len(counts) or not contains(tuple((0, c) for c in counts), last)):
            raise _outside(node, last)
        containers = workspace.virtual.table.containers
        found = Locations.of(locations, containers, validate=validate, gaps=True)
        refs = _refs(
            _box(grid, first),
            offsets.copy(),
            lengths.copy(),
            found.column,
            None if etag is None else _repeated(etag.encode(), n),
            None if modified is None else np.full(n, modified, np.uint32),
        )
        some = found.column.size > 0
        if not some.all():
            refs, found = refs.take(some), found.take(some)
        return _apply(workspace, node, refs, found)


def _box(grid: Sequence[int], first: Sequence[int]) -> npt.NDArray[np.uint32]:
    """The coordinates of all chunks of a box in C order: uint32[n, ndim]."""
    n, inner = math.prod(grid), math.prod(grid)
    index = np.empty((n, len(grid)), np.uint32)
    for axis, (size, start) in enumerate(zip(grid, first, strict=True)):
        if n:
            inner //= size
            view = index[:, axis].reshape(-1, size, inner)
            view[...] = np.arange(start, start + size, dtype=np.uint32)[:, None]
    return index


def _repeated(value: bytes, n: int) -> ByteColumn:
    return ByteColumn(
        np.frombuffer(value, np.uint8), np.zeros(n, np.int64), np.full(n, len(value), np.int64)
    )


def _refs(
    index: npt.NDArray[np.uint32],
    offset: npt.NDArray[np.uint64],
    length: npt.NDArray[np.uint64],
    locations: ByteColumn,
    etag: ByteColumn | None,
    modified: npt.NDArray[np.uint32] | None,
) -> ChunkRefs:
    n = len(index)
    objects = np.zeros((n, ChunkId.SIZE), np.uint8)
    kind = np.full(n, VIRTUAL, np.uint8)
    return ChunkRefs(index, kind, objects, offset, length, locations, etag, modified)


def _apply(
    workspace: Workspace, node: Node, refs: ChunkRefs, locations: Locations
) -> list[Coords] | None:
    """Make references, in any order, edits of the array; those not covered are left out."""
    counts = [count for _, count in node.shape]
    outside = (refs.index >= np.array(counts, np.uint64)).any(axis=1)
    if outside.any():
        raise _outside(node, tuple(refs.index[int(outside.argmax())].tolist()))
    left_out = None
    if locations.uncovered.any():
        left_out = [tuple(row) for row in refs.index[locations.uncovered].tolist()]
        refs = refs.take(~locations.uncovered)
    if bool((refs.length == 0).any()):
        row = int((refs.length == 0).argmax())
        _check_length(node.path, tuple(refs.index[row].tolist()), 0)
    if len(refs):
        workspace.edit_chunks(node, refs.last_of_each())
    return left_out


def _check_length(path: str, coords: Coords, length: int) -> None:
    if length == 0:
        raise InvalidInputError(
            f"chunk {coords} of {path} has no bytes: leave the reference out instead",
            ErrorKind.ZERO_LENGTH_CHUNK,
        )


def _outside(node: Node, coords: Coords) -> InvalidInputError:
    counts = tuple(count for _, count in node.shape)
    return InvalidInputError(
        f"chunk {coords} is outside of {node.path}, whose grid has {counts} chunks",
        ErrorKind.INVALID_CHUNK_INDEX,
    )


def chunk_batches(workspace: Workspace, path: str, size: int) -> Iterator[ChunkBatch]:
    """All initialised chunks of an array, at most `size` at a time, by their index."""
    node = workspace.array(path)
    for refs in workspace.ref_batches(node):
        for start in range(0, len(refs), size):
            yield _batch(refs.take(slice(start, start + size)), workspace)


def _batch(refs: ChunkRefs, workspace: Workspace) -> ChunkBatch:
    containers = workspace.virtual.table.containers
    locations = [""] * len(refs)
    inline: dict[int, bytes] = {}
    for i, kind in enumerate(refs.kind.tolist()):
        if kind == NATIVE:
            locations[i] = str(ChunkId(refs.object[i].tobytes()))
        else:
            assert refs.payload is not None
            payload = refs.payload[i] or b""
            if kind == INLINE:
                inline[i] = payload
            else:
                locations[i] = containers.absolute(payload.decode())
    return refs.index, refs.kind, locations, refs.offset, refs.length, inline
