"""The client library, `obstore`, in a state that works in this process.

Its threads serve all clients of a process. A forked child inherits the library without those
threads, and every request would wait for ever. So a child loads a copy of its own, under no
name that others could come across: what they do with the inherited one is theirs to know.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from frazil.errors import ErrorKind, StorageError
from frazil.storage.fork import ForksafeLock

_NAME = "obstore"
_BINARY = "obstore._obstore"
_lock = ForksafeLock()
_generation = 0
_library: ModuleType | None = None
_inherited = False
_abandoned: list[object] = []


def client_library() -> Any:
    """The package `obstore` for this process; its clients work in no other one."""
    global _library
    with _lock:
        if _library is None:
            _library = _copy() if _inherited else importlib.import_module(_NAME)
        return _library


def generation() -> int:
    """How many forks lie between the first process and this one: clients are of one of them."""
    return _generation


def abandon(inherited: object) -> None:
    """Keep what belongs to the parent's library: to free it might wait for its threads."""
    _abandoned.append(inherited)


def _after_fork() -> None:
    global _generation, _library, _inherited
    _generation += 1
    _inherited = _BINARY in sys.modules
    abandon(_library)
    _library = None


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def _copy() -> ModuleType:
    source = sys.modules[_BINARY].__file__
    assert source is not None
    theirs = {name: sys.modules[name] for name in sys.modules if _is_part(name)}
    for name in theirs:
        del sys.modules[name]
    try:
        with _copied(source) as path:
            loader = importlib.machinery.ExtensionFileLoader(_BINARY, path)
            spec = importlib.util.spec_from_file_location(_BINARY, path, loader=loader)
            assert spec is not None
            binary = importlib.util.module_from_spec(spec)
            loader.exec_module(binary)
        sys.modules[_BINARY] = binary
        return importlib.import_module(_NAME)
    except (ImportError, OSError) as error:
        raise StorageError(
            "object stores cannot be used in this process, which was forked from one that has "
            f"used them, because their client library could not be loaded again ({error}): "
            "start processes by 'spawn' or 'forkserver'",
            ErrorKind.STORAGE_OTHER,
        ) from error
    finally:
        for name in [name for name in sys.modules if _is_part(name)]:
            del sys.modules[name]
        sys.modules.update(theirs)


def _is_part(name: str) -> bool:
    return name == _NAME or name.startswith(f"{_NAME}.")


@contextmanager
def _copied(source: str) -> Iterator[str]:
    """The file under a name and an identity that the loader has not seen."""
    content = Path(source).read_bytes()
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        # In memory: folders for temporary files may forbid to run what is in them.
        descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(content)
            yield f"/proc/{os.getpid()}/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(source).name)
        path.write_bytes(content)
        yield str(path)
