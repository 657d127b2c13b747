"""Run parts of cases with one library: `python -m benchmarks.worker frazil`, or a peer's name.

Reads jobs from its standard input, a line of JSON each:
{"part": "run" or "prepare", "case": name, "folder": where, "sizes": {...}}.
Answers each with one: {"seconds": ..., "peak": bytes of memory at most, since the process began}.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import BY_NAME
from benchmarks.common import Sizes

LIBRARIES = ("frazil", "icechunk")


def peak_memory() -> int:
    """The most memory that this process had, in bytes; the unit depends on the system."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the memory of the parent
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) for line in lines if line[0] == "VmHWM:") * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def do(name: str, job: dict[str, Any]) -> float:
    """The seconds that the interesting part took; 0 for a preparation."""
    case, folder, sizes = BY_NAME[job["case"]], Path(job["folder"]), Sizes(**job["sizes"])
    if name in LIBRARIES:
        lib = importlib.import_module(name)
        lib.set_logs_filter("error")
        if job["part"] == "run":
            return case.run(lib, folder, sizes)
        if case.prepare is not None:
            case.prepare(lib, folder, sizes)
        return 0.0
    peer = next(peer for peer in case.peers if peer.name == name)
    if job["part"] == "run":
        return peer.run(folder, sizes)
    if peer.prepare is not None:
        peer.prepare(folder, sizes)
    return 0.0


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        seconds = do(sys.argv[1], json.loads(line))
        print(json.dumps({"seconds": seconds, "peak": peak_memory()}), file=answers, flush=True)
    # icechunk 2.3.0 may crash while the interpreter shuts down after an asynchronous listing.
    os._exit(0)


if __name__ == "__main__":
    main()
