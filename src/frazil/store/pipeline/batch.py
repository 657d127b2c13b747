"""What Zarr asks of a codec pipeline: parts of chunks, and where they go to or come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from zarr.core.array_spec import ArraySpec
from zarr.storage import StorePath

from frazil.errors import InvalidInputError
from frazil.store.keys import ChunkKey, parse_key

Item = tuple[Any, ArraySpec, Any, Any, bool]
"""Byte getter, specification of the chunk, selection in the chunk, selection in the array in
memory, whether it is the complete chunk."""

_MAX_COORDINATE = 2**32 - 1


@dataclass(frozen=True)
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

    @cached_property
    def specs(self) -> list[tuple[ArraySpec, npt.NDArray[np.intp]]]:
        """The different specifications of chunks, and the positions of those that have them."""
        first = self.items[0][1]
        every = np.arange(len(self))
        if all(item[1] is first for item in self.items):
            return [(first, every)]
        numbers: dict[Any, int] = {}
        number = np.fromiter(
            (numbers.setdefault(_identity(item[1]), len(numbers)) for item in self.items),
            np.intp,
            len(self),
        )
        if len(numbers) == 1:
            return [(first, every)]
        _, starts = np.unique(number, return_index=True)
        return [
            (self.items[start][1], every[number == i]) for i, start in enumerate(starts.tolist())
        ]

    @cached_property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Which chunks are asked for completely, as far as they lie in the array."""
        return np.fromiter((item[4] for item in self.items), np.bool_, len(self))

    def strips(
        self, rows: npt.NDArray[np.intp], memory: npt.NDArray[Any], *, alone: bool = False
    ) -> Iterator[tuple[int, int, npt.NDArray[Any] | None]]:
        """Runs (start, stop) of `rows`, and what belongs to each in an array in memory.

        That is a view [stop - start, *shape of chunks] of neighbours along the last axis that
        are asked for completely, and None for single chunks, unless `alone`, and where it is
        less simple.
        """
        least = 1 if alone else 2
        cuts: Sequence[int] = range(len(rows) + 1)
        if len(rows) > 1 and self.index.shape[1]:
            index, complete = self.index[rows], self.complete[rows]
            joined = complete[1:] & complete[:-1] & (index[1:, -1] == index[:-1, -1] + 1)
            joined &= (index[1:, :-1] == index[:-1, :-1]).all(axis=1)
            cuts = np.concatenate([[0], np.flatnonzero(~joined) + 1, [len(rows)]]).tolist()
        for start, stop in pairwise(cuts):
            first = self.items[int(rows[start])]
            # The last one may reach beyond the edge of the array.
            for end in (stop, stop - 1):
                if end - start >= least and self.items[int(rows[start])][4]:
                    view = _strip(memory, first, self.items[int(rows[end - 1])], end - start)
                    if view is not None:
                        yield start, end, view
                        start = end
                        break
            if start < stop:
                yield start, stop, None


def _strip(
    memory: npt.NDArray[Any], first: Item, last: Item, count: int
) -> npt.NDArray[Any] | None:
    """See `Batch.strips`; None if the selections do not lie one after the other."""
    begin, end = first[3], last[3]
    shape = first[1].shape
    if not (isinstance(begin, tuple) and isinstance(end, tuple)):
        return None
    if len(begin) != memory.ndim or len(end) != memory.ndim or len(shape) != memory.ndim:
        return None
    if not all(isinstance(part, slice) for part in (*begin, *end)):
        return None
    step, where = shape[-1], begin[-1].start
    if (end[-1].start, end[-1].stop) != (where + (count - 1) * step, where + count * step):
        return None
    strip = memory[(*begin[:-1], slice(where, where + count * step))]
    if strip.shape != (*shape[:-1], count * step):
        return None
    return as_strided(strip, (count, *shape), (step * strip.strides[-1], *strip.strides))


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


def _identity(spec: ArraySpec) -> Any:
    # Some versions of Zarr make a specification for each chunk, of the same parts.
    return spec.shape, id(spec.dtype), id(spec.fill_value), id(spec.config), id(spec.prototype)
