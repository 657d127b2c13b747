"""The codec pipeline of arrays in Frazil stores.

The configuration of Zarr has its switch, as `frazil.pipeline`, looked at with every selection:

    zarr.config.set({"frazil.pipeline": False})      # also as a context manager
    ZARR_FRAZIL__PIPELINE=false                      # environment
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from math import prod
from typing import Any, Self

import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec, Codec, CodecPipeline
from zarr.abc.store import ByteGetter, ByteSetter
from zarr.codecs import BytesCodec
from zarr.core.array import create_codec_pipeline
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.core.metadata import ArrayMetadata
from zarr.registry import get_pipeline_class

from frazil.engine.bulk_reads import ReadPlan
from frazil.engine.reader import LATER, Later
from frazil.engine.workspace import Workspace
from frazil.errors import StorageError
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import Node
from frazil.store.access import DIRECT_BYTES, array_at, in_pool
from frazil.store.pipeline import reading, sharded, writing
from frazil.store.pipeline.batch import Batch, Item, batch_of, store_of
from frazil.store.pipeline.chain import Chain
from frazil.store.pipeline.held import HeldChunk
from frazil.store.store import IcechunkStore
from frazil.telemetry import span

_FEW = 64
"""Up to this many chunks are looked up where the caller stands, if that takes no request."""
_HELD_BYTES = 64 * 1024 * 1024
"""Chunks of together this size go through another pipeline at a time."""

_PRESENT, _MISSING = {"status": "present"}, {"status": "missing"}


class SelectionPipeline(CodecPipeline):
    """Takes selections as a whole where it can, and leaves the rest to another pipeline."""

    def __init__(self, make_inner: Callable[[], CodecPipeline]) -> None:
        """make_inner: makes the pipeline that Zarr would have used for the array."""
        self._make_inner = make_inner

    @classmethod
    def around(cls, inner: CodecPipeline) -> Self:
        """In front of this pipeline."""
        return cls(lambda: inner)

    @classmethod
    def of_array(cls, metadata: ArrayMetadata) -> Self:
        """In front of what Zarr would use for an array."""
        if _is_plain(metadata):
            # A third of what it takes to open the array, and many are opened only to be listed.
            return cls(partial(create_codec_pipeline, metadata))
        # It warns of, or refuses, some combinations of codecs: when the array is opened.
        return cls.around(create_codec_pipeline(metadata))

    @cached_property
    def inner(self) -> CodecPipeline:
        """What Zarr would have used for the array."""
        return self._make_inner()

    @cached_property
    def _chain(self) -> Chain | None:
        codecs = tuple(self.inner) if isinstance(self.inner, Iterable) else ()
        known = bool(codecs) and all(isinstance(codec, Codec) for codec in codecs)
        return Chain.of(codecs) if known else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SelectionPipeline) and self.inner == other.inner

    def __hash__(self) -> int:
        return hash((SelectionPipeline, self.inner))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SelectionPipeline.around, (self.inner,)

    # --- selections ---

    async def read(
        self,
        batch_info: Iterable[tuple[ByteGetter, ArraySpec, Any, Any, bool]],
        out: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> Any:
        """Read parts of chunks into `out`; one status for each chunk.

        Raises what the store raises.
        """
        items = list(batch_info)
        work = _work(items, out)
        if work is None:
            return await self.inner.read(items, out, drop_axes)
        with span("frazil.read", array=work[1].path, chunks=len(items)):
            return await self._read_batch(*work, out, drop_axes)

    async def _read_batch(
        self, store: IcechunkStore, batch: Batch, out: NDBuffer, drop_axes: tuple[int, ...]
    ) -> Any:
        workspace = store.session._workspace
        if self._chain is None:
            return await self._read_held(workspace, batch, out, drop_axes)
        node = array_at(workspace, batch.path)
        try:
            return await self._read(workspace, node, batch, self._chain, out, drop_axes)
        except StorageError as error:
            if node is None:
                raise
            node = await in_pool(workspace.followed, node, error)
        return await self._read(workspace, node, batch, self._chain, out, drop_axes)

    async def _read(
        self,
        workspace: Workspace,
        node: Node | None,
        batch: Batch,
        chain: Chain,
        out: NDBuffer,
        drop_axes: tuple[int, ...],
    ) -> Any:
        items = batch.items
        if chain.sharded:
            found = await self._read_shards(workspace, node, batch, chain, out)
            return await self.inner.read(items, out, drop_axes) if found is None else found
        if len(items) <= _FEW and node is not None:
            present = reading.read_now(workspace, node, batch, chain, out, drop_axes)
            if not isinstance(present, Later):
                return _statuses(present)

        def read() -> Any:
            plan = ReadPlan([], True) if node is None else workspace.plan_reads(node, batch.index)
            return reading.read(workspace, plan, batch, chain, out, drop_axes)

        return _statuses(await in_pool(read))

    async def write(
        self,
        batch_info: Iterable[tuple[ByteSetter, ArraySpec, Any, Any, bool]],
        value: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> None:
        """Write parts of chunks from `value`.

        Raises what the store raises; some of the chunks may have been written then.
        """
        items = list(batch_info)
        work = _work(items, value)
        if work is None or work[0].read_only:
            await self.inner.write(items, value, drop_axes)
            return
        with span("frazil.write", array=work[1].path, chunks=len(items)):
            await self._write(*work, value, drop_axes)

    async def _write(
        self, store: IcechunkStore, batch: Batch, value: NDBuffer, drop_axes: tuple[int, ...]
    ) -> None:
        items = batch.items
        workspace = store.session._workspace
        chain = self._chain
        if chain is None or chain.sharded:
            await self._write_held(workspace, batch, value, drop_axes)
        elif len(items) == 1 and items[0][4] and _nbytes(items[0]) < DIRECT_BYTES:
            writing.write(workspace, batch, chain, value, drop_axes)
        else:
            await in_pool(writing.write, workspace, batch, chain, value, drop_axes)

    async def _read_shards(
        self, workspace: Workspace, node: Node | None, batch: Batch, chain: Chain, out: NDBuffer
    ) -> Any:
        """Read parts of shards; None if that is for the other pipeline to do."""
        shards = sharded.shards_of(batch, chain, out) if sharded.can_read(chain) else None
        if shards is None:
            return None
        present: Sequence[bool] | Later | None = LATER
        if len(batch) <= _FEW and node is not None:
            present = sharded.read_now(workspace, node, batch, chain, shards)
        if isinstance(present, Later):
            present = await in_pool(sharded.read, workspace, node, batch, chain, shards)
        return None if present is None else _statuses(present)

    async def _read_held(
        self, workspace: Workspace, batch: Batch, out: NDBuffer, drop_axes: tuple[int, ...]
    ) -> Any:
        """Read the chunks at once, and have the other pipeline decode them."""
        statuses: list[Any] = []
        for part in _parts(batch):
            held = await in_pool(_held, workspace, part, [False] * len(part))
            moved = [(chunk, *item[1:]) for chunk, item in zip(held, part.items, strict=True)]
            read: Any = self.inner.read  # what it returns depends on the version of Zarr
            statuses += await read(moved, out, drop_axes) or ()
        return tuple(statuses)

    async def _write_held(
        self, workspace: Workspace, batch: Batch, value: NDBuffer, drop_axes: tuple[int, ...]
    ) -> None:
        """Have the other pipeline encode the chunks, and store them at once."""
        for part in _parts(batch):
            held = await in_pool(_held, workspace, part, [item[4] for item in part.items])
            moved = [(chunk, *item[1:]) for chunk, item in zip(held, part.items, strict=True)]
            await self.inner.write(moved, value, drop_axes)
            rows = np.array([i for i, chunk in enumerate(held) if chunk.changed], np.intp)
            data = ByteColumn.of([held[i].data for i in rows.tolist()])
            await in_pool(workspace.set_chunks, part.path, part.index[rows], data)

    # --- what it has in common with the other pipeline ---

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec]) -> Self:
        """In front of the pipeline that Zarr is configured to use."""
        return cls.around(get_pipeline_class().from_codecs(codecs))

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """As the other pipeline."""
        return self.around(self.inner.evolve_from_array_spec(array_spec))

    def __iter__(self) -> Iterator[Codec]:
        return iter(self.inner)  # type: ignore[call-overload, no-any-return]

    @property
    def supports_partial_decode(self) -> bool:
        """As the other pipeline."""
        return self.inner.supports_partial_decode

    @property
    def supports_partial_encode(self) -> bool:
        """As the other pipeline."""
        return self.inner.supports_partial_encode

    def validate(self, **kwargs: Any) -> None:
        """As the other pipeline."""
        self.inner.validate(**kwargs)

    def compute_encoded_size(self, byte_length: int, array_spec: ArraySpec) -> int:
        """As the other pipeline."""
        return self.inner.compute_encoded_size(byte_length, array_spec)

    async def decode(
        self, chunk_bytes_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]
    ) -> Iterable[NDBuffer | None]:
        """As the other pipeline."""
        return await self.inner.decode(chunk_bytes_and_specs)

    async def encode(
        self, chunk_arrays_and_specs: Iterable[tuple[NDBuffer | None, ArraySpec]]
    ) -> Iterable[Buffer | None]:
        """As the other pipeline."""
        return await self.inner.encode(chunk_arrays_and_specs)


def _work(items: Sequence[Item], memory: NDBuffer) -> tuple[IcechunkStore, Batch] | None:
    """What is to be done, if it is for this pipeline to do."""
    if not items or not zarr.config.get("frazil.pipeline", True):
        return None
    if not isinstance(memory.as_ndarray_like(), np.ndarray):
        return None
    store = store_of(items)
    if not isinstance(store, IcechunkStore):
        return None
    batch = batch_of(items)
    return None if batch is None else (store, batch)


def _is_plain(metadata: ArrayMetadata) -> bool:
    """Whether no pipeline has anything to say against the codecs."""
    first, *others = getattr(metadata, "codecs", ()) or (None,)
    return type(first) is BytesCodec and all(isinstance(c, BytesBytesCodec) for c in others)


def _statuses(present: Sequence[bool]) -> Any:
    if all(present):
        return (_PRESENT,) * len(present)
    return tuple([_PRESENT if there else _MISSING for there in present])


def _held(workspace: Workspace, batch: Batch, unread: Sequence[bool]) -> list[HeldChunk]:
    """The encoded chunks, in memory; those that are `unread` as if they were not initialised."""
    node = array_at(workspace, batch.path)
    held = [HeldChunk(None) for _ in unread]
    rows = [i for i, skip in enumerate(unread) if not skip]
    if node is not None and rows:
        coords = list(map(tuple, batch.index[rows].tolist()))
        for row, data in zip(rows, workspace.get_chunks(node, coords), strict=True):
            held[row].data = data
    return held


def _parts(batch: Batch) -> Iterator[Batch]:
    block = np.cumsum([_nbytes(item) for item in batch.items]) // _HELD_BYTES
    for rows in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(block)) + 1):
        yield batch.part(rows)


def _nbytes(item: Item) -> int:
    spec = item[1]
    return prod(spec.shape) * spec.dtype.to_native_dtype().itemsize
