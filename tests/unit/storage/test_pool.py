"""Running a function over many items on the bounded pool."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from frazil.storage.pool import WORKERS, io_pool, map_parallel


def test_results_are_in_the_order_of_the_items() -> None:
    assert map_parallel(lambda i: i * i, range(500)) == [i * i for i in range(500)]
    assert map_parallel(str, iter([])) == []
    assert map_parallel(str, [1]) == ["1"]


def test_items_run_at_the_same_time_and_no_more_than_the_pool_allows() -> None:
    together = threading.Barrier(8)
    map_parallel(lambda _: together.wait(timeout=30), range(8))
    lock = threading.Lock()
    running = 0
    most = 0

    def count(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1

    map_parallel(count, range(10 * WORKERS))
    assert 1 < most <= WORKERS + 1


def test_the_first_error_stops_the_rest() -> None:
    begun = []

    def fail(i: int) -> None:
        begun.append(i)
        raise ValueError(f"item {i}")

    with pytest.raises(ValueError, match="item"):
        map_parallel(fail, range(10_000))
    assert len(begun) <= WORKERS + 1


def test_what_has_begun_has_ended_when_the_error_is_raised() -> None:
    begun = threading.Event()
    ended = []

    def work(i: int) -> None:
        if i == 0:
            begun.wait(timeout=30)
            raise KeyError(i)
        begun.set()
        threading.Event().wait(0.05)
        ended.append(i)

    with pytest.raises(KeyError):
        map_parallel(work, [0, 1])
    assert ended == [1]


def test_calls_inside_calls() -> None:
    def deep(level: int) -> int:
        if level == 0:
            return 1
        return sum(map_parallel(deep, [level - 1] * 8))

    assert sum(map_parallel(deep, [2] * (2 * WORKERS))) == 2 * WORKERS * 64


def test_a_pool_full_of_waiting_threads_stops_nobody() -> None:
    release = threading.Event()
    waiting = [io_pool().submit(release.wait, 60) for _ in range(2 * WORKERS)]
    try:
        assert map_parallel(lambda i: -i, range(100)) == [-i for i in range(100)]
    finally:
        release.set()
    assert all(future.result() for future in waiting)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    release = threading.Event()
    busy = [io_pool().submit(release.wait, 60) for _ in range(WORKERS)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if map_parallel(lambda i: i + 1, range(200)) == list(range(1, 201)) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    release.set()
    assert all(future.result() for future in busy)


def test_it_works_while_the_interpreter_ends() -> None:
    code = (
        "import atexit\n"
        "from frazil.storage.pool import io_pool, map_parallel\n"
        "io_pool()\n"
        "atexit.register(lambda: print(sum(map_parallel(int, range(100)))))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "4950\n"
    assert ran.stderr == ""


def test_at_most_so_many_at_a_time() -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def work(item: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0)
        with lock:
            running[0] -= 1
        return item

    for limit in (1, 2):
        assert map_parallel(work, range(200), limit=limit) == list(range(200))
        assert most[0] <= limit
