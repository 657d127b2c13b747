"""The folders of a local repository: found without leaving its root, made when needed."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from frazil.storage import osfiles
from frazil.storage.unsynced import Unsynced

_REMEMBERED = 4096


class Folders:
    """Maps folders, as spelled in keys, to paths; "" is the root.

    A folder inside the root has to be a real one: a link could lead out of the repository.
    That is looked up at every use, which costs a microsecond. Remembering what has been
    seen is not safe: a link that takes the place of a folder may get its inode number too.
    """

    def __init__(self, root: str, unsynced: Unsynced | None) -> None:
        self._root = root
        self._unsynced = unsynced
        self._writable: set[str] = set()

    def path(self, folder: str) -> str:
        """The path of a folder that exists; `OSError` if it does not or is not a real one."""
        path = self._root
        for segment in folder.split("/") if folder else ():
            path = f"{path}{os.sep}{segment}"
            status = os.lstat(path)
            osfiles.refuse_link(status, path)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return path

    def path_for_writing(self, folder: str) -> str:
        """The path of a folder, which is made if it does not exist.

        The names of the folder and of those above it are recorded as unsynced at its first
        use: another process may have made them, and not brought them to the disk yet.
        """
        if folder in self._writable:
            with suppress(FileNotFoundError):
                path = self.path(folder)
                if folder or os.path.isdir(path):
                    return path
        self._make_root()
        path, made = self._root, ""
        for segment in folder.split("/") if folder else ():
            if self._unsynced is not None:
                self._unsynced.add_folder(path)
            made = f"{made}/{segment}" if made else segment
            with suppress(FileExistsError):
                os.mkdir(f"{self._root}{os.sep}{made}")
            path = self.path(made)
        if len(self._writable) >= _REMEMBERED:
            self._writable.clear()
        self._writable.add(folder)
        return path

    def _make_root(self) -> None:
        missing = []
        path = self._root
        while not os.path.lexists(path) and path != os.path.dirname(path):  # a drive may be missing
            missing.append(path)
            path = os.path.dirname(path)
        os.makedirs(self._root, exist_ok=True)
        if self._unsynced is not None:
            for made in missing:
                # A folder above the root may be one that this user may not open.
                with suppress(PermissionError, FileNotFoundError):
                    osfiles.fsync_folder(os.path.dirname(made))

    def chain(self, folder: str) -> list[str]:
        """The paths of a folder and of those above it up to the root, the deepest first."""
        paths = [self._root]
        for segment in folder.split("/") if folder else ():
            paths.append(f"{paths[-1]}{os.sep}{segment}")
        return paths[::-1]
