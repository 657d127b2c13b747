"""Runs several actors on one storage through the possible orders of their storage operations.

Each actor has a thread and a backend of its own around the same memory, and stops before every
operation until it is its turn: so an order of operations can be chosen, and repeated. Orders that
differ only in the order of operations that cannot see each other (two reads, or operations on
different objects) lead to the same, and only one of them is run: the *sleep sets* of partial
order reduction (Godefroid, LNCS 1032, chapter 5).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from typing_extensions import override

from frazil.engine import commit
from frazil.library.catalog_v2 import Retries
from frazil.storage import pool
from frazil.storage.base import Backend, Version, is_immutable
from frazil.storage.doubles import WRITES, Wrapper
from frazil.storage.memory import MemoryBackend

T = TypeVar("T")

TURN = "(the turn)"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Operation:
    """One operation before it is done: what it reads and what it writes."""

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    lists: str | None = None

    def meets(self, other: Operation) -> bool:
        """Whether the order of the two can make a difference."""
        return self._disturbs(other) or other._disturbs(self)

    def _disturbs(self, other: Operation) -> bool:
        return any(
            key in other.reads
            or key in other.writes
            or (other.lists is not None and key.startswith(other.lists))
            for key in self.writes
        )

    @property
    def is_visible(self) -> bool:
        """Whether a reader may see something else afterwards."""
        return self.name == "delete" or any(
            key != TURN and not is_immutable(key) for key in self.writes
        )

    def __str__(self) -> str:
        return f"{self.name} {' '.join([*self.writes, *self.reads]) or self.lists or ''}"


class Actor:
    """A thread that stops before each operation of its storage."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: Operation | None = None
        self.result: Any = None
        self.error: Exception | None = None
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._gated = False
        self._thread: threading.Thread | None = None

    def begin(self, work: Callable[[], object]) -> None:
        """Start, and run up to the first operation."""

        def run() -> None:
            try:
                self.result = work()
            except Exception as error:
                self.error = error
            self.pending = None
            self._stopped.release()

        self._gated = True
        self._thread = threading.Thread(target=run, name=self.name, daemon=True)
        self._thread.start()
        self._wait()

    def before(self, operation: Operation) -> None:
        """Called by the storage: wait for permission."""
        if self._gated:
            self.pending = operation
            self._stopped.release()
            self._go.acquire()

    def step(self) -> None:
        """Do the pending operation and all up to the next one."""
        self._go.release()
        self._wait()

    def let_go(self) -> None:
        """Stop no more, and do what is left."""
        self._gated = False
        self._go.release()

    def join(self) -> None:
        """Wait for the end."""
        assert self._thread is not None
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=PATIENCE_SECONDS), f"{self.name} hangs"


class Turns:
    """The line of those that have lost a race."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holder: Actor | None = None


class Gated(Wrapper):
    """The storage as one actor uses it."""

    def __init__(self, inner: Backend, actor: Actor, turns: Turns) -> None:
        super().__init__(inner)
        self._actor = actor
        self._turns = turns

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        if operation == "list":
            self._actor.before(Operation(operation, lists=f"{key}/" if key else ""))
        elif operation in WRITES - {"sync"}:
            self._actor.before(Operation(operation, writes=(key,)))
        elif operation != "sync":
            self._actor.before(Operation(operation, reads=(key,)))
        return call()

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        self._actor.before(Operation("copy", reads=(source,), writes=(target,)))
        self.inner.copy(source, target, version=version)

    @override
    def turn(self) -> AbstractContextManager[object]:
        return self._turn()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._actor.before(Operation("take", writes=(TURN,)))
        with self._turns.lock:  # free, unless nobody is scheduled any more
            self._turns.holder = self._actor
            try:
                yield
            finally:
                self._turns.holder = None


@dataclass
class Place:
    """A storage in memory of which cheap copies are made."""

    backend: MemoryBackend = field(default_factory=MemoryBackend)

    def copy(self) -> MemoryBackend:
        """Another storage with the same objects."""
        other = MemoryBackend()
        other._objects = dict(self.backend._objects)
        other._tokens = _after(self.backend)
        return other


def _after(backend: MemoryBackend) -> Any:
    newest = max((int(found.version.token) for found in backend._objects.values()), default=0)
    return iter(range(newest + 1, 10**9))


@dataclass
class Run:
    """One order of operations, while it is run."""

    backend: MemoryBackend
    actors: list[Actor]
    turns: Turns
    trace: list[str] = field(default_factory=list)

    def enabled(self) -> list[int]:
        """The actors that can go on."""
        return [
            i
            for i, actor in enumerate(self.actors)
            if actor.pending is not None
            and not (actor.pending.name == "take" and self.turns.holder is not None)
        ]

    def __str__(self) -> str:
        return "\n".join(self.trace)


Works = Sequence[Callable[[], object]]
Prepare = Callable[[MemoryBackend, Callable[[int], Backend]], Works]
"""Given the storage, and each actor's own view of it by number: what the actors do."""


