"""Locks and forks: real child processes, each with one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from frazil.storage import fork
from frazil.storage.fork import ForksafeLock, ForksafeRLock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def in_child(call: Callable[[], object]) -> str:
    """What the call says in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(call())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said_there:
        found = said_there.read()
    os.waitpid(child, 0)
    return found


@contextmanager
def held_by_another_thread(
    lock: ForksafeLock | ForksafeRLock, until: threading.Event
) -> Iterator[None]:
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            until.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        yield
    finally:
        until.set()
        thread.join()


def take(lock: ForksafeLock | ForksafeRLock) -> str:
    with lock:
        return "taken"


def spoiled() -> Exception:
    return RuntimeError("half done")


def test_a_short_lock_is_free_in_a_child() -> None:
    lock = ForksafeLock()
    with held_by_another_thread(lock, threading.Event()):
        assert in_child(lambda: take(lock)) == "taken"


def test_a_fork_waits_for_a_long_lock() -> None:
    lock, until = ForksafeRLock(spoiled), threading.Event()
    with held_by_another_thread(lock, until):
        threading.Timer(0.05, until.set).start()
        assert in_child(lambda: take(lock)) == "taken"
    assert take(lock) == "taken"


def test_a_child_is_told_of_what_another_thread_was_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "FORK_PATIENCE", 0.01)
    lock, other = ForksafeRLock(spoiled), ForksafeRLock(spoiled)
    with held_by_another_thread(lock, threading.Event()):
        assert in_child(lambda: take(lock)) == "RuntimeError: half done"
        assert in_child(lambda: take(other)) == "taken"
    assert take(lock) == "taken"
    assert in_child(lambda: take(lock)) == "taken"


def test_a_thread_that_holds_a_lock_can_fork() -> None:
    lock = ForksafeRLock(spoiled)
    with lock, lock:
        assert in_child(lambda: take(lock)) == "taken"
    with held_by_another_thread(lock, threading.Event()):
        pass  # it is free here


def test_hooks_are_called_when_the_locks_are_taken() -> None:
    lock, calls = ForksafeRLock(spoiled), []
    taken_elsewhere: list[bool] = []

    def before() -> None:
        thread = threading.Thread(
            target=lambda: taken_elsewhere.append(lock.before_fork(deadline=0))
        )
        thread.start()
        thread.join()
        calls.append("before")

    fork.around_forks(before, lambda: calls.append("after"))
    try:
        assert in_child(lambda: calls) == "['before', 'after']"
    finally:
        fork._hooks.pop()
    assert calls == ["before", "after"]
    assert taken_elsewhere == [False]
