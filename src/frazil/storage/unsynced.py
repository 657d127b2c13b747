"""What has been written to a local disk but may not survive a power failure yet."""

from __future__ import annotations

import itertools
from contextlib import suppress

from frazil.errors import ErrorKind, StorageError
from frazil.storage import osfiles
from frazil.storage.fork import ForksafeLock
from frazil.storage.pool import io_pool, map_parallel


class Unsynced:
    """The files and folders to flush before anything that refers to them is published.

    An entry leaves only when a flush that began after it was added has succeeded: what is
    under way in one thread is waited for, or done again, by the `flush` of another.
    """

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._lost: dict[str, StorageError] = {}
        self._ticket = itertools.count()
        self._lock = ForksafeLock()
        self._flushing = ForksafeLock()

    def add_file(self, path: str, folder: str) -> None:
        """`path` in `folder` has been written."""
        with self._lock:
            self._files[path] = self._folders[folder] = next(self._ticket)
            self._lost.pop(path, None)

    def start(self, path: str) -> None:
        """Let the disk begin with a large file; `flush` waits for what is left of it."""
        with suppress(RuntimeError):  # the interpreter is on its way out
            io_pool().submit(self._flush_file, path)

    def add_folder(self, path: str) -> None:
        """A name has been added to the folder `path`."""
        with self._lock:
            self._folders[path] = next(self._ticket)

    def forget_file(self, path: str) -> None:
        """The file is gone or is known to be on the disk."""
        with self._lock:
            self._files.pop(path, None)
            self._lost.pop(path, None)

    def flush(self) -> None:
        """Bring everything that was added before this call to the disk.

        Raises `StorageError` if a file could not be; then until that file is written anew,
        because the system may report a second attempt as a success though the bytes are lost.
        """
        with self._flushing:
            with self._lock:
                files, folders = dict(self._files), dict(self._folders)
            map_parallel(self._flush_file, files)
            self._raise_lost()
            self._done(self._files, files)
            # Names after bytes: a name on the disk must not show a file without its bytes.
            map_parallel(flush_folder, folders)
            self._done(self._folders, folders)

    def flush_folders(self, paths: list[str]) -> None:
        """Bring the names in these folders to the disk, those that were added."""
        with self._flushing:
            with self._lock:
                folders = {path: self._folders[path] for path in paths if path in self._folders}
            for path in folders:
                flush_folder(path)
            self._done(self._folders, folders)

    def _done(self, table: dict[str, int], flushed: dict[str, int]) -> None:
        with self._lock:
            for path, ticket in flushed.items():
                if table.get(path) == ticket:
                    del table[path]

    def _flush_file(self, path: str) -> None:
        try:
            osfiles.fsync_file(path)
        except FileNotFoundError:
            return  # collected as garbage: whoever needs it will miss it, flushed or not
        except OSError as error:
            lost = osfiles.storage_error(error, "bring to the disk", path)
            with self._lock:
                self._lost[path] = lost

    def _raise_lost(self) -> None:
        with self._lock:
            if not self._lost:
                return
            path, cause = next(iter(self._lost.items()))
            count = len(self._lost)
        raise StorageError(
            f"{count} of the files written did not reach the disk, among them {path}, so what "
            "refers to them is not published; check the disk and its free space, then start "
            "again from the last commit, in a new process",
            ErrorKind.IO,
        ) from cause


def flush_folder(path: str) -> None:
    """Bring the names in a folder to the disk; a folder that is gone has none."""
    try:
        osfiles.fsync_folder(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise osfiles.storage_error(error, "bring to the disk the folder", path) from error
