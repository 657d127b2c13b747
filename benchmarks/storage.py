"""Requests to an object store, beside icechunk: how many, how many of them in turn, what they cost.

    python -m benchmarks storage                 on MiniStack, with 30 ms added to each request
    python -m benchmarks storage --delay 0       without; how many are in turn is a guess then
    python -m benchmarks storage --quick append  few arrays and chunks, some cases only

Each case runs in a process of its own, on a repository that its library has made. Requests are
counted by a proxy between the library and the server, from when the interesting part begins
until it ends. Two requests are *in turn* if one begins after the other has ended; the number
given is that of the longest such row, which is what a slow network makes one wait for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import aligned, machine
from benchmarks.storage_worker import CASES, titles
from tests.servers.proxy import Proxy, delay, proxy, rounds
from tests.servers.s3 import ministack

RESULTS = Path(__file__).parent / "STORAGE.md"
LIBRARIES = ("frazil", "icechunk")


@dataclass(frozen=True)
class Traffic:
    """What one run of a case did: bytes are those of bodies."""

    requests: int
    in_turn: int
    sent: int
    received: int
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """For the table: requests and those in turn, KiB up and down."""
        return (
            f"{self.requests} ({self.in_turn})",
            f"{self.sent / 1024:.1f}",
            f"{self.received / 1024:.1f}",
            f"{self.seconds:.2f}",
        )


def run(library: str, case: str, between: Proxy, seconds: float, quick: bool) -> Traffic:
    """Run a case in a process, and look what went through the proxy meanwhile."""
    command = [sys.executable, "-m", "benchmarks.storage_worker", library, case, between.address]
    worker = subprocess.Popen(
        [*command, "--quick"] if quick else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    _expect(worker.stdout.readline(), "ready")
    between.reset()
    between.plan = lambda request: delay(seconds)
    worker.stdin.write("go\n")
    worker.stdin.flush()
    took = float(_expect(worker.stdout.readline(), "done"))
    requests = list(between.requests)
    between.reset()
    worker.stdin.close()
    if worker.wait():
        raise SystemExit(f"{case} failed with {library}: the error is above")
    return Traffic(
        len(requests),
        rounds(requests),
        sum(request.sent for request in requests),
        sum(request.received for request in requests),
        took,
    )


def _expect(line: str, word: str) -> str:
    found, _, rest = line.strip().partition(" ")
    if found != word:
        raise SystemExit("a worker has failed: the error is above")
    return rest


def table(measured: Sequence[tuple[str, Traffic, Traffic]]) -> str:
    """Markdown."""
    head = [
        *("case", "Frazil: requests (in turn)", "KiB up", "KiB down", "s"),
        *("icechunk: requests (in turn)", "KiB up", "KiB down", "s", "time ratio"),
    ]
    rows = [
        [title, *ours.cells(), *theirs.cells(), f"{ours.seconds / theirs.seconds:.2f}"]
        for title, ours, theirs in measured
    ]
    return aligned([head, *rows])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks storage", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--delay", type=float, default=30, help="milliseconds for each request")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name} as well")
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")

    measured = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ministack(Path(folder)) as server,
        proxy(server.address) as between,
    ):
        for library in LIBRARIES:
            run(library, "prepare", between, 0, given.quick)
        for case, title in titles(given.quick).items():
            if given.cases and case not in given.cases:
                continue
            print(case, file=sys.stderr, flush=True)
            ours, theirs = (
                run(library, case, between, given.delay / 1000, given.quick)
                for library in LIBRARIES
            )
            measured.append((title, ours, theirs))
    text = (
        f"{table(measured)}\n\n{machine()}\n"
        f"One run each, on MiniStack, through a proxy that adds {given.delay:g} ms to each "
        "request. In turn: the most requests of which each began after the one before had ended."
    )
    print(text)
    if given.save:
        RESULTS.write_text(f"# Requests to an object store, beside icechunk\n\n{text}\n")


if __name__ == "__main__":
    main()
