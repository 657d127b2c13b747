"""What a Zarr store needs of a session: its nodes, and their chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from frazil.engine.bulk_reads import Found, ReadPlan, read_all
from frazil.engine.packs import ChunkWriter
from frazil.engine.reader import LATER, Later, ref_length, resolve_range
from frazil.engine.sources.reading import Chunk
from frazil.engine.tree import Tree
from frazil.errors import ErrorKind, InvalidInputError, NodeNotFoundError, StorageError
from frazil.format.chunk_refs import ABSENT, INLINE, NATIVE, ChunkRefs, InlineRef, Ref
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import ChunkId, NodeId
from frazil.model.changes import UNEDITED, Unedited
from frazil.model.overlay import clip, inside
from frazil.storage.pool import WORKERS


class Workspace(Tree):
    """Everything that a Zarr store needs, in terms of node paths and chunk coordinates.

    Blocking, and safe for any number of threads. Without a writer it is read-only.
    """

    def locate(self, node: Node, coords: tuple[int, ...]) -> Ref | None:
        """Where a chunk is; None if it is not initialised or outside the grid."""
        edit = self._edit(node, coords)
        if edit is not UNEDITED:
            return edit
        try:
            return self._reader.locate(node, coords)
        except StorageError as error:
            return self._reader.locate(self.followed(node, error), coords)

    def _edit(self, node: Node, coords: tuple[int, ...]) -> Ref | Unedited | None:
        edits = self.changes.chunks.get(node.id)
        if edits is not None and len(coords) == edits.ndim:
            with self.lock:
                edit = edits.get(coords)
            if edit is not UNEDITED:
                return edit
        return UNEDITED if _in_grid(node, coords) else None

    def get_chunk_now(
        self,
        node: Node,
        coords: tuple[int, ...],
        start: int | None = None,
        end: int | None = None,
        suffix: int | None = None,
    ) -> bytes | Later | None:
        """As `get_chunk`, or LATER if that is worth another thread: a request, or many bytes."""
        ref = self.locate_now(node, coords)
        if ref is None or isinstance(ref, Later):
            return ref
        first, last = resolve_range(ref_length(ref), start, end, suffix)
        try:
            return self.read_now(ref, first, last, Chunk(node.path, coords))
        except StorageError as error:
            return self.get_chunk(self.followed(node, error), coords, start, end, suffix)

    def locate_now(self, node: Node, coords: tuple[int, ...]) -> Ref | Later | None:
        """As `locate`, or LATER if that needs a request."""
        edit = self._edit(node, coords)
        return self._reader.locate_now(node, coords) if edit is UNEDITED else edit

    def read_now(self, ref: Ref, start: int, end: int, chunk: Chunk | None = None) -> bytes | Later:
        """Bytes `start` to `end` of a chunk, or LATER if that is worth another thread."""
        if not self._reader.is_quick(ref, end - start):
            return LATER
        return self._reader.read(ref, start, end, chunk)

    def get_chunk(
        self,
        node: Node,
        coords: tuple[int, ...],
        start: int | None = None,
        end: int | None = None,
        suffix: int | None = None,
    ) -> bytes | None:
        """A chunk's encoded bytes, or a range of them; None if it is not initialised.

        Raises `InvalidInputError` (`invalid-byte-range`) unless the range lies within it.
        """
        ref = self.locate(node, coords)
        if ref is None:
            return None
        first, last = resolve_range(ref_length(ref), start, end, suffix)
        try:
            return self._reader.read(ref, first, last, Chunk(node.path, coords))
        except StorageError as error:
            ref = self.locate(self.followed(node, error), coords)
            assert ref is not None
            return self._reader.read(ref, first, last, Chunk(node.path, coords))

    def plan_reads(self, node: Node, index: npt.NDArray[np.uint32]) -> ReadPlan:
        """How to read the chunks `index[n, ndim]` of one array; none that is not initialised."""
        return self._reader.plan(node, self.locate_many(node, index))

    def plan_reads_now(self, node: Node, index: npt.NDArray[np.uint32]) -> ReadPlan | Later:
        """As `plan_reads`, or LATER if that needs a request."""
        edited, rows = self._edits(node, index)
        if not self._reader.knows(node, index, rows):
            return LATER
        found = [*edited, *self._reader.locate_many(node, index, rows)]
        return self._reader.plan(node, found)

    def locate_many(self, node: Node, index: npt.NDArray[np.uint32]) -> list[Found]:
        """Where the chunks `index[n, ndim]` are, as far as they are initialised."""
        edited, rows = self._edits(node, index)
        return [*edited, *self._reader.locate_many(node, index, rows)]

    def plan_found(self, node: Node, found: Sequence[Found]) -> ReadPlan:
        """How to read chunks, or parts of chunks, that have been located."""
        return self._reader.plan(node, found)

    def _edits(
        self, node: Node, index: npt.NDArray[np.uint32]
    ) -> tuple[list[Found], npt.NDArray[np.intp]]:
        """Own references of chunks, and the positions of those that the base has to say."""
        rows = np.flatnonzero(_all_in_grid(node, index))
        edits = self.changes.chunks.get(node.id)
        if edits is None or index.shape[1] != edits.ndim:
            return [], rows
        with self.lock:
            found, unedited = edits.find_many(index[rows])
        return [Found(rows[at], refs) for at, refs in found], rows[unedited]

    @property
    def reads_at_once(self) -> int:
        """How many reads that are not planned as a whole may go on at the same time."""
        bound = self.library.reads_at_once
        return WORKERS + 1 if bound is None else max(1, bound)

    def get_chunks(self, node: Node, coords: Sequence[tuple[int, ...]]) -> list[bytes | None]:
        """Several whole chunks of one array, near ones read together, far ones in parallel."""
        try:
            return self._get_chunks(node, coords)
        except StorageError as error:
            return self._get_chunks(self.followed(node, error), coords)

    def _get_chunks(self, node: Node, coords: Sequence[tuple[int, ...]]) -> list[bytes | None]:
        chunks: list[bytes | None] = [None] * len(coords)
        rank = len(node.shape)
        fitting = [i for i, chunk in enumerate(coords) if len(chunk) == rank]
        index = np.array([coords[i] for i in fitting], np.uint32).reshape(len(fitting), rank)
        for rows, data in read_all(self.plan_reads(node, index), self.reads_at_once):
            for i, row in enumerate(rows.tolist()):
                chunks[fitting[row]] = data[i]
        return chunks

    def chunk_size(self, node: Node, coords: tuple[int, ...]) -> int | None:
        """The encoded size of a chunk in bytes; None if it is not initialised."""
        ref = self.locate(node, coords)
        return None if ref is None else ref_length(ref)

    def set_chunk(self, path: str, coords: tuple[int, ...], data: bytes | memoryview) -> None:
        """Write the encoded bytes of one chunk of the array at `path`."""
        while True:
            self._check_writable(ErrorKind.READ_ONLY_STORE)
            node = self._array_with(path, coords)
            if not len(data):
                raise _no_bytes(coords, path)
            writer = self.writer
            if writer is None:
                continue
            # Large chunks are stored here, outside of the lock.
            ref = self._stored(writer, node.id, coords, data)
            with self.lock:
                # Meanwhile another thread may have committed, and this write missed that, or
                # discarded all changes, or deleted or cut the array.
                if self.writer is writer:
                    self.changes.edits(self._array_with(path, coords)).set(coords, ref)
                    return

    def set_chunks(self, path: str, index: npt.NDArray[np.uint32], data: ByteColumn) -> None:
        """Write the encoded bytes of many chunks, `index[n, ndim]`, of the array at `path`.

        An absent row erases its chunk. The bytes are copied. Where a chunk comes twice, the
        later row counts.
        """
        if len(index) == 1:
            # Singly they are kept in another way.
            coords, start, size = tuple(index[0].tolist()), int(data.start[0]), int(data.size[0])
            if size < 0:
                self.delete_chunk(path, coords)
            else:
                self.set_chunk(path, coords, data.heap[start : start + size].data)
            return
        while True:
            self._check_writable(ErrorKind.READ_ONLY_STORE)
            node = self._array_with_all(path, index)
            if not data.size.all():
                coords = tuple(index[int(np.argmin(data.size != 0))].tolist())
                raise _no_bytes(coords, path)
            writer = self.writer
            if writer is None:
                continue
            refs = self._stored_many(writer, node.id, index, data)
            with self.lock:
                if self.writer is writer:  # as in `set_chunk`
                    self.changes.edits(self._array_with_all(path, index)).add(refs)
                    return

    def _stored_many(
        self,
        writer: ChunkWriter,
        node: NodeId,
        index: npt.NDArray[np.uint32],
        data: ByteColumn,
    ) -> ChunkRefs:
        inline = (data.size > 0) & (data.size <= (self._inline_bytes or 0))
        native = np.flatnonzero((data.size > 0) & ~inline)
        n = len(data)
        kind = np.full(n, ABSENT, np.uint8)
        kind[native] = NATIVE
        kind[inline] = INLINE
        refs = ChunkRefs(
            index,
            kind,
            np.zeros((n, ChunkId.SIZE), np.uint8),
            np.zeros(n, np.uint64),
            np.maximum(data.size, 0).astype(np.uint64),
            payload=None
            if not inline.any()
            else ByteColumn(data.heap, data.start, np.where(inline, data.size, -1)).compact(),
            checksum=np.zeros(n, np.uint64) if len(native) else None,
        )
        places = writer.write_many(node, index[native], data.take(native))
        refs.object[native], refs.offset[native] = places.object, places.offset
        if refs.checksum is not None:
            refs.checksum[native] = places.checksum
        return refs.last_of_each()

    def store_chunk(self, node: NodeId, coords: tuple[int, ...], data: bytes) -> Ref:
        """Store the encoded bytes of a chunk that somebody else makes an edit of."""
        self._check_writable(ErrorKind.READ_ONLY_SESSION)
        assert self.writer is not None
        return self._stored(self.writer, node, coords, data)

    def store_chunks(
        self, node: Node, index: npt.NDArray[np.uint32], data: ByteColumn
    ) -> ChunkRefs:
        """As `store_chunk`, for many chunks: the references of `index[n, ndim]`, sorted."""
        self._check_writable(ErrorKind.READ_ONLY_SESSION)
        assert self.writer is not None
        return self._stored_many(self.writer, node.id, index, data)

    def _stored(
        self,
        writer: ChunkWriter,
        node: NodeId,
        coords: tuple[int, ...],
        data: bytes | memoryview,
    ) -> Ref:
        if len(data) <= (self._inline_bytes or 0):
            return InlineRef(bytes(data))
        return writer.write(node, coords, data)

    def set_chunk_if_absent(
        self, path: str, coords: tuple[int, ...], data: bytes | memoryview
    ) -> None:
        """Write a chunk unless it is initialised."""
        with self.lock:
            if self.locate(self.array(path), coords) is None:
                self.set_chunk(path, coords, data)

    def delete_chunk(self, path: str, coords: tuple[int, ...]) -> None:
        """Erase a chunk; of a missing node or outside of the grid this does nothing."""
        with self.lock:
            node = self.node(path)
            if node is None or node.kind is not NodeKind.ARRAY or not _in_grid(node, coords):
                return
            self._check_writable(ErrorKind.READ_ONLY_SESSION)
            self.changes.edits(node).set(coords, None)

    def edit_chunks(self, node: Node, *runs: ChunkRefs) -> None:
        """Write and erase many chunks of an array at once, later runs winning.

        Each run is sorted and inside the grid; an ABSENT row erases.
        """
        with self.lock:
            self.check_editable()
            self.changes.edits(node).add(*runs)

    def stored_refs(self, node: Node) -> tuple[list[ChunkRefs], ChunkRefs | None]:
        """What the base has of an array, as far as it is still there, and the edits of it."""
        with self.lock:
            edits = self.changes.chunks.get(node.id)
            edited = None if edits is None else edits.columns()
            visible = [count for _, count in node.shape] if edits is None else edits.visible
        try:
            stored = self._reader.all_refs(node)
        except StorageError as error:
            stored = self._reader.all_refs(self.followed(node, error))
        return [clip(refs, visible) for refs in stored], edited

    def set_ref(self, path: str, coords: tuple[int, ...], ref: Ref) -> None:
        """Let a chunk of the array at `path` be what the reference says."""
        with self.lock:
            self.check_editable()
            self.changes.edits(self._array_with(path, coords)).set(coords, ref)

    def replace_refs(self, node: Node, old: ChunkRefs, new: ChunkRefs) -> None:
        """Put references in the place of others of the same chunks, in the same order.

        Chunks that have been written, erased or cut off since `old` was read stay as they are.
        """
        with self.lock:
            self.check_editable()
            now = self.node(node.path)
            if now is None or now.id != node.id:
                return
            edits = self.changes.edits(now)
            found, unedited = edits.find_many(new.index)
            same = np.zeros(len(new), np.bool_)
            same[unedited] = True
            for rows, refs in found:
                for i, row in enumerate(rows.tolist()):
                    same[row] = refs.row(i) == old.row(row)
            edits.add(new.take(same & _all_in_grid(now, new.index)))

    def ref_batches(self, node: Node) -> Iterator[ChunkRefs]:
        """The references of all initialised chunks, a manifest at a time, none twice.

        A few manifests are fetched at a time, so that those of any array fit into memory.
        """
        with self.lock:
            edits = self.changes.chunks.get(node.id)
            edited = None if edits is None else edits.columns()
            visible = [count for _, count in node.shape] if edits is None else edits.visible
        for refs in self._ref_batches(node):
            refs = clip(refs, visible)
            if edited is not None and len(edited):
                refs = refs.take(edited.find_many(refs.index) < 0)
            yield refs
        if edited is not None:
            yield edited.take(edited.kind != ABSENT)

    def _ref_batches(self, node: Node) -> Iterator[ChunkRefs]:
        done = 0
        try:
            for refs in self._reader.ref_batches(node):
                yield refs
                done += 1
        except StorageError as error:
            # A base that refers to other manifests has as many of them.
            node = self.followed(node, error)
            yield from islice(self._reader.ref_batches(node), done, None)

    def chunk_batches(self, node: Node) -> Iterator[npt.NDArray[np.uint32]]:
        """The coordinates of all initialised chunks, uint32[n, ndim] at a time, none twice."""
        return (refs.index for refs in self.ref_batches(node) if len(refs))

    def array(self, path: str) -> Node:
        """The array at a path; `NodeNotFoundError`, or `InvalidInputError` for a group."""
        node = self.node(path)
        if node is None:
            raise NodeNotFoundError(
                f"there is no array at {path}: create it before its chunks",
                ErrorKind.NODE_NOT_FOUND,
            )
        if node.kind is not NodeKind.ARRAY:
            raise InvalidInputError(
                f"{path} is a group, which has no chunks", ErrorKind.NOT_AN_ARRAY
            )
        return node

    def _array_with(self, path: str, coords: tuple[int, ...]) -> Node:
        node = self.array(path)
        if not _in_grid(node, coords):
            raise _outside(node, coords)
        return node

    def _array_with_all(self, path: str, index: npt.NDArray[np.uint32]) -> Node:
        node = self.array(path)
        fitting = _all_in_grid(node, index)
        if not fitting.all():
            raise _outside(node, tuple(index[int(np.argmin(fitting))].tolist()))
        return node


def _in_grid(node: Node, coords: tuple[int, ...]) -> bool:
    return len(coords) == len(node.shape) and all(
        c < count for c, (_, count) in zip(coords, node.shape, strict=True)
    )


def _all_in_grid(node: Node, index: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    if index.shape[1] != len(node.shape):
        return np.zeros(len(index), np.bool_)
    return inside(index, tuple((0, count) for _, count in node.shape))


def _outside(node: Node, coords: tuple[int, ...]) -> InvalidInputError:
    return InvalidInputError(
        f"chunk {coords} is outside of {node.path}, whose grid has "
        f"{tuple(count for _, count in node.shape)} chunks",
        ErrorKind.INVALID_CHUNK_INDEX,
    )


def _no_bytes(coords: tuple[int, ...], path: str) -> InvalidInputError:
    return InvalidInputError(
        f"chunk {coords} of {path} has no bytes: delete the chunk instead",
        ErrorKind.ZERO_LENGTH_CHUNK,
    )
