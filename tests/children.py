"""Forked processes in tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
"""Marks of modules whose tests fork."""


def in_child(work: Callable[[], bool]) -> None:
    """Let a forked child do it; fails unless it returns True within a minute."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # the death of a child that waits for ever
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
