import asyncio
import inspect
import threading
from collections.abc import Iterator

import pytest

from frazil.store.iterators import AsyncCloseableIterator


async def test_items_of_all_batches_in_order() -> None:
    it = AsyncCloseableIterator(iter([[1, 2], [], [3]]))
    assert [item async for item in it] == [1, 2, 3]
    with pytest.raises(StopAsyncIteration):
        await it.__anext__()


async def test_it_is_no_generator_and_can_be_closed() -> None:
    it = AsyncCloseableIterator(iter([[1, 2], [3]]))
    assert not inspect.isasyncgen(it)
    assert await it.__anext__() == 1
    await it.aclose()
    await it.aclose()
    assert [item async for item in it] == []


async def test_batches_are_found_on_another_thread() -> None:
    def batches() -> Iterator[list[int]]:
        yield [threading.get_ident()]

    (ident,) = [item async for item in AsyncCloseableIterator(batches())]
    assert ident != threading.get_ident()


async def test_an_error_ends_it() -> None:
    def batches() -> Iterator[list[int]]:
        yield [1]
        raise KeyError("broken")

    it = AsyncCloseableIterator(batches())
    assert await it.__anext__() == 1
    with pytest.raises(KeyError, match="broken"):
        await it.__anext__()
    with pytest.raises(StopAsyncIteration):
        await it.__anext__()


async def test_tasks_that_share_it_get_each_item_once() -> None:
    it = AsyncCloseableIterator(iter([[i, i + 1] for i in range(0, 400, 2)]))

    async def take() -> list[int]:
        got = []
        async for item in it:
            got.append(item)
            await asyncio.sleep(0)
        return got

    parts = await asyncio.gather(*(take() for _ in range(5)))
    assert sorted(item for part in parts for item in part) == list(range(400))


async def test_closing_while_a_batch_is_awaited() -> None:
    go = threading.Event()

    def batches() -> Iterator[list[int]]:
        go.wait()
        yield [1]

    it = AsyncCloseableIterator(batches())
    waiting = asyncio.create_task(it.__anext__())
    await asyncio.sleep(0)
    await it.aclose()
    go.set()
    with pytest.raises(StopAsyncIteration):
        await waiting
