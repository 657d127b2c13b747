"""Ctrl-C: a line and an exit code, whatever is being imported at that moment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_seen = False


@contextmanager
def ending_the_process() -> Iterator[None]:
    """Within, before a command runs, an interrupt ends the process without a traceback.

    Afterwards it is remembered: NumPy swallows one that comes while it is imported, and the
    error that follows is another one. Does nothing where interrupts are not what Python makes of
    them, as in the background.
    """
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, _remember)


def cause_of(error: BaseException) -> BaseException:
    """The error, or the interrupt that it came after."""
    return KeyboardInterrupt() if _seen else error


def _remember(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    signal.default_int_handler(number, frame)
