"""The threads that wait for the storage, and running a function over many items on them.

One bounded pool for the process. `map_parallel` lets the calling thread work too and waits
only for items that another thread is at, never for one that is still queued: so it may be
called from anywhere, from the pool's own threads as well, however busy the pool is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from frazil.storage.fork import ForksafeLock

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

WORKERS = 32
"""Threads of the pool. They wait rather than compute, so their number is not that of cores."""

_lock = ForksafeLock()
_pool: ThreadPoolExecutor | None = None


def io_pool() -> ThreadPoolExecutor:
    """The pool of this process, made when first asked for."""
    global _pool
    pool = _pool
    if pool is None:
        with _lock:
            pool = _pool
            if pool is None:
                pool = _pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="frazil-io")
    return pool


def submit(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """`fn(...)` on a thread of the pool, in a copy of the caller's context: spans have a parent."""
    return io_pool().submit(partial(copy_context().run, fn, *args, **kwargs))


def _forget_pool() -> None:
    # The threads of the parent do not exist in the child.
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget_pool)


def map_parallel(fn: Callable[[T], R], items: Iterable[T], *, limit: int = WORKERS + 1) -> list[R]:
    """`[fn(item) for item in items]`, at most `limit` at a time, in the order of the items.

    The first error stops the rest: items not begun are left out, those begun are waited
    for, and the error is raised.
    """
    work = list(items)
    if len(work) < 2:
        return [fn(item) for item in work]
    job = _Job(fn, work)
    helpers = _recruit(job.run, min(len(work), limit, WORKERS + 1) - 1)
    try:
        job.run()
    finally:
        job.stop()
        for helper in helpers:
            helper.cancel()
        for helper in helpers:
            if not helper.cancelled():
                helper.exception()  # waits; the job keeps the errors
    return job.results()


def _recruit(run: Callable[[], None], count: int) -> list[Future[None]]:
    pool = io_pool()
    try:
        return [pool.submit(copy_context().run, run) for _ in range(count)]
    except RuntimeError:
        return []  # the interpreter is on its way out and starts no threads any more


class _Job(Generic[T, R]):
    def __init__(self, fn: Callable[[T], R], items: list[T]) -> None:
        self._fn = fn
        self._items = items
        self._results: list[R | None] = [None] * len(items)
        self._lock = threading.Lock()
        self._next = 0
        self._error: BaseException | None = None

    def _take(self) -> int | None:
        with self._lock:
            index = self._next
            if index >= len(self._items):
                return None
            self._next = index + 1
            return index

    def run(self) -> None:
        """Work on items until none is left."""
        while (index := self._take()) is not None:
            try:
                self._results[index] = self._fn(self._items[index])
            except BaseException as error:
                with self._lock:
                    self._error = self._error or error
                self.stop()

    def stop(self) -> None:
        """Begin no more items."""
        with self._lock:
            self._next = len(self._items)

    def results(self) -> list[R]:
        if self._error is not None:
            raise self._error
        return self._results  # type: ignore[return-value]  # every item has been run


def cores() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not everywhere
        return os.cpu_count() or 1
