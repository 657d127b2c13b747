"""Run parts of cases with one library: `python -m benchmarks.worker frazil`, or a peer's name.

Reads jobs from its standard input, a line of JSON each:
{"part": "run" or "prepare", "case": name, "folder": where, "sizes": {...}}.
Answers each with one, about the parts that are timed: {"seconds": ..., "peak": bytes of memory}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import BY_NAME
from benchmarks.common import Clock, Sizes

LIBRARIES = ("frazil", "icechunk")


def do(name: str, job: dict[str, Any]) -> Clock:
    """What the interesting part took; nothing for a preparation."""
    case, folder, sizes = BY_NAME[job["case"]], Path(job["folder"]), Sizes(**job["sizes"])
    if name in LIBRARIES:
        lib = importlib.import_module(name)
        lib.set_logs_filter("error")
        if job["part"] == "run":
            return case.run(lib, folder, sizes)
        if case.prepare is not None:
            case.prepare(lib, folder, sizes)
        return Clock()
    peer = next(peer for peer in case.peers if peer.name == name)
    if job["part"] == "run":
        return peer.run(folder, sizes)
    if peer.prepare is not None:
        peer.prepare(folder, sizes)
    return Clock()


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        clock = do(sys.argv[1], json.loads(line))
        print(json.dumps(vars(clock)), file=answers, flush=True)
    # icechunk 2.3.0 may crash while the interpreter shuts down after an asynchronous listing.
    os._exit(0)


if __name__ == "__main__":
    main()
