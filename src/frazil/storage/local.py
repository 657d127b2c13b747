"""Objects as files in a folder of this machine, safe for any number of processes.

    <root>/<key>              an object; the segments of the key are spelled as in `keys`
    <root>/.frazil-lock#0     the lock of `rootlock`
    .frazil#<digits>          an unfinished file, next to what it will become

Every write makes a new file beside its target and renames it, so a file is never seen half
written and is never changed in place. What a reader has open stays as it was, and a hard
link is a true copy. Only a `Fresh` object, whose name nobody knows yet, is written under its
own name.

An immutable object is written without waiting for the disk and brought there by `sync`. A
mutable one is written under the lock: the version is compared with what is there, the new
file brought to the disk, renamed, and its name brought to the disk.

The environment variable FRAZIL_FSYNC=0, read when a backend is opened, leaves out all
waiting for the disk: for tests and data that may be lost when the power fails.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress, islice

import numpy as np
from typing_extensions import override

from frazil.errors import ErrorKind, StorageError
from frazil.storage import osfiles
from frazil.storage.base import (
    OVERWRITE,
    PAGE,
    UNVERSIONED,
    Backend,
    Create,
    Fetched,
    Fresh,
    Numbers,
    ObjectInfo,
    Overwrite,
    Page,
    PreconditionFailed,
    PutMode,
    Update,
    Version,
    is_immutable,
    not_found,
    resolve_range,
    too_short,
)
from frazil.storage.folders import Folders
from frazil.storage.keys import decode_key, encode_key, folder_prefix
from frazil.storage.many_files import look_at_files
from frazil.storage.rootlock import TURN_NAME, RootLock, root_lock
from frazil.storage.unsynced import Unsynced, flush_folder

_SETTLED_NS = 2_000_000_000
"""A file that was changed less than this before it was read may have been replaced within
the same tick of the clock, by one that looks the same from outside (git's racy rule)."""

_LARGE = 1 << 20
"""Bytes from which the disk starts on a file before `sync` asks for it."""

_REMEMBERED = 1024
_COMPARED = 1 << 20
"""Bytes of an object up to which it is kept to be compared with the next."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the object of a key is: `folder` as spelled in the key, `path` of the file."""

    folder: str
    folder_path: str
    path: str


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _time(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _waits_for_disk() -> bool:
    return os.environ.get("FRAZIL_FSYNC", "").strip().lower() not in ("0", "false", "no", "off")


def _page(folder: bytes, names: list[bytes], *, details: bool) -> Page:
    if not details:
        return Page(names)
    sizes, times = look_at_files(folder, names)
    there = sizes >= 0
    return Page(list(compress(names, there)), sizes[there], times[there])


class LocalBackend(Backend):
    """The objects below the folder `root`, which the first write makes."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(root)
        self._unsynced = Unsynced() if _waits_for_disk() else None
        self._folders = Folders(self._root, self._unsynced)
        self._versions: dict[str, tuple[tuple[int, ...], Version]] = {}
        self._hashed: tuple[bytes, Version] | None = None
        self._lock: RootLock | None = None

    # reading

    def _place(self, key: str) -> _Place:
        folder, _, name = encode_key(key).rpartition("/")
        path = self._folders.path(folder)
        return _Place(folder, path, f"{path}{os.sep}{name}")

    def _open(self, key: str, doing: str = "read") -> tuple[int, os.stat_result]:
        try:
            fd = osfiles.open_read(self._place(key).path)
        except OSError as error:
            raise self._error(error, doing, key) from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            wrong = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            raise self._error(wrong, doing, key)
        return fd, status

    def _read(self, fd: int, key: str, first: int, last: int) -> bytes:
        try:
            data = osfiles.read_at(fd, last - first, first)
        except OSError as error:
            raise self._error(error, "read", key) from error
        if len(data) != last - first:
            raise too_short(key, first, last, first + len(data))
        return data

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        fd, status = self._open(key)
        try:
            first, last = resolve_range(key, status.st_size, start, end)
            return self._read(fd, key, first, last)
        finally:
            os.close(fd)

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        fd, status = self._open(key)
        try:
            pieces = [resolve_range(key, status.st_size, start, end) for start, end in ranges]
            return [self._read(fd, key, first, last) for first, last in pieces]
        finally:
            os.close(fd)

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        now = time.time_ns()
        fd, status = self._open(key)
        try:
            identity = _identity(status)
            if unless is not None and self._versions.get(key) == (identity, unless):
                return None
            data = self._read(fd, key, 0, status.st_size)
        finally:
            os.close(fd)
        version = self._version(data)
        if now - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
            if len(self._versions) >= _REMEMBERED:
                self._versions.clear()
            self._versions[key] = (identity, version)
        return None if version == unless else Fetched(data, version, _time(status))

    @override
    def exists(self, key: str) -> bool:
        try:
            path = self._place(key).path
            status = os.stat(path, follow_symlinks=False)
            osfiles.refuse_link(status, path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._error(error, "look for", key) from error
        return stat.S_ISREG(status.st_mode)

    @override
    def info(self, key: str) -> ObjectInfo:
        try:
            path = self._place(key).path
            status = os.stat(path, follow_symlinks=False)
            osfiles.refuse_link(status, path)
        except OSError as error:
            raise self._error(error, "look at", key) from error
        if not stat.S_ISREG(status.st_mode):
            wrong = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            raise self._error(wrong, "look at", key)
        return ObjectInfo(key, status.st_size, _time(status))

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        start = folder_prefix(prefix).removesuffix("/")
        for spelling, status in self._files(encode_key(start) if start else ""):
            key = decode_key(spelling)
            if key is not None:
                yield ObjectInfo(key, status.st_size, _time(status))

    @override
    def pages(self, folder: str, *, details: bool = False) -> Iterator[Page]:
        # To look at a file takes ten times as long as to read its name.
        spelling = encode_key(folder_prefix(folder).removesuffix("/"))
        try:
            path = os.fsencode(self._folders.path(spelling))
            with os.scandir(path) as entries:
                # Not some entries at once: each takes more than its name.
                names = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
                while page := list(islice(names, PAGE)):
                    yield _page(path, page, details=details)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._error(error, "list", folder) from error

    @override
    def look_at(self, folder: str, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        try:
            path = self._folders.path(encode_key(folder))
            return look_at_files(path, [encode_key(name) for name in names])
        except FileNotFoundError:
            return np.full(len(names), -1, np.int64), np.zeros(len(names), np.int64)
        except OSError as error:
            raise self._error(error, "look at", folder) from error

    @override
    def remove_unfinished(self, before: datetime) -> int:
        limit, count, waiting = before.timestamp(), 0, [""]
        while waiting:
            folder = waiting.pop()
            for name, is_folder in self._names(folder):
                if is_folder:
                    waiting.append(f"{folder}/{name}" if folder else name)
                elif osfiles.is_scratch(name):
                    with suppress(OSError):  # gone by now, or for the next collection to remove
                        path = f"{self._folders.path(folder)}{os.sep}{name}"
                        status = os.lstat(path)
                        # Not by the time of its bytes alone: a copy in the making is a link to
                        # old ones.
                        if max(status.st_mtime, status.st_ctime) < limit:
                            count += osfiles.remove(path)
        return count

    def _names(self, folder: str) -> Iterator[tuple[str, bool]]:
        """What is in a folder and has the name of an unfinished file, or is a folder."""
        try:
            with os.scandir(self._folders.path(folder)) as entries:
                for entry in entries:
                    if osfiles.UNLISTED in entry.name and entry.is_file(follow_symlinks=False):
                        yield entry.name, False
                    elif entry.is_dir(follow_symlinks=False):
                        yield entry.name, True
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise self._error(error, "list", folder) from error

    def _files(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        """All files below a folder, as spelled on the disk."""
        waiting = [folder]
        while waiting:
            for spelling, status in self._entries(waiting.pop()):
                if stat.S_ISREG(status.st_mode):
                    yield spelling, status
                elif stat.S_ISDIR(status.st_mode) and not osfiles.is_link(status):
                    waiting.append(spelling)

    def _entries(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        try:
            path = self._folders.path(folder)
            with os.scandir(path) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # removed in this moment
                        status = entry.stat(follow_symlinks=False)
                        yield f"{folder}/{entry.name}" if folder else entry.name, status
        except FileNotFoundError:
            return
        except OSError as error:
            if folder and isinstance(error, NotADirectoryError):
                return  # an object has this name
            raise self._error(error, "list", folder) from error

    # writing

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        if isinstance(mode, Overwrite | Fresh) and is_immutable(key):
            try:  # no context manager here: this is the path of every chunk
                place = self._place_for_writing(key)
                if not (isinstance(mode, Fresh) and self._write_in_place(data, place)):
                    scratch = self._scratch(place)
                    osfiles.write_new(scratch, data, durable=False)
                    self._rename(scratch, place)
            except OSError as error:
                raise osfiles.storage_error(error, "write", self._path_of(key)) from error
            if len(data) >= _LARGE and self._unsynced is not None:
                self._unsynced.start(place.path)
            return UNVERSIONED
        with self._locked(key):
            self._require(key, mode)
            # Not before: what was compared there is the object whose hash is known.
            version = self._version(data)
            with self._translated("write", key):
                place = self._place_for_writing(key)
                scratch = self._scratch(place)
                osfiles.write_new(scratch, data, durable=self._unsynced is not None)
                if not (isinstance(mode, Create) and self._link(scratch, key, place)):
                    self._rename(scratch, place)
                self._settle(place)
        return version

    def _require(self, key: str, mode: PutMode) -> None:
        if isinstance(mode, Create) and self.exists(key):
            raise PreconditionFailed(f"object {key!r} exists already in {self._root}")
        if isinstance(mode, Update):
            try:
                changed = self.fetch(key, unless=mode.version) is not None
            except StorageError as error:
                if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                    raise
                changed = True
            if changed:
                raise self._moved_on(key)

    def _write_in_place(self, data: bytes | memoryview, place: _Place) -> bool:
        """Write the file under its own name; False if that is taken."""
        try:
            osfiles.write_new(place.path, data, durable=False)
        except FileExistsError:
            return False
        if self._unsynced is not None:
            self._unsynced.add_file(place.path, place.folder_path)
        return True

    def _rename(self, scratch: str, place: _Place) -> None:
        try:
            osfiles.replace(scratch, place.path)
        except BaseException:
            osfiles.remove(scratch)
            raise
        if self._unsynced is not None:
            self._unsynced.add_file(place.path, place.folder_path)

    def _link(self, scratch: str, key: str, place: _Place) -> bool:
        # Fails, unlike a rename, if a program that does not know the lock was faster.
        try:
            linked = self._linked(scratch, place)
        except FileExistsError:
            osfiles.remove(scratch)
            raise PreconditionFailed(f"object {key!r} exists already in {self._root}") from None
        if linked:
            osfiles.remove(scratch)
        return linked

    def _linked(self, path: str, place: _Place) -> bool:
        linked = osfiles.link(path, place.path)
        if linked and self._unsynced is not None:
            self._unsynced.add_file(place.path, place.folder_path)
        return linked

    def _settle(self, place: _Place) -> None:
        """Bring the names that lead to a durable file to the disk."""
        if self._unsynced is not None:
            self._unsynced.forget_file(place.path)
            self._unsynced.flush_folders(self._folders.chain(place.folder))

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        if is_immutable(target) and self._copy_by_link(source, target, version):
            return
        found = self.fetch(source)
        assert found is not None
        if version is not None and found.version != version:
            raise self._moved_on(source)
        self.put(target, found.data)

    def _copy_by_link(self, source: str, target: str, version: Version | None) -> bool:
        """Copy as another name of the file, which no write will ever change."""
        with self._translated("copy", source):
            try:
                path = self._place(source).path
                osfiles.refuse_link(os.lstat(path), path)
            except FileNotFoundError as error:
                raise self._error(error, "copy", source) from None
            place = self._place_for_writing(target)
            if version is None:
                with suppress(FileExistsError):
                    return self._linked(path, place)
            scratch = self._scratch(place)
            if not osfiles.link(path, scratch):
                return False
            try:
                if version is not None and self._version_of(scratch) != version:
                    raise self._moved_on(source)
                self._rename(scratch, place)
            finally:
                # Also after the rename: one between two names of a file does nothing.
                osfiles.remove(scratch)
        return True

    @override
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            if is_immutable(key):
                self._remove(key)
            elif self.exists(key):
                with self._locked(key):
                    place = self._remove(key)
                    if place is not None and self._unsynced is not None:
                        flush_folder(place.folder_path)

    def _remove(self, key: str) -> _Place | None:
        try:
            place = self._place(key)
            removed = osfiles.remove(place.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(error, "delete", key) from error
        if self._unsynced is not None:
            self._unsynced.forget_file(place.path)
        return place if removed else None

    @override
    def sync(self) -> None:
        if self._unsynced is not None:
            self._unsynced.flush()

    @override
    @contextmanager
    def turn(self) -> Iterator[None]:
        with ExitStack() as stack:
            # Who waits too long, or cannot lock, goes on without.
            with suppress(StorageError):
                stack.enter_context(root_lock(self._root, TURN_NAME).held())
            yield

    @override
    def close(self) -> None:
        pass

    @property
    @override
    def read_only(self) -> bool:
        return False

    @property
    @override
    def local(self) -> bool:
        return True

    @property
    @override
    def conditional(self) -> bool:
        return True

    # helpers

    def _place_for_writing(self, key: str) -> _Place:
        folder, _, name = encode_key(key).rpartition("/")
        path = self._folders.path_for_writing(folder)
        return _Place(folder, path, f"{path}{os.sep}{name}")

    def _scratch(self, place: _Place) -> str:
        return f"{place.folder_path}{os.sep}{osfiles.scratch_name()}"

    def _version(self, data: bytes | memoryview) -> Version:
        # The same bytes come again and again: a commit reads `repo` before it replaces it.
        # To compare them is a tenth of the work.
        known = self._hashed
        if known is not None and known[0] == data:
            return known[1]
        version = Version(hashlib.sha256(data).hexdigest()[:32])
        if isinstance(data, bytes) and len(data) <= _COMPARED:
            self._hashed = data, version
        return version

    def _version_of(self, path: str) -> Version:
        fd = osfiles.open_read(path)
        try:
            return self._version(osfiles.read_at(fd, os.fstat(fd).st_size, 0))
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        with self._translated("write", key):
            self._folders.path_for_writing("")
        lock = self._lock
        # Names may come to lead elsewhere, but to ask where they lead takes long.
        if lock is None or not lock.is_of(self._root):
            lock = self._lock = root_lock(self._root)
        with lock.held():
            yield

    @contextmanager
    def _translated(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise osfiles.storage_error(error, doing, self._path_of(key)) from error

    def _path_of(self, key: str) -> str:
        return os.path.join(self._root, encode_key(key)) if key else self._root

    def _error(self, error: OSError, doing: str, key: str) -> StorageError:
        if isinstance(error, FileNotFoundError):
            return not_found(key, self._root)
        return osfiles.storage_error(error, doing, self._path_of(key))

    def _moved_on(self, key: str) -> PreconditionFailed:
        return PreconditionFailed(
            f"object {key!r} in {self._root} is not the version that was read"
        )
