"""The cache: its budget, and that readers of one key share one fetch."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.library.cache import Cache, CacheUse


def cache(budget: int) -> Cache[str, bytes]:
    return Cache(budget, len)


def test_the_least_recently_used_make_room() -> None:
    kept = cache(10)
    for key in "abc":
        kept.put(key, bytes(3))
    assert kept.get("a") == bytes(3)  # used again, so b is the oldest now
    kept.put("d", bytes(4))
    assert [kept.get(key) is not None for key in "abcd"] == [True, False, True, True]


def test_a_value_over_the_budget_is_handed_out_but_not_kept() -> None:
    kept = cache(10)
    kept.put("small", bytes(5))
    assert kept.load("large", lambda: bytes(11)) == bytes(11)
    assert kept.get("large") is None
    assert kept.get("small") is not None


def test_a_value_that_replaces_another_counts_once() -> None:
    kept = cache(10)
    for size in (9, 2, 8):
        kept.put("a", bytes(size))
    kept.put("b", bytes(2))
    assert kept.get("a") == bytes(8)
    assert kept.get("b") == bytes(2)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=30),
    st.integers(0, 15),
)
def test_never_more_than_the_budget_and_always_the_newest(
    puts: list[tuple[str, int]], budget: int
) -> None:
    kept = cache(budget)
    for key, size in puts:
        kept.put(key, bytes(size))
        held = [value for name in "abcdef" if (value := kept.get(name)) is not None]
        assert sum(map(len, held)) <= budget
        assert (kept.get(key) is not None) == (size <= budget)


def test_many_readers_of_a_key_share_one_fetch() -> None:
    kept = cache(100)
    fetches: list[int] = []
    all_ask = threading.Barrier(8)
    release = threading.Event()

    def fetch() -> bytes:
        fetches.append(1)
        release.wait()
        return b"value"

    def read() -> bytes:
        all_ask.wait()
        return kept.load("a", fetch)

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(7)]
        all_ask.wait()
        assert kept.load("b", lambda: b"other") == b"other"  # nobody waits for another key
        release.set()
        assert [reader.result() for reader in readers] == [b"value"] * 7
    assert len(fetches) == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    kept = cache(100)
    started, release = threading.Event(), threading.Event()

    def fail() -> bytes:
        started.set()
        release.wait()
        raise OSError("no luck")

    def unused() -> bytes:
        raise AssertionError("fetched although somebody does")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.load, "a", fail)
        started.wait()
        waits = pool.submit(kept.load, "a", unused)
        while not waits.running():
            pass
        # The second has joined when it waits; before that it would fetch by itself.
        while not kept._loading[os.getpid(), "a"]._condition._waiters:
            pass
        release.set()
        for reader in (first, waits):
            with pytest.raises(OSError, match="no luck"):
                reader.result()
    assert kept.load("a", lambda: b"now") == b"now"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_fetch() -> None:
    kept = cache(100)
    started, release = threading.Event(), threading.Event()

    def slow() -> bytes:
        started.set()
        release.wait()
        return b"parent"

    reader = threading.Thread(target=kept.load, args=("a", slow))
    reader.start()
    started.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if kept.load("a", lambda: b"child") == b"child" else 1)
    status = os.waitpid(child, 0)[1]
    release.set()
    reader.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert kept.get("a") == b"parent"


def test_what_good_it_has_done() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    cache.load("a", lambda: b"aaaa")
    cache.load("a", lambda: b"aaaa")
    assert cache.get("a") == b"aaaa"
    assert cache.get("b") is None
    assert cache.use() == CacheUse(hits=2, misses=1, entries=1, nbytes=4, budget=10)


def test_a_smaller_budget_takes_effect_at_once() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    cache.put("a", b"aaaa")
    cache.put("b", b"bbbb")
    cache.resize(5)
    assert (cache.get("a"), cache.get("b")) == (None, b"bbbb")
    cache.resize(0)
    assert cache.use().entries == 0


def test_what_is_being_fetched_is_dropped_with_the_rest() -> None:
    """It may be what made it be dropped: the reader keeps it, nobody else sees it."""
    cache: Cache[str, bytes] = Cache(10, len)

    def fetch() -> bytes:
        cache.clear()
        assert cache.load("a", lambda: b"new") == b"new"
        return b"old"

    assert cache.load("a", fetch) == b"old"
    assert cache.get("a") == b"new"
