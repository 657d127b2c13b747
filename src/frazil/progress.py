"""Progress of what may take long: to a callback, or as a bar where a person is watching.

    with frazil.progress.report(print):
        repo.garbage_collect(cutoff)

Without a callback, a bar appears on standard error if that is a terminal, or in the notebook,
once a task has taken two seconds; otherwise nothing is shown.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Callback", "Progress", "report"]

DELAY = 2.0
"""Seconds after which a bar appears."""
INTERVAL = 0.1
"""Seconds between two drawings of a bar."""
WIDTH = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: `done` of `total` steps; total is None while it is not known."""

    task: str
    done: int
    total: int | None


Callback = Callable[[Progress], object]

_callback: ContextVar[Callback | None] = ContextVar("frazil_progress", default=None)


@contextmanager
def report(callback: Callback) -> Iterator[None]:
    """Call `callback` with a `Progress` for each step of what runs in the `with` block.

    It may be called from any thread, but never from two at once. What it raises ends the task.
    """
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


class Task:
    """Counts steps; any thread may."""

    def __init__(self, name: str, total: int | None, tell: Callback | None) -> None:
        self._name = name
        self._total = total
        self._tell = tell
        self._done = 0
        self._lock = threading.Lock()

    def step(self, count: int = 1) -> None:
        """So many more steps are done."""
        if self._tell is None:
            return
        with self._lock:
            self._done += count
            self._tell(Progress(self._name, self._done, self._total))


@contextmanager
def task(name: str, total: int | None = None) -> Iterator[Task]:
    """A task of `total` steps, told to whoever wants to know in this context."""
    callback = _callback.get()
    bar = None if callback is not None else _bar()
    tell = callback if bar is None else bar.show
    try:
        yield Task(name, total, tell)
    finally:
        if bar is not None:
            bar.close()


class Bar:
    """One line of text that is drawn over and over."""

    def __init__(self, write: Callable[[str], object], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now
        self._next = now() + DELAY
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Draw the line, if it is time to."""
        now = self._now()
        if now < self._next:
            return
        self._next = now + INTERVAL
        text = line(progress)
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def close(self) -> None:
        """Remove the line."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")


def line(progress: Progress) -> str:
    """The progress as text, with a bar where the total is known."""
    if not progress.total:
        return f"{progress.task}: {progress.done}"
    done = min(progress.done, progress.total)
    filled = WIDTH * done // progress.total
    bar = "#" * filled + "." * (WIDTH - filled)
    return f"{progress.task}: [{bar}] {done}/{progress.total}"


def _bar() -> Bar | None:
    stream = sys.stderr
    if stream is None or not (stream.isatty() or _in_notebook()):
        return None

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return Bar(write, time.monotonic)


def _in_notebook() -> bool:
    # The kernel's standard error is no terminal, but it obeys carriage returns.
    return type(sys.stderr).__module__.partition(".")[0] == "ipykernel"
