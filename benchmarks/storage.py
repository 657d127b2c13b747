"""Requests to an object store, beside icechunk: how many, how many of them in turn, what they cost.

    python -m benchmarks storage                 on MiniStack, with 30 ms added to each request
    python -m benchmarks storage --delay 0       without; how many are in turn is a guess then
    python -m benchmarks storage --quick append  few arrays and chunks, some cases only

Each case runs in a process of its own, on a repository that its library has made; one that takes
more than 10 seconds is not repeated. Times are medians. Requests are counted by a proxy between
the library and the server, from when the interesting part begins until it ends. Two requests are
*in turn* if one begins after the other has ended; the number given is that of the longest such
row, which is what a slow network makes one wait for.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from benchmarks.common import Goal
from benchmarks.report import aligned, machine, spread, verdicts, wanted
from benchmarks.storage_worker import CASES, GOALS, titles
from tests.servers.proxy import Proxy, delay, proxy, rounds
from tests.servers.s3 import ministack

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


class Worker:
    """A process with one library, whose requests go through the proxy."""

    def __init__(self, library: str, between: Proxy, quick: bool) -> None:
        command = [sys.executable, "-m", "benchmarks.storage_worker", library, between.address]
        self._between = between
        self._process = subprocess.Popen(
            [*command, "--quick"] if quick else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _say(self, line: str) -> None:
        print(line, file=self._process.stdin, flush=True)

    def _hear(self, word: str) -> str:
        assert self._process.stdout is not None
        return _expect(self._process.stdout.readline(), word)

    def run(self, case: str, seconds: float) -> Traffic:
        """Run a case, and look what goes through the proxy meanwhile."""
        between = self._between
        self._say(case)
        self._hear("ready")
        between.reset()
        between.plan = lambda request: delay(seconds)
        self._say("go")
        took = float(self._hear("done"))
        requests = list(between.requests)
        between.reset()
        return Traffic(
            len(requests),
            rounds(requests),
            sum(request.sent for request in requests),
            sum(request.received for request in requests),
            took,
        )

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _expect(line: str, word: str) -> str:
    found, _, rest = line.strip().partition(" ")
    if found != word:
        raise SystemExit("a worker has failed: the error is above")
    return rest


Turns = Sequence[tuple[Traffic, Traffic]]
"""Traffic of Frazil and of icechunk."""


def _row(case: str, title: str, turns: Turns) -> list[str]:
    goal = GOALS.get(case, Goal())
    ours, theirs = (list(one) for one in zip(*turns, strict=True))
    ratios = [their.seconds / our.seconds for our, their in turns]
    reached = verdicts(
        goal,
        icechunk=statistics.median(ratios),
        requests=ours[-1].requests / theirs[-1].requests,
    )
    cells = (
        dataclasses.replace(
            one[-1], seconds=statistics.median(traffic.seconds for traffic in one)
        ).cells()
        for one in (ours, theirs)
    )
    return [title, wanted(goal), reached, spread(ratios), *chain(*cells), str(len(turns))]


def table(measured: Mapping[str, Turns], quick: bool) -> str:
    """Markdown."""
    head = [
        *("case", "goal", "reached", "times icechunk"),
        *("Frazil: requests (in turn)", "KiB up", "KiB down", "s"),
        *("icechunk: requests (in turn)", "KiB up", "KiB down", "s", "runs"),
    ]
    rows = [_row(case, titles(quick)[case], turns) for case, turns in measured.items()]
    return aligned([head, *rows])


def notes(milliseconds: float) -> str:
    """What the figures of the table mean."""
    return (
        f"On MiniStack, through a proxy that adds {milliseconds:g} ms to each request. "
        "In turn: the most requests of which each began after the one before had ended."
    )


LONG_SECONDS = 10.0
"""A case that takes longer with both libraries is not repeated."""


def measure(
    cases: Collection[str], milliseconds: float = 30, repeats: int = 1, quick: bool = False
) -> dict[str, Turns]:
    """Run cases on a server that is started for this; `NotInstalled` if it is not there."""
    measured: dict[str, Turns] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        ministack(Path(folder)) as server,
        proxy(server.address) as between,
        ExitStack() as stack,
    ):

        @cache
        def kept(library: str) -> Worker:
            worker = Worker(library, between, quick)
            stack.callback(worker.end)
            return worker

        def one(library: str, case: str) -> Traffic:
            if quick:
                return kept(library).run(case, milliseconds / 1000)
            worker = Worker(library, between, quick)
            try:
                return worker.run(case, milliseconds / 1000 * (case != "prepare"))
            finally:
                worker.end()

        for library in LIBRARIES:
            one(library, "prepare")
        for case in CASES:
            if case not in cases:
                continue
            print(f"S3: {case}", file=sys.stderr, flush=True)
            turns = []
            while len(turns) < repeats and sum(t.seconds for t in chain(*turns)) < LONG_SECONDS:
                ours, theirs = (one(library, case) for library in LIBRARIES)
                turns.append((ours, theirs))
            measured[case] = turns
    return measured


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks storage", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--delay", type=float, default=30, help="milliseconds for each request")
    parser.add_argument("--repeats", type=int, default=1, help="runs per case and library")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    measured = measure(given.cases or CASES, given.delay, given.repeats, given.quick)
    print(f"{table(measured, given.quick)}\n\n{machine()}\n{notes(given.delay)}")
