"""The most memory that this process had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_PROCESS = Path("/proc/self")


def peak_memory() -> int:
    """In bytes, since the peak was forgotten; where there is no /proc, since the process began."""
    status = _PROCESS / "status"
    if status.exists():  # what getrusage says begins with the memory of the parent
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) for line in lines if line[0] == "VmHWM:") * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Begin again with what the process has now, so that preparations don't count."""
    forget = _PROCESS / "clear_refs"
    if forget.exists():
        forget.write_text("5")  # proc(5): resets the peak resident set size
