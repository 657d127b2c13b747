"""The Zarr store of a session."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

from typing_extensions import ParamSpec
from zarr.abc.store import Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import SyncMixin

from frazil.display import Displayed, Shown
from frazil.engine.reader import Later, resolve_range
from frazil.errors import (
    ErrorKind,
    NodeNotFoundError,
    SessionStateError,
)
from frazil.storage.pool import map_parallel
from frazil.store import listing
from frazil.store.access import DIRECT_BYTES, SessionLike, array_at, in_pool
from frazil.store.errors import KeyNotFoundError, ReadOnlyStoreError
from frazil.store.iterators import AsyncCloseableIterator
from frazil.store.keys import ChunkKey, LegacyKey, MetadataKey, StoreKey, parse_key
from frazil.store.ranges import EVERYTHING, Bounds, ByteRequest, Read, bounds_of, plan_reads
from frazil.store.virtual import VirtualReferences

if TYPE_CHECKING:
    from zarr.core.common import BytesLike

P = ParamSpec("P")
R = TypeVar("R")

Data = bytes | memoryview
_Buffers = list[Buffer | None]


class IcechunkStore(VirtualReferences, Displayed, Store, SyncMixin):
    """The groups and arrays of a session, as Zarr reads and writes them.

    Holds Zarr v3 documents and chunks only; which keys there are is told in
    `frazil.store.keys`. Reads see the session's own uncommitted changes.

    `read_only` True refuses writes that the session would take. Nothing makes a read-only session
    writable.
    """

    _public_name = "frazil.IcechunkStore"

    def __init__(
        self, store: SessionLike, read_only: bool | None = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(read_only=bool(read_only))
        self._session = store
        self._named: tuple[object, str] = None, ""

    # --- what this store is ---

    @property
    def session(self) -> Any:
        """The session (`Session` or `ForkSession`) whose data this is."""
        return self._session

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._read_only or self._session.read_only

    def with_read_only(self, read_only: bool = False) -> IcechunkStore:
        """Another store on the same session."""
        return type(self)(self._session, read_only)

    @property
    def supports_writes(self) -> bool:
        """True."""
        return True

    @property
    def supports_deletes(self) -> bool:
        """True."""
        return True

    @property
    def supports_listing(self) -> bool:
        """True."""
        return True

    @property
    def supports_partial_writes(self) -> Literal[False]:
        """False."""
        return False

    @property
    def supports_consolidated_metadata(self) -> bool:
        """False: all metadata of a snapshot is in one file anyway."""
        return False

    def __str__(self) -> str:
        """On one line, for Zarr, which asks for each node and has it in its messages."""
        shown = self._session._workspace.snapshot_id
        snapshot, name = self._named
        if snapshot is not shown:
            name = f"<{self._public_name} of snapshot {shown}>"
            self._named = shown, name
        return name

    def __eq__(self, value: object) -> bool:
        return isinstance(value, IcechunkStore) and self._session == value._session

    def __getstate__(self) -> dict[str, Any]:
        return {"session": self._session, "read_only": self._read_only}

    def __setstate__(self, state: Any) -> None:
        IcechunkStore.__init__(self, state["session"], state["read_only"])

    def __dask_tokenize__(self) -> object:
        """What Dask names computations on this store by: what it shows, if that can't change."""
        if self._session.read_only:
            return "frazil.IcechunkStore", self._session.snapshot_id
        return uuid4().hex

    def _shown(self) -> tuple[Shown, ...]:
        return (
            Shown("read_only", self.read_only),
            Shown("snapshot_id", self._session.snapshot_id),
            Shown("branch", self._session.branch),
        )

    # --- reading ---

    async def get(
        self,
        key: str,
        prototype: BufferPrototype,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The value of a key, or a part of it; None if there is none.

        Raises `InvalidInputError`: `invalid-key`, `not-an-array`, or `invalid-byte-range` for
        a range that does not lie within the value.
        """
        target = parse_key(key)
        bounds = EVERYTHING if byte_range is None else bounds_of(byte_range)
        data: Data | Later | None
        if type(target) is ChunkKey:
            workspace = self._session._workspace
            node = array_at(workspace, target.path)
            if node is None:
                return None
            data = workspace.get_chunk_now(node, target.coords, *bounds)
            if isinstance(data, Later):
                data = await in_pool(workspace.get_chunk, node, target.coords, *bounds)
        else:
            data = self._read(target, bounds)
        return None if data is None else prototype.buffer.from_bytes(data)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """`get` for callers without an event loop."""
        data = self._read(parse_key(key), bounds_of(byte_range))
        if data is None:
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> _Buffers:
        """Many values or parts of them, in order, as one planned read; None where none is."""
        found = await in_pool(self._read_many, list(key_ranges))
        from_bytes = prototype.buffer.from_bytes
        return [None if data is None else from_bytes(data) for data in found]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        wanted = list(requests)
        found = await in_pool(self._read_many, [(key, part) for key, _, part in wanted])
        for (key, prototype, _), data in zip(wanted, found, strict=True):
            yield key, None if data is None else prototype.buffer.from_bytes(data)

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_concurrency: int = 10,
        max_gap_bytes: int = 1 << 20,
        max_coalesced_bytes: int = 16 << 20,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Many byte ranges of one value, near ones read together; one batch with all of them.

        See `get_ranges_sync`. `max_concurrency` has no effect: the I/O pool has its own bound.
        """
        if byte_ranges:
            yield await in_pool(
                self.get_ranges_sync,
                key,
                byte_ranges,
                prototype=prototype,
                max_gap_bytes=max_gap_bytes,
                max_coalesced_bytes=max_coalesced_bytes,
            )

    def get_ranges_sync(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_gap_bytes: int = 1 << 20,
        max_coalesced_bytes: int = 16 << 20,
    ) -> Sequence[tuple[int, Buffer | None]]:
        """(index, part of the value) for each range.

        Any error comes in an `ExceptionGroup`, as Zarr expects of this method; a missing
        value is a `FileNotFoundError` in it.
        """

        def read(plan: Read) -> list[tuple[int, Buffer | None]]:
            data = self._read(target, plan.bounds)
            if data is None:
                raise FileNotFoundError(key)
            whole = prototype.buffer.from_bytes(data)
            return [(i, whole if part is None else whole[part]) for i, part in plan.answers]

        try:
            target = parse_key(key)
            plans = plan_reads(byte_ranges, max_gap=max_gap_bytes, max_size=max_coalesced_bytes)
            return [answer for answers in map_parallel(read, plans) for answer in answers]
        except Exception as error:
            raise ExceptionGroup(f"cannot read all ranges of {key!r}", [error]) from None

    async def exists(self, key: str) -> bool:
        """Whether a key has a value; `NodeNotFoundError` (`key-not-found`) for Zarr v2 keys."""
        target = parse_key(key)
        if isinstance(target, ChunkKey):
            return await self._chunk_size(target) is not None
        if isinstance(target, LegacyKey):
            raise _no_legacy_key(target)
        return self._session._workspace.node(target.path) is not None

    async def getsize(self, key: str) -> int:
        """Bytes of a value; 0 for a chunk that is not initialised.

        Raises `NodeNotFoundError` (`node-not-found`; for Zarr v2 keys `key-not-found`), which
        is a `FileNotFoundError` as well.
        """
        target = parse_key(key)
        if isinstance(target, LegacyKey):
            raise _no_legacy_key(target)
        node = self._session._workspace.node(target.path)
        if node is None:
            raise KeyNotFoundError(
                f"no group or array at {target.path!r}, looked up for key {key!r}",
                ErrorKind.NODE_NOT_FOUND,
            )
        if isinstance(target, MetadataKey):
            return len(node.user_data)
        return await self._chunk_size(target) or 0

    # --- writing ---

    async def set(self, key: str, value: Buffer) -> None:
        """Write a document or a chunk.

        Raises `ReadOnlyError`, `InvalidInputError` (`invalid-key`, `bad-metadata`,
        `not-an-array`, `invalid-chunk-index`, `zero-length-chunk`), `NodeNotFoundError` for a
        chunk of a missing array, `AlreadyExistsError` where an array would replace a group or
        the reverse, `SessionStateError` (`unimplemented`) for Zarr v2 keys.
        """
        if len(_checked(value)) < DIRECT_BYTES:
            self.set_sync(key, value)
        else:
            await in_pool(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """`set` for callers without an event loop."""
        _checked(value)
        self._check_writable()
        target = parse_key(key)
        workspace = self._session._workspace
        if isinstance(target, ChunkKey):
            workspace.set_chunk(target.path, target.coords, _bytes_of(value))
        elif isinstance(target, MetadataKey):
            workspace.set_metadata(target.path, value.to_bytes())
        else:
            raise SessionStateError(
                f"cannot set {key!r}: Zarr v2 metadata is not supported; use zarr_format=3",
                ErrorKind.UNIMPLEMENTED,
            )

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """`set`, unless the key has a value."""
        _checked(value)
        target = parse_key(key)
        if isinstance(target, LegacyKey):
            raise _no_legacy_key(target)
        if self.read_only:
            if not await self.exists(key):
                self._check_writable()
            return
        workspace = self._session._workspace
        if isinstance(target, MetadataKey):
            workspace.set_metadata_if_absent(target.path, value.to_bytes())
        else:
            # The look-up may have to fetch a manifest.
            await in_pool(
                workspace.set_chunk_if_absent, target.path, target.coords, _bytes_of(value)
            )

    async def set_partial_values(
        self, key_start_values: Iterable[tuple[str, int, BytesLike]]
    ) -> None:
        """Not possible: `SessionStateError` (`unimplemented`)."""
        raise SessionStateError(
            "cannot set parts of values: chunks are written as a whole", ErrorKind.UNIMPLEMENTED
        )

    async def delete(self, key: str) -> None:
        """Delete a node with all that is under it, or a chunk; nothing if there is none."""
        self.delete_sync(key)

    def delete_sync(self, key: str) -> None:
        """`delete` for callers without an event loop."""
        self._check_own_flag()
        target = parse_key(key)
        workspace = self._session._workspace
        if isinstance(target, MetadataKey):
            workspace.delete_node(target.path)
        elif isinstance(target, ChunkKey):
            workspace.delete_chunk(target.path, target.coords)

    async def delete_dir(self, prefix: str) -> None:
        """Delete the nodes at and under a path, or the chunks in a folder such as `a/c/0`."""
        self._check_writable()
        await in_pool(listing.delete_prefix, self._session._workspace, prefix)

    async def clear(self) -> None:
        """Delete all nodes, the root too."""
        self.sync_clear()

    def sync_clear(self) -> None:
        """`clear` for callers without an event loop."""
        self._check_own_flag()
        self._session._workspace.clear()

    # --- listing ---

    def list(self) -> AsyncCloseableIterator[str]:
        """All keys: documents and initialised chunks, in no order."""
        return self.list_prefix("")

    def list_prefix(self, prefix: str) -> AsyncCloseableIterator[str]:
        """The keys of the node at a path and of all nodes under it.

        Raises `InvalidInputError` (`bad-key-prefix`) if there is no such node.
        """
        workspace = self._session._workspace
        path = listing.subtree(workspace, prefix)
        return AsyncCloseableIterator(listing.key_batches(workspace, path))

    def list_dir(self, prefix: str) -> AsyncCloseableIterator[str]:
        """The names directly under a path.

        Raises `InvalidInputError` (`invalid-path`) for `..` parts.
        """
        entries = partial(listing.entries, self._session._workspace)
        return AsyncCloseableIterator(map(entries, [listing.folder(prefix)]))

    async def is_empty(self, prefix: str) -> bool:
        """Whether `list_dir` finds nothing."""
        path = listing.folder(prefix)
        return not await in_pool(listing.entries, self._session._workspace, path)

    async def getsize_prefix(self, prefix: str) -> int:
        """Bytes of all values that `list_prefix` names."""
        workspace = self._session._workspace
        path = listing.subtree(workspace, prefix)
        return await in_pool(listing.total_size, workspace, path)

    # --- inner workings ---

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyStoreError(
                "store was opened in read-only mode and does not support writing; use a store of "
                "a writable session",
                ErrorKind.READ_ONLY_STORE,
            )

    def _check_own_flag(self) -> None:
        # A read-only session has its own word here: it lets deletes of nothing pass.
        if not self._session.read_only:
            self._check_writable()

    def _read(self, target: StoreKey, bounds: Bounds) -> Data | None:
        if isinstance(target, LegacyKey):
            return None
        workspace = self._session._workspace
        if isinstance(target, ChunkKey):
            node = array_at(workspace, target.path)
            return None if node is None else workspace.get_chunk(node, target.coords, *bounds)
        document = workspace.document(target.path)
        if document is None or bounds is EVERYTHING:
            return document
        start, end = resolve_range(len(document), *bounds)
        return document[start:end]

    def _read_many(
        self, requests: Sequence[tuple[str, ByteRequest | None]]
    ) -> Sequence[Data | None]:
        workspace = self._session._workspace
        found: dict[int, Data | None] = {}
        chunks: dict[str, dict[int, tuple[int, ...]]] = {}
        others: dict[int, tuple[StoreKey, Bounds]] = {}
        for index, (key, part) in enumerate(requests):
            target = parse_key(key)
            if part is None and isinstance(target, ChunkKey):
                chunks.setdefault(target.path, {})[index] = target.coords
            else:
                others[index] = target, bounds_of(part)
        for path, wanted in chunks.items():
            node = array_at(workspace, path)
            if node is not None:
                found.update(
                    zip(wanted, workspace.get_chunks(node, list(wanted.values())), strict=True)
                )
        parts = map_parallel(
            lambda other: self._read(*other), others.values(), limit=workspace.reads_at_once
        )
        found.update(zip(others, parts, strict=True))
        return [found.get(index) for index in range(len(requests))]

    async def _chunk_size(self, target: ChunkKey) -> int | None:
        workspace = self._session._workspace
        node = array_at(workspace, target.path)
        if node is None:
            return None
        return await in_pool(workspace.chunk_size, node, target.coords)


def _checked(value: Buffer) -> Buffer:
    if not isinstance(value, Buffer):
        raise TypeError(
            "IcechunkStore.set(): `value` must be a Buffer instance. "
            f"Got an instance of {type(value)} instead."
        )
    return value


def _bytes_of(value: Buffer) -> memoryview:
    return memoryview(value.as_buffer_like())


def _no_legacy_key(target: LegacyKey) -> NodeNotFoundError:
    return KeyNotFoundError(
        f"no value at {target.key!r}: Zarr v2 is not supported; use zarr_format=3",
        ErrorKind.KEY_NOT_FOUND,
    )
