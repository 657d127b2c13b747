"""What reaches the disk when: bytes before names, names before what refers to them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from frazil.errors import StorageError
from frazil.storage import osfiles
from frazil.storage.base import CREATE, Update
from frazil.storage.local import LocalBackend


class Recorder:
    """The calls that matter for durability, with paths relative to the root."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.calls: list[str] = []
        self.opened: dict[int, str] = {}
        real_open, real_fsync = os.open, os.fsync

        def open_(path: str, *args: int, **options: int) -> int:
            fd = real_open(path, *args, **options)
            self.opened[fd] = path
            return fd

        def fsync(fd: int) -> None:
            self.note("fsync", self.opened[fd])
            real_fsync(fd)

        patch.setattr(os, "open", open_)
        patch.setattr(os, "fsync", fsync)
        for name in ("replace", "link", "unlink"):
            patch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*paths: str, **options: object) -> None:
            self.note(name, *paths)
            real(*paths, **options)

        return call

    def note(self, name: str, *paths: str) -> None:
        shown = []
        for path in paths:
            relative = os.path.relpath(path, self.root)
            folder, file = os.path.split(relative)
            shown.append(os.path.join(folder, "scratch") if osfiles.UNLISTED in file else relative)
        self.calls.append(" ".join([name, *shown]))

    def take(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def backend(root: Path) -> LocalBackend:
    return LocalBackend(root)


@pytest.fixture
def recorder(root: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(root, monkeypatch)


def test_immutable_objects_wait_for_sync(backend: LocalBackend, recorder: Recorder) -> None:
    for key in ("chunks/a", "chunks/b", "manifests/c"):
        backend.put(key, b"x")
        folder = key.split("/")[0]
        assert recorder.take() == [f"replace {folder}/scratch {key}"]
    backend.sync()
    calls = recorder.take()
    assert set(calls[:3]) == {"fsync chunks/a", "fsync chunks/b", "fsync manifests/c"}
    assert set(calls[3:]) == {"fsync chunks", "fsync manifests", "fsync ."}
    assert len(calls) == 6
    backend.sync()
    assert recorder.take() == []
    backend.put("chunks/d", b"x")
    backend.sync()
    assert recorder.take() == ["replace chunks/scratch chunks/d", "fsync chunks/d", "fsync chunks"]


def test_a_mutable_object_is_on_the_disk_before_and_after_it_gets_its_name(
    backend: LocalBackend, recorder: Recorder
) -> None:
    version = backend.put("repo", b"one", mode=CREATE)
    assert recorder.take() == ["fsync scratch", "link scratch repo", "unlink scratch", "fsync ."]
    version = backend.put("repo", b"two", mode=Update(version))
    assert recorder.take() == ["fsync scratch", "replace scratch repo", "fsync ."]
    backend.put("repo", b"six")
    assert recorder.take() == ["fsync scratch", "replace scratch repo", "fsync ."]
    backend.sync()
    assert recorder.take() == []


def test_the_folders_that_lead_to_a_new_reference_are_brought_to_the_disk(
    backend: LocalBackend, recorder: Recorder
) -> None:
    backend.put("refs/branch.x/ref.json", b"{}", mode=CREATE)
    calls = recorder.take()
    assert calls[0] == "fsync refs/branch.x/scratch"
    assert set(calls[-3:]) == {"fsync refs/branch.x", "fsync refs", "fsync ."}
    backend.delete(["refs/branch.x/ref.json"])
    assert recorder.take() == ["unlink refs/branch.x/ref.json", "fsync refs/branch.x"]


def test_a_new_root_is_brought_to_the_disk(tmp_path: Path, root: Path, recorder: Recorder) -> None:
    LocalBackend(root / "deep" / "er").put("chunks/a", b"a")
    assert set(recorder.take()) == {
        "fsync deep",
        "fsync .",
        "replace deep/er/chunks/scratch deep/er/chunks/a",
    }


def test_a_backup_is_brought_to_the_disk(backend: LocalBackend, recorder: Recorder) -> None:
    backend.put("repo", b"one", mode=CREATE)
    recorder.take()
    backend.copy("repo", "overwritten/repo.1")
    backend.sync()
    flushed = [call for call in recorder.take() if call.startswith("fsync")]
    assert flushed[0] == "fsync overwritten/repo.1"
    assert sorted(flushed[1:]) == ["fsync .", "fsync overwritten"]


@pytest.mark.parametrize("value", ["0", "false", "NO", " off "])
def test_waiting_can_be_switched_off(
    root: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder, value: str
) -> None:
    monkeypatch.setenv("FRAZIL_FSYNC", value)
    backend = LocalBackend(root / "new")
    monkeypatch.setenv("FRAZIL_FSYNC", "1")
    version = backend.put("repo", b"one", mode=CREATE)
    backend.put("repo", b"two", mode=Update(version))
    backend.put("chunks/a", b"a")
    backend.copy("repo", "overwritten/repo.1")
    backend.sync()
    backend.delete(["repo", "chunks/a"])
    assert not any(call.startswith("fsync") for call in recorder.take())


def test_what_was_deleted_needs_no_sync(backend: LocalBackend, recorder: Recorder) -> None:
    backend.put("chunks/a", b"a")
    backend.delete(["chunks/a"])
    recorder.take()
    backend.sync()
    assert "fsync chunks/a" not in recorder.take()


def test_what_another_process_collected_is_no_error(backend: LocalBackend, root: Path) -> None:
    backend.put("chunks/a", b"a")
    backend.put("manifests/b", b"b")
    (root / "chunks" / "a").unlink()
    (root / "chunks").rmdir()
    backend.sync()
    assert backend.get("manifests/b") == b"b"


def test_a_sync_covers_what_other_threads_have_put(
    backend: LocalBackend, recorder: Recorder
) -> None:
    threads = [threading.Thread(target=backend.put, args=(f"chunks/{i}", b"x")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.take()
    backend.sync()
    assert {f"fsync chunks/{i}" for i in range(20)} < set(recorder.take())


def test_a_sync_waits_for_what_another_has_begun(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()
    flushed = []
    real = osfiles.fsync_file

    def slow(path: str) -> None:
        begun.set()
        release.wait(timeout=60)
        real(path)
        flushed.append(path)

    monkeypatch.setattr(osfiles, "fsync_file", slow)
    backend.put("chunks/a", b"a")
    seen: list[int] = []

    def second() -> None:
        backend.sync()
        seen.append(len(flushed))

    threads = [threading.Thread(target=backend.sync)]
    threads[0].start()
    assert begun.wait(timeout=60)
    threads.append(threading.Thread(target=second))
    threads[1].start()
    threads[1].join(timeout=0.05)
    assert seen == []
    release.set()
    for thread in threads:
        thread.join()
    assert seen[0] >= 1


def test_what_is_put_during_a_sync_is_left_for_the_next(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def record(path: str) -> None:
        if not flushed:
            backend.put("chunks/a", b"again")
            backend.put("chunks/b", b"b")
        flushed.append(os.path.basename(path))

    monkeypatch.setattr(osfiles, "fsync_file", record)
    backend.put("chunks/a", b"a")
    backend.sync()
    assert flushed == ["a"]
    backend.sync()
    assert sorted(flushed) == ["a", "a", "b"]


def test_a_file_that_cannot_be_brought_to_the_disk_is_not_forgotten(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = osfiles.fsync_file

    def fail(path: str) -> None:
        if path.endswith("bad"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path)

    backend.put("chunks/bad", b"a")
    backend.put("chunks/good", b"a")
    with monkeypatch.context() as patch:
        patch.setattr(osfiles, "fsync_file", fail)
        with pytest.raises(StorageError, match=r"1 of the files .*chunks.bad") as caught:
            backend.sync()
    assert caught.value.kind == "io"
    # The system would report success now, though the bytes are gone.
    with pytest.raises(StorageError, match="start again"):
        backend.sync()
    backend.put("chunks/bad", b"a")
    backend.sync()


def test_a_mutable_object_whose_bytes_do_not_reach_the_disk_stays_as_it_was(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = backend.put("repo", b"one", mode=CREATE)

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="check the disk"):
            backend.put("repo", b"two", mode=Update(version))
    assert backend.get("repo") == b"one"
    assert len(list(root.iterdir())) == 2  # repo and the lock
    backend.put("repo", b"two", mode=Update(version))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_that_cannot_bring_a_folder_to_the_disk(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(number, os.strerror(number))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    backend.put("chunks/a", b"a")
    backend.sync()
    backend.put("repo", b"one", mode=CREATE)
    assert backend.get("repo") == b"one"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_syncs_what_it_inherited(backend: LocalBackend, recorder: Recorder) -> None:
    backend.put("chunks/a", b"a")
    recorder.take()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            backend.sync()
            code = 0 if "fsync chunks/a" in recorder.take() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
