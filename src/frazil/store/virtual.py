"""The part of a store that is about virtual chunks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError, SessionStateError
from frazil.settings import U64
from frazil.store.access import SessionLike
from frazil.store.iterators import AsyncCloseableIterator
from frazil.store.keys import ChunkKey, node_path, parse_key
from frazil.twins import twin
from frazil.virtual import VirtualChunkSpec

if TYPE_CHECKING:
    from frazil.engine.virtual_refs import ChunkBatch

_U64 = U64()


class VirtualReferences:
    """Lets chunks be ranges of files that are not the repository's."""

    _session: SessionLike

    def set_virtual_ref(
        self,
        key: str,
        location: str,
        *,
        offset: int,
        length: int,
        checksum: str | datetime | None = None,
        validate_container: bool = True,
    ) -> None:
        """Let the chunk at `key` be `length` bytes from `offset` of the file at a URL.

        checksum: the file's ETag, or a time (timezone-aware) after which it must not have been
        modified; parts of a second are cut off, so round up the time of a file.

        Raises `InvalidInputError`: `no-container-for-virtual-chunk` unless
        `validate_container` is False, `invalid-virtual-ref` for what is no URL,
        `invalid-chunk-index`, `zero-length-chunk`.
        """
        from frazil.engine import virtual_refs

        self._check_writable()
        target = parse_key(key)
        if not isinstance(target, ChunkKey):
            raise SessionStateError(
                f"cannot set a virtual reference at {key!r}: only chunks can be virtual",
                ErrorKind.NOT_ALLOWED,
            )
        virtual_refs.set_one(
            self._session._workspace,
            target.path,
            target.coords,
            location,
            _U64.accept("offset", offset),
            _U64.accept("length", length),
            checksum,
            validate=validate_container,
        )

    set_virtual_ref_async = twin(set_virtual_ref)

    def set_virtual_refs(
        self,
        array_path: str,
        chunks: list[VirtualChunkSpec],
        *,
        validate_containers: bool = True,
    ) -> list[tuple[int, ...]] | None:
        """Let many chunks of an array be ranges of files.

        Returns the indexes of the chunks that were left out because no container covers their
        location, or None if there are none. Other errors as `set_virtual_ref`; none is set then.
        """
        from frazil.engine import virtual_refs

        self._check_writable()
        path = _path(array_path)
        return virtual_refs.set_many(
            self._session._workspace, path, chunks, validate=validate_containers
        )

    set_virtual_refs_async = twin(set_virtual_refs)

    def set_virtual_refs_arr(
        self,
        array_path: str,
        chunk_grid_shape: tuple[int, ...],
        locations: list[str],
        offsets: npt.NDArray[np.uint64],
        lengths: npt.NDArray[np.uint64],
        *,
        validate_containers: bool = True,
        arr_offset: tuple[int, ...] | None = None,
        checksum: str | datetime | None = None,
    ) -> list[tuple[int, ...]] | None:
        """`set_virtual_refs` for a box of chunks, from columns in C order.

        chunk_grid_shape: chunks of the box along each dimension; arr_offset: its first chunk;
        offsets, lengths: uint64[n], in bytes. Where the location is "" nothing changes. The
        checksum holds for all. ValueError if the lengths differ.
        """
        from frazil.engine import virtual_refs

        self._check_writable()
        return virtual_refs.set_arrays(
            self._session._workspace,
            _path(array_path),
            chunk_grid_shape,
            locations,
            offsets,
            lengths,
            validate=validate_containers,
            origin=arr_offset,
            checksum=checksum,
        )

    set_virtual_refs_arr_async = twin(set_virtual_refs_arr)

    def array_chunk_iterator(
        self, array_path: str, batch_size: int = 100_000
    ) -> AsyncCloseableIterator[ChunkBatch]:
        """Where all initialised chunks of an array are, at most `batch_size` at a time.

        Yields (coordinates uint32[n, ndim], kinds uint8[n], see `ChunkType`, locations, offsets
        uint64[n], lengths uint64[n], bytes of inline chunks by their row). A location is the
        URL of a virtual chunk, the id of the object of a native one, or "".
        """
        from frazil.engine import virtual_refs

        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        batches = virtual_refs.chunk_batches(
            self._session._workspace, _path(array_path), batch_size
        )
        return AsyncCloseableIterator([batch] for batch in batches)

    def _check_writable(self) -> None:
        raise NotImplementedError


def _path(array_path: str) -> str:
    path = node_path(array_path)
    if path is None or path != "/" + array_path.strip("/"):
        raise InvalidInputError(
            f"invalid array path {array_path!r}: it must not have empty, '.' or '..' parts",
            ErrorKind.INVALID_PATH,
        )
    return path
