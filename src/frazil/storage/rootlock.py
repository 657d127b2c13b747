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
from contextlib import contextmanager, suppress

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from frazil.errors import ErrorKind, StorageError
from frazil.storage import osfiles

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
        self._file = self._new_file()
        # Reentrant, so that a fork inside a signal handler does not wait for itself.
        self._mutex = threading.RLock()

    def is_of(self, root: str) -> bool:
        """Whether this is the lock of the folder that `root` leads to now."""
        try:
            return os.path.samestat(os.stat(self._root), os.stat(root))
        except FileNotFoundError:
            return False

    def _new_file(self) -> BaseFileLock:
        return FileLock(self.path, thread_local=False)

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
                self._file.release()
            except OSError as error:
                raise osfiles.storage_error(error, "unlock", self.path) from error
            finally:
                self._mutex.release()

    def _acquire(self) -> bool:
        # The mutex is not kept while waiting, so that a fork waits for a holder only.
        self._mutex.acquire()
        try:
            self._lock_file()
        except Timeout:
            self._mutex.release()
            return False
        except BaseException:
            self._mutex.release()
            raise
        return True

    def _lock_file(self) -> None:
        try:
            with suppress(FileNotFoundError):
                osfiles.refuse_link(os.lstat(self.path), self.path)
            self._file.acquire(timeout=0)
        except Timeout:
            raise
        except NotImplementedError as error:
            raise self._no_locks() from error
        except OSError as error:
            raise osfiles.storage_error(error, "lock", self.path) from error
        if isinstance(self._file, SoftFileLock):
            # A mere file, which a process that dies leaves behind for ever.
            self._file.release()
            raise self._no_locks()

    def _no_locks(self) -> StorageError:
        return StorageError(
            f"cannot lock {self.path}: this file system has no locks, so concurrent commits "
            "would be lost; keep the repository on another file system",
            ErrorKind.IO,
        )

    def before_fork(self) -> None:
        """Wait until no other thread holds the lock, and keep it from being taken."""
        self._mutex.acquire()

    def after_fork(self, child: bool) -> None:
        """Let it be taken again."""
        if child:
            self._file = self._new_file()  # filelock lets no child use what it inherits
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


def _after_fork(child: bool) -> None:
    while _kept:
        _kept.pop().after_fork(child)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
