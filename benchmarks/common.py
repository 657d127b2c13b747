"""What a case is, what it should reach, how large it is, and how it takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.memory import forget_peak, peak_memory

Lib = Any  # the module frazil or icechunk: the same names


@dataclass(frozen=True)
class Sizes:
    """How large the cases are. Chunks are counted, chunk sizes are in bytes."""

    small_chunks: int = 20_000
    small_chunk_bytes: int = 8 * 1024
    large_chunks: int = 200
    large_chunk_bytes: int = 4 * 1024 * 1024
    references: int = 1_000_000
    nodes: int = 10_000
    commits: int = 1_000
    many_nodes: int = 100_000
    snapshots: int = 100_000
    compared: int = 1_000
    variables: int = 500
    appends: int = 200
    virtual_reads: int = 10_000
    random_reads: int = 10_000
    shards_along: int = 4
    boxes: int = 200
    arrays: int = 2_000
    steps: int = 200
    members: int = 10_000
    collected: int = 1_000_000
    kept: int = 2_000
    committers: int = 4


FULL = Sizes()
SHORT = replace(
    FULL,
    large_chunks=50,
    random_reads=1_000,
    commits=100,
    steps=3,
    collected=100_000,
    boxes=50,
)
"""As large where size decides, smaller where the same is done again and again."""
QUICK = Sizes(
    small_chunks=100,
    large_chunks=4,
    large_chunk_bytes=1024 * 1024,
    references=5_000,
    nodes=60,
    commits=8,
    many_nodes=1_000,
    snapshots=1_000,
    compared=10,
    variables=20,
    appends=4,
    virtual_reads=200,
    random_reads=20,
    shards_along=2,
    boxes=4,
    arrays=20,
    steps=1,
    members=100,
    collected=1_000,
    kept=40,
    committers=2,
)


@dataclass(frozen=True)
class Goal:
    """What is to be reached: how many times faster than icechunk, and than the best peer.

    memory, requests: at most this part of icechunk's; unsynced: all without waiting for the disk.
    """

    icechunk: float | None = None
    peers: float | None = None
    memory: float | None = None
    requests: float | None = None
    unsynced: bool = False


class Clock:
    """Adds up the seconds of the parts that count, and keeps the most memory that they had."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak = 0  # bytes

    @contextmanager
    def running(self) -> Iterator[None]:
        forget_peak()
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start
        self.peak = max(self.peak, peak_memory())


@dataclass(frozen=True)
class Peer:
    """Another program that does the work of a case, if the module that it needs is there."""

    name: str
    module: str
    run: Callable[[Path, Sizes], Clock]
    prepare: Callable[[Path, Sizes], None] | None = None
    waits: bool = True  # for the disk, as Frazil does by default

    @property
    def is_there(self) -> bool:
        return find_spec(self.module) is not None


@dataclass(frozen=True)
class Case:
    name: str
    title: Callable[[Sizes], str]
    run: Callable[[Lib, Path, Sizes], Clock]
    prepare: Callable[[Lib, Path, Sizes], None] | None = None
    shares: str | None = None  # the case whose prepared repository this one uses too
    commits: bool = False  # waits for the disk, so that not waiting is measured as well
    goal: Goal | None = None
    slow: bool = False  # to prepare, so that it is not in the short run
    peers: tuple[Peer, ...] = ()


def create(lib: Lib, folder: Path) -> Any:
    return lib.Repository.create(lib.local_filesystem_storage(str(folder)))


def open_(lib: Lib, folder: Path) -> Any:
    return lib.Repository.open(lib.local_filesystem_storage(str(folder)))


def checked(clock: Clock, found: int, expected: int, what: str) -> Clock:
    """The clock again, if as much was found as should be there."""
    if found != expected:
        raise AssertionError(f"found {found} {what} instead of {expected}")
    return clock
