"""A cache with a byte budget, in which concurrent readers of one file share one fetch."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from frazil.storage.fork import ForksafeLock
from frazil.telemetry import effort

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How often a value was in a cache, and how often it had to be fetched; what it holds."""

    hits: int
    misses: int
    entries: int
    nbytes: int
    budget: int


class Cache(Generic[K, V]):
    """Least recently used values up to `budget` bytes; larger ones are not kept.

    Values must never change: entries are not invalidated, only displaced, or all of them dropped,
    and with them what is being fetched in this moment.
    """

    def __init__(self, budget: int, size_of: Callable[[V], int]) -> None:
        self._budget = budget
        self._size_of = size_of
        self._used = 0
        self._hits = 0
        self._misses = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        # By process too: after a fork, a fetch of the parent's threads never ends here.
        self._loading: dict[tuple[int, K], Future[V]] = {}
        self._cleared = 0
        self._lock = ForksafeLock()

    def get(self, key: K) -> V | None:
        """The cached value, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            self._hits += 1
        _tell(cache_hits=1)
        return entry[0]

    def copy(self) -> Cache[K, V]:
        """Another one, with the same values."""
        with self._lock:
            other = Cache[K, V](self._budget, self._size_of)
            other._entries, other._used = OrderedDict(self._entries), self._used
        return other

    def clear(self) -> None:
        """Keep nothing of what is there."""
        with self._lock:
            self._entries.clear()
            self._loading.clear()
            self._cleared += 1
            self._used = 0

    def resize(self, budget: int) -> None:
        """Keep up to so many bytes from now on."""
        with self._lock:
            self._budget = budget
            self._shrink()

    def use(self) -> CacheUse:
        """What it holds, and what good it has done."""
        with self._lock:
            return CacheUse(self._hits, self._misses, len(self._entries), self._used, self._budget)

    def put(self, key: K, value: V) -> None:
        """Keep a value that the caller already has."""
        self._keep(key, value, None)

    def _keep(self, key: K, value: V, cleared: int | None) -> None:
        """Keep a value, unless all of them were dropped since `cleared` was read."""
        size = self._size_of(value)
        with self._lock:
            if cleared not in (None, self._cleared):
                return
            old = self._entries.pop(key, None)
            if old is not None:
                self._used -= old[1]
            if size > self._budget:
                return
            self._entries[key] = (value, size)
            self._used += size
            self._shrink()

    def _shrink(self) -> None:
        while self._used > self._budget:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._used -= dropped

    def load(self, key: K, fetch: Callable[[], V]) -> V:
        """The cached value, or what `fetch` returns; only one thread fetches a key."""
        with self._lock:
            cleared = self._cleared
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                self._hits += 1
            else:
                fetch_id = (os.getpid(), key)
                running = self._loading.get(fetch_id)
                if running is None:
                    self._misses += 1
                    mine: Future[V] = Future()
                    self._loading[fetch_id] = mine
        if entry is not None:
            _tell(cache_hits=1)
            return entry[0]
        if running is not None:
            return running.result()
        _tell(cache_misses=1)
        try:
            value = fetch()
        except BaseException as error:
            self._end(fetch_id, mine)
            mine.set_exception(error)
            raise
        self._keep(key, value, cleared)
        self._end(fetch_id, mine)
        mine.set_result(value)
        return value

    def _end(self, fetch_id: tuple[int, K], mine: Future[V]) -> None:
        with self._lock:
            if self._loading.get(fetch_id) is mine:
                del self._loading[fetch_id]


def _tell(**amounts: int) -> None:
    whole = effort()
    if whole is not None:
        whole.add(**amounts)
