"""Locks that a forked child can use.

A lock that some thread holds while another one forks stays held in the child for ever,
where the thread that would release it does not exist.

`ForksafeLock` is for short sections whose data is consistent between any two steps, and free in
a child. `ForksafeRLock` is for longer ones: a fork waits a moment for them, and if that is not
enough, a child is told that it cannot use what the lock is for.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ForksafeLock:
    """A mutual exclusion lock which a forked child finds free.

    Use it for short sections whose data is consistent between any two steps.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _ALL.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def reset(self) -> None:
        """Make it free; in a new child only."""
        self._lock = threading.Lock()


class ForksafeRLock:
    """A lock that its thread can take again, of something that a child may not be able to use.

    spoiled: what to raise in a child for which another thread of its parent was at work.
    """

    __slots__ = ("__weakref__", "_lock", "_spoiled", "_unusable")

    def __init__(self, spoiled: Callable[[], Exception]) -> None:
        self._lock = threading.RLock()
        self._spoiled = spoiled
        self._unusable = False
        with _registering:
            _LONG.add(self)

    def __enter__(self) -> None:
        if self._unusable:
            raise self._spoiled()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let others have the lock, which this thread has taken once, for the block."""
        self._lock.release()
        try:
            yield
        finally:
            self.__enter__()

    def before_fork(self, deadline: float) -> bool:
        """Whether the lock could be taken until then."""
        return self._lock.acquire(timeout=max(deadline - time.monotonic(), 0))

    def after_fork(self) -> None:
        """Give back what `before_fork` took."""
        self._lock.release()

    def spoil(self) -> None:
        """Never let it be taken again."""
        self._unusable = True


FORK_PATIENCE = 1.0
"""Seconds that a fork waits for those who hold locks."""
_ALL: weakref.WeakSet[ForksafeLock] = weakref.WeakSet()
_LONG: weakref.WeakSet[ForksafeRLock] = weakref.WeakSet()
_registering = threading.Lock()
_taken: list[ForksafeRLock] = []
_held: list[ForksafeRLock] = []
_hooks: list[tuple[Callable[[], None], Callable[[], None]]] = []


def around_forks(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Have these called in whoever forks; `after` also in the child.

    When `before` is called, all `ForksafeRLock`s are taken that can be: what is waited for in
    there is not held by somebody who waits for one of them.
    """
    _hooks.append((before, after))


def _before_fork() -> None:
    deadline = time.monotonic() + FORK_PATIENCE
    _registering.acquire()
    for lock in list(_LONG):
        (_taken if lock.before_fork(deadline) else _held).append(lock)
    for before, _ in _hooks:
        before()


def _after_fork() -> None:
    for _, after in reversed(_hooks):
        after()
    _held.clear()
    while _taken:
        _taken.pop().after_fork()
    _registering.release()


def _after_fork_in_child() -> None:
    for lock in _held:
        lock.spoil()
    for short in list(_ALL):
        short.reset()
    _after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
