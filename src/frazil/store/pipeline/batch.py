"""What Zarr asks of a codec pipeline: parts of chunks, and where they go to or come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.core.array_spec import ArraySpec
from zarr.storage import StorePath

from frazil.errors import InvalidInputError
from frazil.store.keys import ChunkKey, parse_key

Item = tuple[Any, ArraySpec, Any, Any, bool]
"""Byte getter, specification of the chunk, selection in the chunk, selection in the array in
memory, whether it is the complete chunk."""

_MAX_COORDINATE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks of the array at `path`: `index`, uint32[n, ndim], with what is asked of each."""

    path: str
    index: npt.NDArray[np.uint32]
    items: Sequence[Item]

    def __len__(self) -> int:
        return len(self.items)

    def part(self, rows: npt.NDArray[np.intp]) -> Batch:
        """Some of the chunks."""
        items = self.items
        return Batch(self.path, self.index[rows], [items[i] for i in rows.tolist()])

    @property
    def uniform(self) -> bool:
        """Whether all chunks have the same specification, their shape included."""
        spec = self.items[0][1]
        return all(item[1] is spec for item in self.items)


def batch_of(items: Sequence[Item]) -> Batch | None:
    """The chunks that the items, at least one, are about; None unless it is plainly one array's.

    Whatever is unusual about a key is for the store to say.
    """
    keys = [item[0].path for item in items]
    try:
        first = parse_key(keys[0])
    except InvalidInputError:
        return None
    if not isinstance(first, ChunkKey):
        return None
    ndim, n = len(first.coords), len(keys)
    if n == 1:
        return Batch(first.path, np.array([first.coords], np.uint32).reshape(1, ndim), items)
    # Coordinates contain no "c".
    stem = keys[0][: keys[0].rindex("c") + 2]
    cut = len(stem)
    tails = "/".join([key[cut:] for key in keys])
    plain = tails.replace("/", "").isdecimal() and tails.isascii()
    if not (ndim and plain and all(key.startswith(stem) for key in keys)):
        return None
    numbers = np.fromstring(tails, np.int64, sep="/")
    slashes = tails.count("/")
    if len(numbers) != n * ndim or slashes != n * ndim - 1 or numbers.max() > _MAX_COORDINATE:
        return None
    return Batch(first.path, numbers.astype(np.uint32).reshape(n, ndim), items)


def store_of(items: Sequence[Item]) -> Any:
    """The one store that all items refer to; None if there is no such store."""
    first = items[0][0]
    if not isinstance(first, StorePath):
        return None
    store = first.store
    same = all(isinstance(item[0], StorePath) and item[0].store is store for item in items)
    return store if same else None
