"""A stress of some minutes: see `run`.

    python -m tests.stress --minutes 10 --place local
    python -m tests.stress --minutes 1 --place local --place s3 --spec 1 --seed 5

Ends with 1 if something was lost, wrong, or an error for a reader. S3 is a server of the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.scenario.committers import Ground
from tests.servers.process import NotInstalled
from tests.servers.s3 import ministack
from tests.stress.run import stress

PLACES = ("local", "s3")


def main() -> int:
    """Run it in each place; the number of places with faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--minutes", type=float, default=10, help="in each place")
    parser.add_argument("--place", choices=PLACES, action="append")
    parser.add_argument("--spec", type=int, choices=(1, 2), default=2)
    parser.add_argument("--seed", type=int, default=0, help="who is killed, and when")
    arguments = parser.parse_args()
    bad = 0
    for place in arguments.place or PLACES:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            cloud = None
            if place == "s3":
                server = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                try:
                    cloud = stack.enter_context(ministack(server))
                except NotInstalled as reason:
                    print(f"{place}: left out, {reason}")
                    continue
            end = time.monotonic() + 60 * arguments.minutes
            outcome = stress(
                Ground(folder, cloud),
                arguments.spec,
                lambda _done, _kills, end=end: time.monotonic() > end,  # type: ignore[misc]
                seed=arguments.seed,
            )
        done = ", ".join(f"{name} {count}" for name, count in sorted(outcome.done.items()))
        print(f"{place}: {done}, killed {outcome.kills}, faults {len(outcome.faults)}", flush=True)
        for fault in outcome.faults:
            print("   ", fault)
        bad += bool(outcome.faults)
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
