"""Runs of cases in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import BY_NAME
from benchmarks.common import Case, Peer, Sizes
from benchmarks.report import Sample


@dataclass(frozen=True)
class Variant:
    """A library or a peer, and how it is set."""

    name: str
    program: str
    environment: tuple[tuple[str, str], ...] = ()


FRAZIL, ICECHUNK = Variant("frazil", "frazil"), Variant("icechunk", "icechunk")
UNSYNCED = Variant("no fsync", "frazil", (("FRAZIL_FSYNC", "0"),))


class Worker:
    """A process that does parts of cases."""

    def __init__(self, variant: Variant) -> None:
        self._name = variant.name
        environment = {k: v for k, v in os.environ.items() if k != "FRAZIL_FSYNC"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", variant.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | dict(variant.environment),
        )

    def do(self, part: str, case: str, folder: Path, sizes: Sizes) -> Sample:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        job = {"part": part, "case": case, "folder": str(folder)}
        print(json.dumps(job | {"sizes": dataclasses.asdict(sizes)}), file=stdin, flush=True)
        answer = stdout.readline()
        if not answer:
            raise SystemExit(f"{case} failed with {self._name}: the error is above")
        return Sample(**json.loads(answer))

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Runs:
    """Repositories that were made for cases, and the processes that work on them.

    shared: one process for all runs of a library, which saves its start; peaks then mean little.
    """

    def __init__(self, work: Path, sizes: Sizes, *, shared: bool = False) -> None:
        self._work = work
        self._sizes = sizes
        self._workers: dict[str, Worker] | None = {} if shared else None

    @contextmanager
    def _worker(self, variant: Variant) -> Iterator[Worker]:
        if self._workers is None:
            worker = Worker(variant)
            try:
                yield worker
            finally:
                worker.end()
        else:
            if variant.name not in self._workers:
                self._workers[variant.name] = Worker(variant)
            yield self._workers[variant.name]

    def end(self) -> None:
        for worker in (self._workers or {}).values():
            worker.end()

    def one(self, case: Case, variant: Variant, peer: Peer | None = None) -> Sample:
        """Run a case once. What is prepared is kept, what a run makes is removed."""
        owner = BY_NAME[case.shares] if case.shares else case
        folder = self._work / f"{owner.name}-{variant.program.replace(' ', '-')}"
        prepare: Any = owner.prepare if peer is None else peer.prepare
        if prepare is not None and not folder.exists():
            with self._worker(variant) as worker:
                worker.do("prepare", owner.name, folder, self._sizes)
        with self._worker(variant) as worker:
            sample = worker.do("run", case.name, folder, self._sizes)
        if prepare is None:
            shutil.rmtree(folder)
        return sample