@dataclass
class Scenario:
    """What is run in every order.

    prepare: makes the actors' work, and may use their storages, not yet in any order;
    visible: called whenever a reader may see something new; end: called after all.
    """

    place: Place
    prepare: Prepare
    visible: Callable[[MemoryBackend], None]
    end: Callable[[MemoryBackend, list[Actor]], None]


@dataclass
class _Choice:
    options: list[int]
    asleep: set[int]
    chosen: int
    tried: set[int] = field(default_factory=set)


class Pruned(Exception):
    """Every continuation of this order has been run in another order."""


def every_order(
    scenario: Scenario, limit: int, *, interruptions: int | None = None
) -> tuple[int, bool]:
    """Run each order that can make a difference; how many there were, and whether that was all.

    interruptions: only those orders in which an actor that could go on has to wait for another
    one so many times at most (the *preemption bound* of Musuvathi and Qadeer, PLDI 2007).
    """
    choices: list[_Choice] = []
    runs = 0
    while True:
        try:
            _run(scenario, _Depth(choices, interruptions))
            runs += 1
        except Pruned:
            pass
        if runs >= limit:
            return runs, False
        while choices:
            last = choices[-1]
            last.tried.add(last.chosen)
            left = [o for o in last.options if o not in last.tried | last.asleep]
            if left:
                last.chosen = left[0]
                break
            choices.pop()
        else:
            return runs, True


def some_orders(scenario: Scenario, count: int, seed: int) -> None:
    """Run so many orders drawn at random."""
    chance = random.Random(seed)
    for _ in range(count):
        _run(scenario, _Chance(chance))


class _Chance:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    is_new = True

    def choose(self, run: Run, enabled: list[int]) -> int:
        return self._chance.choice(enabled)


class _Depth:
    """Follows the choices as far as there are any, then takes the first that is not asleep."""

    def __init__(self, choices: list[_Choice], interruptions: int | None) -> None:
        self._choices = choices
        self._known = len(choices)
        self._next = 0
        self._asleep: set[int] = set()
        self._left = interruptions
        self._running: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether no run before this one has been here: the last known choice is another now."""
        return self._next >= self._known

    def choose(self, run: Run, enabled: list[int]) -> int:
        if self._left is not None:
            return self._bounded(enabled)
        if self._next == len(self._choices):
            awake = [i for i in enabled if i not in self._asleep]
            if not awake:
                raise Pruned
            self._choices.append(_Choice(enabled, set(self._asleep), awake[0]))
        choice = self._chosen(enabled)
        operation = _pending(run, choice.chosen)
        self._asleep = {
            i
            for i in choice.asleep | choice.tried
            if i != choice.chosen and not _pending(run, i).meets(operation)
        }
        return choice.chosen

    def _bounded(self, enabled: list[int]) -> int:
        # All are awake: an order that is left out may have had fewer interruptions.
        assert self._left is not None
        interrupts = self._running in enabled
        if interrupts and not self._left:
            enabled = [i for i in enabled if i == self._running]
        if self._next == len(self._choices):
            first = self._running if interrupts else enabled[0]
            assert first is not None
            self._choices.append(_Choice(enabled, set(), first))
        chosen = self._chosen(enabled).chosen
        self._left -= interrupts and chosen != self._running
        self._running = chosen
        return chosen

    def _chosen(self, enabled: list[int]) -> _Choice:
        choice = self._choices[self._next]
        assert choice.options == enabled, "the same choices led somewhere else"
        self._next += 1
        return choice


def _pending(run: Run, i: int) -> Operation:
    operation = run.actors[i].pending
    assert operation is not None
    return operation


def _run(scenario: Scenario, strategy: _Chance | _Depth) -> None:
    backend, turns = scenario.place.copy(), Turns()
    actors: list[Actor] = []

    def view(number: int) -> Backend:
        while len(actors) <= number:
            actors.append(Actor(f"actor {len(actors)}"))
        return Gated(backend, actors[number], turns)

    works = scenario.prepare(backend, view)
    run = Run(backend, actors, turns)
    try:
        for actor, work in zip(actors, works, strict=True):
            actor.begin(work)
        while enabled := run.enabled():
            chosen = strategy.choose(run, enabled)
            operation = _pending(run, chosen)
            run.trace.append(f"{actors[chosen].name}: {operation}")
            actors[chosen].step()
            if operation.is_visible and strategy.is_new:
                scenario.visible(backend)
        assert all(actor.pending is None for actor in actors), "everybody waits for the turn"
        scenario.end(backend, actors)
    except Pruned:
        raise
    except Exception as error:
        error.add_note(f"in this order:\n{run}")
        for actor in actors:
            error.add_note(f"{actor.name}: {actor.error or actor.result!r}")
        raise
    finally:
        _finish(actors)


def _finish(actors: Iterable[Actor]) -> None:
    for actor in actors:
        actor.let_go()
    for actor in actors:
        actor.join()


def prepare_process(patch: pytest.MonkeyPatch) -> None:
    """No pauses, and an actor's requests on one thread, one after another."""
    pool.io_pool()  # made before it may have no threads
    patch.setattr(pool, "WORKERS", 0)
    patch.setattr(commit, "pause", lambda attempts: 0.0)
    patch.setattr(Retries, "pause", lambda self, failures: 0.0)
