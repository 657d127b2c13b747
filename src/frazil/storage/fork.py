"""Locks that a forked child can use.

A lock that some thread holds while another one forks stays held in the child for ever,
where the thread that would release it does not exist.
"""

from __future__ import annotations

import os
import threading
import weakref


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


_ALL: weakref.WeakSet[ForksafeLock] = weakref.WeakSet()


def _reset_all() -> None:
    for lock in list(_ALL):
        lock.reset()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_all)
