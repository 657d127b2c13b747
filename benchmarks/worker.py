"""Run one part of one case with one library: `python -m benchmarks.worker frazil run CASE DIR`.

Prints one line of JSON: {"seconds": ..., "peak": bytes of memory at most}.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import sys
from pathlib import Path

from benchmarks.cases import BY_NAME
from benchmarks.common import FULL, QUICK


def peak_memory() -> int:
    """The most memory that this process had, in bytes; the unit depends on the system."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lib", choices=["frazil", "icechunk"])
    parser.add_argument("part", choices=["prepare", "run"])
    parser.add_argument("case", choices=sorted(BY_NAME))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()

    lib = importlib.import_module(given.lib)
    lib.set_logs_filter("error")
    case, sizes = BY_NAME[given.case], QUICK if given.quick else FULL
    seconds = 0.0
    if given.part == "run":
        seconds = case.run(lib, given.folder, sizes)
    elif case.prepare is not None:
        case.prepare(lib, given.folder, sizes)
    print(json.dumps({"seconds": seconds, "peak": peak_memory()}), flush=True)
    # icechunk 2.3.0 may crash while the interpreter shuts down after an asynchronous listing.
    os._exit(0)


if __name__ == "__main__":
    main()
