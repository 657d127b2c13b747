"""A bound on how many threads do something at the same time."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext

_OPEN = nullcontext()


class Gate:
    """Lets `at_once` threads through at a time, at least one; any number for None.

    with gate.passed():
        ...
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = None if at_once is None else max(1, at_once)
        # By process: what threads of the parent hold is never given back in a forked child.
        self._of_process: dict[int, threading.Semaphore] = {}

    def passed(self) -> AbstractContextManager[object]:
        """For a `with` statement, which waits for its turn."""
        if self._at_once is None:
            return _OPEN
        process = os.getpid()
        known = self._of_process.get(process)
        return known or self._of_process.setdefault(process, threading.Semaphore(self._at_once))
