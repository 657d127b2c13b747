"""An asynchronous iterator over items that blocking code finds in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Generic, TypeVar

from frazil.storage.pool import io_pool

T = TypeVar("T")


class AsyncCloseableIterator(AsyncIterator[T], Generic[T]):
    """The items of `batches`, an iterator that is advanced on the I/O pool when needed.

    Several tasks may share it; each item is delivered once. An error, or cancelling a task
    that waits for a batch, ends it.
    """

    def __init__(self, batches: Iterator[Sequence[T]]) -> None:
        self._batches: Iterator[Sequence[T]] | None = batches
        self._batch: Sequence[T] = ()
        self._next = 0
        self._turn = asyncio.Lock()

    def __aiter__(self) -> AsyncCloseableIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._next >= len(self._batch):
            async with self._turn:
                while self._next >= len(self._batch):
                    self._batch, self._next = await self._advance(), 0
        item = self._batch[self._next]
        self._next += 1
        return item

    async def aclose(self) -> None:
        """Give up what was not yet delivered."""
        self._batches = None
        self._batch = ()

    async def _advance(self) -> Sequence[T]:
        batch = None
        if self._batches is not None:
            loop = asyncio.get_running_loop()
            try:
                batch = await loop.run_in_executor(io_pool(), next, self._batches, None)
            except BaseException:
                self._batches = None
                raise
        if batch is None or self._batches is None:
            self._batches = None
            raise StopAsyncIteration("the iterator is exhausted")
        return batch
