"""The lock of a folder, between the threads of this process and between processes.

The system releases it when its process ends, however it ends. A fork waits until no thread
of its process holds one, so no child inherits it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from frazil.errors import ErrorKind, StorageError
from frazil.storage import osfiles
from frazil.storage.fork import around_forks

LOCK_NAME = f".frazil-lock{osfiles.UNLISTED}0"
TURN_NAME = f".frazil-turn{osfiles.UNLISTED}0"
"""Where losers of a race wait for each other, see `Backend.turn`."""
PATIENCE = 60.0
"""Seconds to wait for other processes. A holder needs milliseconds: it writes one file."""

_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02


class RootLock:
    """The lock of one folder; get it with `root_lock`."""

    def __init__(self, root: str, name: str) -> None:
        self._root = root
        self.path = os.path.join(root, name)
        # Reentrant, so that a fork inside a signal handler does not wait for itself.
        self._mutex = threading.RLock()
        self._depth = 0
        self._file = -1

    def is_of(self, root: str) -> bool:
        """Whether this is the lock of the folder that `root` leads to now."""
        try:
            return os.path.samestat(os.stat(self._root), os.stat(root))
        except FileNotFoundError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; `StorageError` if that cannot be or takes longer than `PATIENCE`."""
        deadline = time.monotonic() + PATIENCE
        pause = _FIRST_PAUSE
        while not self._acquire():
            if time.monotonic() > deadline:
                raise StorageError(
                    f"waited {PATIENCE:.0f} seconds for another process to release the lock "
                    f"{self.path}; a process that writes to this repository seems to hang",
                    ErrorKind.STORAGE_OTHER,
                )
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, _LAST_PAUSE)
        try:
            yield
        finally:
            try:
                self._depth -= 1
                if not self._depth:
                    osfiles.unlock(self._file)
            except OSError as error:
                raise osfiles.storage_error(error, "unlock", self.path) from error
            finally:
                self._mutex.release()

    def _acquire(self) -> bool:
        # The mutex is not kept while waiting, so that a fork waits for a holder only.
        self._mutex.acquire()
        try:
            if not self._depth:
                file = self._lock_file()
                if file is None:
                    self._mutex.release()
                    return False
                self._file = file
            self._depth += 1
        except BaseException:
            self._mutex.release()
            raise
        return True

    def _lock_file(self) -> int | None:
        try:
            return osfiles.lock(self.path)
        except NotImplementedError as error:
            raise self._no_locks() from error
        except OSError as error:
            raise osfiles.storage_error(error, "lock", self.path) from error

    def _no_locks(self) -> StorageError:
        return StorageError(
            f"cannot lock {self.path}: this file system has no locks, so concurrent commits "
            "would be lost; keep the repository on another file system",
            ErrorKind.IO,
        )

    def before_fork(self) -> None:
        """Wait until no other thread holds the lock, and keep it from being taken."""
        self._mutex.acquire()

    def after_fork(self) -> None:
        """Let it be taken again."""
        self._mutex.release()


_locks: dict[str, RootLock] = {}
_kept: list[RootLock] = []


def root_lock(root: str, name: str = LOCK_NAME) -> RootLock:
    """The one lock of this name and process for a folder that exists, by whatever path."""
    path = os.path.realpath(root)
    key = os.path.join(path, name)
    return _locks.get(key) or _locks.setdefault(key, RootLock(path, name))


def _before_fork() -> None:
    for lock in list(_locks.values()):
        lock.before_fork()
        _kept.append(lock)


def _after_fork() -> None:
    while _kept:
        _kept.pop().after_fork()


around_forks(_before_fork, _after_fork)
