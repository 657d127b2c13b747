"""Files of this machine as sources of virtual chunks, with no way out of their folder.

The folder of a container is trusted, what is in it is not: links are followed as long as they
stay inside. A path is resolved first; then it is opened folder by folder, and no link is followed
any more, so that nothing can be slipped in between.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from typing_extensions import override

from frazil.engine.sources.source import Found, Source, Stamp
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.storage import osfiles

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_BY_FOLDER = os.open in os.supports_dir_fd
_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


@dataclass(frozen=True, slots=True)
class Files(Source):
    """The files below `root`; both it and keys are paths of `file:` URLs, without the first "/"."""

    root: str

    gap = 64 * 1024
    piece = 64 * 1024 * 1024
    local = True

    @override
    def read(self, key: str, start: int, end: int) -> Found:
        fd = self._open(key)
        try:
            status = os.fstat(fd)
            data = osfiles.read_at(fd, end - start, start)
        except OSError as error:
            raise osfiles.storage_error(error, "read", key) from error
        finally:
            os.close(fd)
        return Found(data, status.st_size, _stamp(status))

    @override
    def stat(self, key: str) -> Found:
        fd = self._open(key)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        return Found(b"", status.st_size, _stamp(status))

    def _open(self, key: str) -> int:
        path = _path(key)
        try:
            root, real = os.path.realpath(_path(self.root)), os.path.realpath(path)
            if not real.startswith(os.path.join(root, "")):
                raise InvalidInputError(
                    f"{path} leads to {real}, outside of {root}, the folder of its virtual chunk "
                    "container: a link must not lead out of it",
                    ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK,
                )
            fd = _open_below(root, os.path.relpath(real, root).split(os.sep))
        except OSError as error:
            if error.errno in _MISSING:
                raise _missing(path) from error
            raise osfiles.storage_error(error, "open", path) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _missing(path)
        return fd


def _path(key: str) -> str:
    return key if osfiles.WINDOWS else "/" + key


def _open_below(root: str, parts: list[str]) -> int:
    if not _BY_FOLDER:
        return osfiles.open_read(os.path.join(root, *parts))
    folder = os.open(root, _FOLDER | _CLOSE_ON_EXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | _CLOSE_ON_EXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], _FILE | _CLOSE_ON_EXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _missing(path: str) -> StorageError:
    return StorageError(f"there is no file {path}", ErrorKind.OBJECT_NOT_FOUND)


def _stamp(status: os.stat_result) -> Stamp:
    # As object_store, which is under the real library as well, makes them up for files.
    etag = f"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"
    return Stamp(etag, status.st_mtime_ns / 1e9)
