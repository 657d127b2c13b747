"""The door to the operating system: every call that a local backend makes on files.

Paths are whole paths. Errors are `OSError`; `storage_error` turns one into the error that
the user sees. A link is never followed in the last segment of a path.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import AccessDenied

WINDOWS = os.name == "nt"
UNLISTED = "#"
"""Files with this character in their name are no objects (see `frazil.storage.keys`)."""

_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_COMMON: int = _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# O_NONBLOCK: opening a pipe that somebody left in the folder must not wait for a writer.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _COMMON
_PREAD = hasattr(os, "pread")

# A scratch name holds a random number, the process id (a forked child has the same random
# number) and a count: digits only after the "#", which Icechunk asks for as well.
_RANDOM = int.from_bytes(os.urandom(6), "big")
_COUNT = itertools.count()
_SCRATCH = re.compile(rf"\.frazil{UNLISTED}[0-9]{{12,}}")

_ADVICE = {
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "the quota is used up: free some space and try again",
    errno.EFBIG: "the file system does not take files of this size",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many open files",
    errno.EISDIR: "a folder is in the place of an object: move it out of the repository",
    errno.ENOTDIR: "a file is in the place of a folder: move it out of the repository",
    errno.ELOOP: "links inside a repository are not followed: put the real file or folder there",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EIO: "check the disk",
}


def storage_error(error: OSError, doing: str, path: str) -> StorageError:
    """The `StorageError` that says what failed where, and what to do about it."""
    reason = error.strerror or type(error).__name__
    culprit = error.filename
    if isinstance(culprit, str) and culprit != path and UNLISTED not in culprit:
        reason += f" ({culprit})"
    advice = _ADVICE.get(error.errno or 0)
    text = f"cannot {doing} {path}: {reason}"
    kind = AccessDenied if isinstance(error, PermissionError) else StorageError
    return kind(f"{text}; {advice}" if advice else text, ErrorKind.IO)


def is_link(status: os.stat_result) -> bool:
    """Whether the `lstat` of a path is that of something that leads elsewhere."""
    if WINDOWS:
        tags = (stat.IO_REPARSE_TAG_SYMLINK, stat.IO_REPARSE_TAG_MOUNT_POINT)  # type: ignore[attr-defined,unused-ignore]
        return getattr(status, "st_reparse_tag", 0) in tags
    return stat.S_ISLNK(status.st_mode)


def open_read(path: str) -> int:
    """A file descriptor to read from; ELOOP if the path is a link."""
    if not _NO_FOLLOW:
        refuse_link(os.lstat(path), path)
    return os.open(path, _READ)


def refuse_link(status: os.stat_result, path: str) -> None:
    """Raise ELOOP for the `lstat` of a link."""
    if is_link(status):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def read_at(fd: int, size: int, offset: int) -> bytes:
    """`size` bytes from `offset`, or fewer where the file ends."""
    data = _read_once(fd, size, offset)
    if len(data) == size or not data:
        return data
    parts = [data]
    offset += len(data)
    size -= len(data)
    while size and (data := _read_once(fd, size, offset)):
        parts.append(data)
        offset += len(data)
        size -= len(data)
    return b"".join(parts)


def _read_once(fd: int, size: int, offset: int) -> bytes:
    if _PREAD:
        return os.pread(fd, size, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # nobody else uses this descriptor
    return os.read(fd, size)


def scratch_name() -> str:
    """A new name for an unfinished file, which no listing shows."""
    return f".frazil{UNLISTED}{_RANDOM}{os.getpid()}{next(_COUNT):010d}"


def is_scratch(name: str) -> bool:
    """Whether a file has such a name."""
    return _SCRATCH.fullmatch(name) is not None


def write_new(path: str, data: bytes | memoryview, *, durable: bool) -> None:
    """Make the file with these bytes; nothing is left of it if that fails."""
    fd = os.open(path, _NEW, 0o666)
    try:
        try:
            rest = memoryview(data).cast("B") if isinstance(data, memoryview) else data
            while (written := os.write(fd, rest)) < len(rest):
                rest = memoryview(rest)[written:]
            if durable:
                _flush(fd)
        finally:
            os.close(fd)
    except BaseException:
        remove(path)
        raise


def replace(source: str, target: str) -> None:
    """Give the file its final name; a file that had it is gone."""
    _patiently(os.replace, source, target)


def _patiently(act: Callable[..., None], *paths: str) -> None:
    # Windows refuses while any other process has the file open, which takes a moment.
    for pause in (0.001, 0.005, 0.02, 0.1, 0.5) if WINDOWS else ():
        try:
            act(*paths)
            return
        except PermissionError:
            time.sleep(pause)
    act(*paths)


def link(source: str, target: str) -> bool:
    """A second name for a file; False where the file system has no such thing.

    `FileExistsError` if the target exists, `FileNotFoundError` if the source does not.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except (OSError, NotImplementedError):
        return False
    return True


def remove(path: str) -> bool:
    """Remove the file; False if there is none."""
    try:
        _patiently(os.unlink, path)
    except FileNotFoundError:
        return False
    return True


def lock(path: str) -> int | None:
    """Take the lock of the file, which is made if there is none: what `unlock` takes.

    None if another process, or this one elsewhere, holds it. The system lets go of it when the
    process ends. `NotImplementedError` if the file system or the system has no locks.
    """
    while True:
        if not _NO_FOLLOW:
            with suppress(FileNotFoundError):
                refuse_link(os.lstat(path), path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _COMMON, 0o666)
        try:
            if not _lock(fd):
                os.close(fd)
                return None
            if WINDOWS or os.path.samestat(os.fstat(fd), os.lstat(path)):
                return fd
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        # Somebody has removed the file, and the next one would lock another.
        os.close(fd)


if sys.platform == "win32":
    import msvcrt

    _flush = os.fsync

    def _lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                raise
            return False
        return True

    def unlock(fd: int) -> None:
        """Let go of a lock."""
        try:
            msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
        finally:
            with suppress(OSError):
                os.close(fd)

else:
    import fcntl

    _FULL_FSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)

    def _flush(fd: int) -> None:
        # On macOS, fsync leaves the bytes in a cache of the disk (fsync(2) there).
        if _FULL_FSYNC is not None:
            try:
                fcntl.fcntl(fd, _FULL_FSYNC)
                return
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOTTY):
                    raise  # and not every file system has it
        os.fsync(fd)

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise NotImplementedError from error
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                raise
            return False
        return True

    def unlock(fd: int) -> None:
        """Let go of a lock."""
        try:  # closing is not enough where a child that is just being made has the file open
            fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            with suppress(OSError):
                os.close(fd)


def fsync_file(path: str) -> None:
    """Wait until the disk has the bytes of the file, on macOS in its cache.

    `fsync_folder` for the folder of any of them empties that.
    """
    # Windows flushes only through a descriptor that may write.
    fd = os.open(path, (os.O_RDWR if WINDOWS else os.O_RDONLY) | _COMMON)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_folder(path: str) -> None:
    """Wait until the names in the folder are on the disk, where a system can be asked to."""
    if WINDOWS:
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))  # the root may be a link
    try:
        _flush(fd)
    except OSError as error:
        # Some network file systems do not know this; their server does it by itself.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)
