"""Elements of stored chunks set to the fill value, by the codecs of their array."""

from __future__ import annotations

import json
import threading
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

Part = tuple[tuple[int, int], ...]
"""Elements of a chunk: (from, to exclusive) in each dimension."""

_quiet = threading.Lock()


class Eraser:
    """For the chunks of one array; any number of threads may use it.

    nbytes: of a chunk that is decoded.
    """

    def __init__(self, document: bytes) -> None:
        """document: see `frazil.model.zarr_metadata.document_of_chunk`.

        `ValueError` if there is no way to decode and encode its chunks here.
        """
        self._document = document
        first = _Bench(document)
        self._lock = threading.Lock()
        self._idle = [first]
        self.nbytes: int = first.filled.nbytes

    def erase(self, chunk: bytes, part: Part) -> bytes | None:
        """The chunk with fill value in a part of it; itself if that is there already.

        None if there would be nothing but fill value, which Zarr does not store. Raises
        `ValueError` for a chunk that cannot be decoded, and for codecs that would alter its other
        elements.
        """
        with self._lock:
            bench = self._idle.pop() if self._idle else None
        bench = bench or _Bench(self._document)
        try:
            return bench.erase(chunk, tuple(slice(*side) for side in part))
        finally:
            with self._lock:
                self._idle.append(bench)


class _Bench:
    """An array of one chunk, in memory. filled: what its codecs make of the fill value alone."""

    def __init__(self, document: bytes) -> None:
        self._files: dict[str, Any] = {"zarr.json": _buffer(document)}
        try:
            self._key = "/".join(["c", *["0" for _ in json.loads(document)["shape"]]])
            with _quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of data types: whoever wrote it was told
                self._array: Any = zarr.open_array(
                    MemoryStore(self._files), mode="r+", zarr_format=3
                )
            self._array.with_config({"write_empty_chunks": True})[...] = self._array.fill_value
            self.filled = np.asarray(self._array[...])
        except Exception as error:  # whatever codecs and metadata raise
            raise ValueError(_words(error)) from error

    def erase(self, chunk: bytes, part: tuple[slice, ...]) -> bytes | None:
        self._files[self._key] = _buffer(chunk)
        try:
            before = np.asarray(self._array[...])
        except Exception as error:
            raise ValueError(_words(error)) from error
        if _same(before[part], self.filled[part]):
            return chunk
        try:
            wanted = before.copy()
            wanted[part] = self._array.fill_value
            self._array[...] = wanted
            if self._key not in self._files:
                return None
            after = np.asarray(self._array[...])
        except Exception as error:
            raise ValueError(_words(error)) from error
        wanted[part] = self.filled[part]
        if not _same(after, wanted):
            raise ValueError(
                "they do not return what they are given, and would alter the elements that stay"
            )
        return bytes(self._files[self._key].to_bytes())


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether these have the same bits: zeros have signs, and NaN is not one value."""
    if one.dtype.kind in "OT":
        return bool(np.array_equal(one, other))
    return one.tobytes() == other.tobytes()


def _buffer(data: bytes) -> Any:
    return default_buffer_prototype().buffer.from_bytes(data)


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
