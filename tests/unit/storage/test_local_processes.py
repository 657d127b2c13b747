"""The local storage between processes: nothing is lost, and the dead hold nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from frazil.errors import StorageError
from frazil.storage import osfiles, rootlock
from frazil.storage.base import CREATE, PreconditionFailed, Update
from frazil.storage.local import LocalBackend
from frazil.storage.rootlock import LOCK_NAME, root_lock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Child:
    """A forked process that runs a function; what it returns or says ends up in a file."""

    def __init__(self, said: Path, run: Callable[[Callable[[str], None]], None]) -> None:
        self._said = said
        said.write_text("")

        def say(word: str) -> None:
            with said.open("a") as file:
                file.write(word + "\n")

        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                run(say)
                code = 0
            finally:
                os._exit(code)

    def said(self) -> list[str]:
        return self._said.read_text().split()

    def wait_until_it_says(self, word: str) -> None:
        while word not in self.said():
            assert os.waitpid(self._pid, os.WNOHANG) == (0, 0), "it has ended"
            time.sleep(0.001)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def join(self) -> list[str]:
        assert os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) == 0
        return self.said()


def children(
    folder: Path, count: int, run: Callable[[int, Callable[[str], None]], None]
) -> list[Child]:
    folder.mkdir()
    return [Child(folder / str(i), lambda say, i=i: run(i, say)) for i in range(count)]  # type: ignore[misc]


def count_up(backend: LocalBackend, times: int) -> None:
    for _ in range(times):
        while True:
            found = backend.fetch("repo")
            assert found is not None
            try:
                backend.put("repo", b"%d" % (int(found.data) + 1), mode=Update(found.version))
                break
            except PreconditionFailed:
                pass


@pytest.mark.parametrize("shared", [True, False])
def test_no_update_of_eight_processes_is_lost(tmp_path: Path, shared: bool) -> None:
    root = tmp_path / "root"
    backend = LocalBackend(root)
    backend.put("repo", b"0", mode=CREATE)
    said = children(
        tmp_path / "said", 8, lambda i, say: count_up(backend if shared else LocalBackend(root), 25)
    )
    for child in said:
        child.join()
    assert backend.get("repo") == b"200"


def test_one_of_eight_processes_creates_an_object(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "root")
    go = tmp_path / "go"

    def create(i: int, say: Callable[[str], None]) -> None:
        while not go.exists():
            time.sleep(0.0005)
        with suppress(PreconditionFailed):
            backend.put("repo", b"%d" % i, mode=CREATE)
            say("won")

    started = children(tmp_path / "said", 8, create)
    go.touch()
    results = [child.join() for child in started]
    assert sorted(results) == [[]] * 7 + [["won"]]
    assert backend.get("repo") == b"%d" % results.index(["won"])


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    root = tmp_path / "root"
    backend = LocalBackend(root)
    backend.put("config.yaml", b"c")

    def hold(say: Callable[[str], None]) -> None:
        with root_lock(str(root)).held():
            (root / osfiles.scratch_name()).write_bytes(b"half")
            say("held")
            time.sleep(600)

    child = Child(tmp_path / "said", hold)
    child.wait_until_it_says("held")
    writer = threading.Thread(target=backend.put, args=("repo", b"r"))
    writer.start()
    writer.join(timeout=0.05)
    assert not backend.exists("repo")
    child.kill()
    writer.join()
    assert backend.get("repo") == b"r"
    assert {info.key for info in backend.list()} == {"config.yaml", "repo"}


def test_processes_killed_while_they_write_leave_whole_objects(tmp_path: Path) -> None:
    root = tmp_path / "root"
    backend = LocalBackend(root)
    backend.put("repo", b"0" * 40_000, mode=CREATE)

    def write(say: Callable[[str], None]) -> None:
        for n in range(10**9):
            found = backend.fetch("repo")
            assert found is not None
            number = int(found.data[:8]) + 1
            backend.put(f"chunks/{number}", bytes(100_000))
            backend.put("repo", b"%08d" % number * 5000, mode=Update(found.version))
            say(f"done-{n}")

    last = 0
    for i in range(8):
        child = Child(tmp_path / f"said-{i}", write)
        child.wait_until_it_says(f"done-{i}")
        child.kill()
        found = backend.fetch("repo")
        assert found is not None
        number = int(found.data[:8])
        assert found.data == b"%08d" % number * 5000
        assert number >= last + len(child.said())
        last = number
        assert {backend.info(f"chunks/{n + 1}").size for n in range(number)} == {100_000}
        backend.put("repo", found.data, mode=Update(found.version))


def test_waiting_for_a_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootlock, "PATIENCE", 0.02)
    backend = LocalBackend(tmp_path)
    with FileLock(tmp_path / LOCK_NAME), pytest.raises(StorageError, match=LOCK_NAME):
        backend.put("repo", b"r", mode=CREATE)
    backend.put("repo", b"r", mode=CREATE)


def test_a_lock_whose_file_was_removed_is_not_held(tmp_path: Path) -> None:
    with root_lock(str(tmp_path)).held():
        (tmp_path / LOCK_NAME).unlink()
        with FileLock(tmp_path / LOCK_NAME):
            pass
    with root_lock(str(tmp_path)).held(), pytest.raises(Timeout):
        FileLock(tmp_path / LOCK_NAME).acquire(timeout=0)


def test_a_lock_can_be_taken_twice_by_its_thread(tmp_path: Path) -> None:
    lock, other = root_lock(str(tmp_path)), FileLock(tmp_path / LOCK_NAME)
    with lock.held():
        with lock.held():
            pass
        with pytest.raises(Timeout):
            other.acquire(timeout=0)
    with other:
        pass


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="link"), root_lock(str(tmp_path)).held():
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_is_one_by_whatever_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert root_lock(str(tmp_path / "a")) is root_lock(str(tmp_path / "a" / ".." / "a"))


def test_file_systems_without_locks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(fd: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(rootlock, "_locks", {})
    for _ in range(2):
        with pytest.raises(StorageError, match="no locks"):
            LocalBackend(tmp_path).put("repo", b"r", mode=CREATE)
    assert not LocalBackend(tmp_path).exists("repo")


def test_a_fork_waits_for_a_write_so_the_child_inherits_no_lock(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    backend.put("config.yaml", b"c")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with root_lock(str(tmp_path)).held():
            held.set()
            release.wait(timeout=0.05)
            (tmp_path / "released").write_bytes(b"")

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(timeout=60)

    def create(say: Callable[[str], None]) -> None:
        say("after" if (tmp_path / "released").exists() else "before")
        backend.put("repo", b"child", mode=CREATE)

    assert Child(tmp_path / "said", create).join() == ["after"]
    holder.join()
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"parent", mode=CREATE)
    assert backend.get("repo") == b"child"
