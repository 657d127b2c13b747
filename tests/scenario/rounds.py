"""How many requests wait for each other: a storage with a clock of its own.

Each request takes one unit of time, whatever it is. The threads of the I/O pool are played by
the caller's one, each with its own time, so the result is the same on every machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from frazil.storage import pool
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting

T = TypeVar("T")


class Distant(Counting):
    """A storage that is far away; `now` says how many requests had to be waited for.

    `log` has (operation, key) of each request since the last `reset`, `sync` left out, which
    is none.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.now = 0
        self.log: list[tuple[str, str]] = []

    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        if operation != "sync":
            self.now += 1
            self.log.append((operation, key))
        return super().request(operation, key, call, sent)

    def reset(self) -> None:
        super().reset()
        self.now = 0
        self.log = []

    @property
    def local(self) -> bool:
        return False

    @property
    def total(self) -> int:
        """The number of requests."""
        return len(self.log)

    def moved(self, operation: str) -> int:
        """The bytes of all requests of this kind."""
        return sum(size for (what, _), size in self.sizes.items() if what == operation)


class _Later(Future[Any]):
    """What a thread of the pool will have done at a time; waiting for it takes until then."""

    def __init__(self, place: Distant, end: int) -> None:
        super().__init__()
        self._place, self._end = place, end

    def result(self, timeout: float | None = None) -> Any:
        self._place.now = max(self._place.now, self._end)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._place.now = max(self._place.now, self._end)
        return super().exception(timeout)


class _Played(Executor):
    def __init__(self, place: Distant) -> None:
        self._place = place

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        start = self._place.now
        error, value = None, None
        try:
            value = fn(*args, **kwargs)
        except BaseException as caught:
            error = caught
        future = _Later(self._place, self._place.now)
        self._place.now = start
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
        return future


@contextmanager
def played(place: Distant) -> Iterator[None]:
    """Within the block the I/O pool is played, on the clock of `place`.

    What was begun in the background before is waited for, and is not on the clock.
    """
    if pool._pool is not None:
        pool._pool.shutdown()
        pool._pool = None
    helpers = 0

    def recruit(run: object, count: int) -> list[Future[None]]:
        nonlocal helpers
        helpers = count
        return []

    def run(job: Any) -> None:
        times = [place.now] * (helpers + 1)
        while (i := job._take()) is not None:
            place.now = heapq.heappop(times)
            try:
                job._results[i] = job._fn(job._items[i])
            except BaseException as error:
                job._error = job._error or error
                job.stop()
            heapq.heappush(times, place.now)
        place.now = max(times)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_pool", _Played(place))
        patch.setattr(pool, "_recruit", recruit)
        patch.setattr(pool._Job, "run", run)
        yield
