"""What differs between operating systems."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from frazil.storage import osfiles
from frazil.storage.folders import Folders


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Windows, as far as renaming and removing go."""
    waited: list[float] = []
    monkeypatch.setattr(osfiles, "WINDOWS", True)
    monkeypatch.setattr(osfiles.time, "sleep", waited.append)
    return waited


def refusing(real: Callable[..., None], times: int) -> Callable[..., None]:
    left = iter(range(times))

    def call(*paths: str) -> None:
        if next(left, None) is not None:
            raise PermissionError(errno.EACCES, "it is open elsewhere")
        real(*paths)

    return call


def test_a_file_that_another_process_has_open_is_removed_and_replaced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"a")
    b.write_bytes(b"b")
    monkeypatch.setattr(os, "replace", refusing(os.replace, 3))
    osfiles.replace(str(a), str(b))
    assert (a.exists(), b.read_bytes(), len(pauses)) == (False, b"a", 3)
    monkeypatch.setattr(os, "unlink", refusing(os.unlink, 2))
    assert osfiles.remove(str(b))
    assert not b.exists()
    assert not osfiles.remove(str(b))
    assert len(pauses) == 5


def test_what_may_not_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setattr(os, "unlink", refusing(os.unlink, 100))
    with pytest.raises(PermissionError):
        osfiles.remove(str(tmp_path / "a"))
    assert sum(pauses) < 1


def test_a_drive_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()

    def missing(path: str) -> bool:
        assert next(looks) < 1000, "looks for ever"
        return False

    monkeypatch.setattr(os.path, "lexists", missing)
    root = tmp_path / "a" / "b"
    assert Folders(str(root), None).path_for_writing("") == str(root)
    assert root.is_dir()


@pytest.mark.parametrize("unknown", [None, errno.ENOTSUP, errno.EIO])
def test_where_fsync_leaves_the_bytes_in_a_cache_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: int | None
) -> None:
    fcntl = pytest.importorskip("fcntl")
    done: list[str] = []

    def full(fd: int, command: int) -> None:
        assert command == 51
        if unknown is not None:
            raise OSError(unknown, os.strerror(unknown))
        done.append("full")

    monkeypatch.setattr(osfiles, "_FULL_FSYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda fd: done.append("plain"))
    path = tmp_path / "a"
    if unknown == errno.EIO:
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            osfiles.write_new(str(path), b"a", durable=True)
        assert not path.exists()
        return
    osfiles.write_new(str(path), b"a", durable=True)
    osfiles.fsync_folder(str(tmp_path))
    assert done == ["plain" if unknown else "full"] * 2
