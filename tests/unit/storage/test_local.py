"""The local storage: where files are, what it refuses, and what a failure leaves."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from frazil.errors import StorageError
from frazil.storage import local, osfiles
from frazil.storage.base import (
    CREATE,
    FRESH,
    OVERWRITE,
    UNVERSIONED,
    PreconditionFailed,
    PutMode,
    Update,
)
from frazil.storage.local import LocalBackend
from frazil.storage.rootlock import LOCK_NAME


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def backend(root: Path) -> LocalBackend:
    return LocalBackend(root)


def files(root: Path) -> set[str]:
    """All files below the root but the lock, as a stranger sees them."""
    paths = (path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    return {path.relative_to(root).as_posix() for path in paths} - {LOCK_NAME}


def keys(backend: LocalBackend, prefix: str = "") -> list[str]:
    return sorted(info.key for info in backend.list(prefix))


def refused(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(StorageError) as caught:
        call()
    assert caught.value.kind == "io"
    for part in parts:
        assert part in str(caught.value)


# where files are


def test_reading_makes_no_folder_and_writing_does(backend: LocalBackend, root: Path) -> None:
    assert keys(backend) == []
    assert not backend.exists("repo")
    backend.delete(["repo", "chunks/a"])
    backend.sync()
    assert not root.exists()
    backend.put("chunks/a", b"a")
    assert files(root) == {"chunks/a"}


def test_keys_are_paths(backend: LocalBackend, root: Path) -> None:
    backend.put("chunks/A", b"a")
    backend.put("refs/branch.ü/ref.json", b"{}", mode=CREATE)
    backend.put("repo", b"r", mode=CREATE)
    assert files(root) == {"chunks/A", "refs/branch.%C3%BC/ref.json", "repo"}
    assert (root / "chunks" / "A").read_bytes() == b"a"


def test_unfinished_files_the_lock_and_empty_folders_are_not_listed(
    backend: LocalBackend, root: Path
) -> None:
    backend.put("repo", b"r", mode=CREATE)
    backend.delete(["repo"])
    assert (root / LOCK_NAME).exists()
    (root / "chunks").mkdir()
    (root / "chunks" / osfiles.scratch_name()).write_bytes(b"half")
    (root / "chunks" / "0123456789ABCDEFGHJK#1").write_bytes(b"half, of Icechunk")
    (root / "manifests" / "empty").mkdir(parents=True)
    assert keys(backend) == []


def test_unfinished_files_of_the_dead_can_be_removed(backend: LocalBackend, root: Path) -> None:
    backend.put("repo", b"r", mode=CREATE)
    backend.put("chunks/a", b"a")
    old = [root / osfiles.scratch_name(), root / "chunks" / osfiles.scratch_name()]
    strange = [root / ".frazil#1", root / "chunks" / "0123456789ABCDEFGHJK#1", root / "notes"]
    for path in [*old, *strange]:
        path.write_bytes(b"half")
    (root / ".frazil#123456789012345").mkdir()
    (root / ".frazil#123456789012346").symlink_to(root / "notes")
    assert backend.remove_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert all(path.exists() for path in old)
    assert backend.remove_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 2
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in strange)
    assert (root / ".frazil#123456789012345").is_dir()
    assert (root / ".frazil#123456789012346").is_symlink()
    assert keys(backend) == ["chunks/a", "notes", "repo"]


@pytest.mark.skipif(osfiles.WINDOWS, reason="no time of the last change there")
def test_a_copy_in_the_making_is_not_unfinished(backend: LocalBackend, root: Path) -> None:
    backend.put("repo", b"r", mode=CREATE)
    os.utime(root / "repo", (0, 0))
    (root / "overwritten").mkdir()
    scratch = root / "overwritten" / osfiles.scratch_name()
    os.link(root / "repo", scratch)
    assert backend.remove_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert scratch.exists()


def test_a_path_relative_to_the_working_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = LocalBackend("here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    backend.put("chunks/a", b"a")
    assert files(tmp_path) == {"here/chunks/a"}


def test_a_root_that_is_removed_can_be_written_again(backend: LocalBackend, root: Path) -> None:
    backend.put("chunks/a", b"a")
    backend.put("repo", b"r", mode=CREATE)
    shutil.rmtree(root)
    assert not backend.exists("repo")
    assert keys(backend) == []
    backend.put("chunks/b", b"b")
    backend.put("repo", b"new", mode=CREATE)
    backend.sync()
    assert keys(backend) == ["chunks/b", "repo"]


def test_files_are_readable_for_whom_the_umask_says(backend: LocalBackend, root: Path) -> None:
    before = os.umask(0o027)
    try:
        backend.put("chunks/a", b"a")
        backend.put("repo", b"a", mode=CREATE)
    finally:
        os.umask(before)
    assert (root / "chunks" / "a").stat().st_mode & 0o777 == 0o640
    assert (root / "repo").stat().st_mode & 0o777 == 0o640


# what is refused

links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


@links
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("used_before", [False, True])
def test_a_folder_that_is_a_link_is_refused(
    backend: LocalBackend, root: Path, tmp_path: Path, inside: bool, used_before: bool
) -> None:
    target = root / "other" if inside else tmp_path / "outside"
    root.mkdir()
    target.mkdir()
    (target / "secret").write_bytes(b"secret")
    if used_before:
        backend.put("chunks/secret", b"mine")
        assert backend.get("chunks/secret") == b"mine"
        shutil.rmtree(root / "chunks")
    (root / "chunks").symlink_to(target, target_is_directory=True)
    backend.put("repo", b"r")
    path = str(root / "chunks")
    refused(lambda: backend.get("chunks/secret"), path, "links inside a repository")
    refused(lambda: backend.get("chunks/secret", start=0, end=1), path)
    refused(lambda: backend.get_ranges("chunks/secret", [(0, 1)]), path)
    refused(lambda: backend.fetch("chunks/secret"), path)
    refused(lambda: backend.info("chunks/secret"), path)
    refused(lambda: backend.exists("chunks/secret"), path)
    refused(lambda: backend.put("chunks/new", b"new"), path)
    refused(lambda: backend.put("chunks/new", b"new", mode=CREATE), path)
    refused(lambda: backend.put("chunks/deep/new", b"new"), path)
    refused(lambda: backend.copy("chunks/secret", "overwritten/x"), path)
    refused(lambda: backend.copy("repo", "chunks/x"), path)
    refused(lambda: backend.delete(["chunks/secret"]), path)
    refused(lambda: keys(backend, "chunks"), path)
    assert keys(backend) == (["other/secret", "repo"] if inside else ["repo"])
    assert {entry.name for entry in target.iterdir()} == {"secret"}
    assert (target / "secret").read_bytes() == b"secret"


@links
def test_a_link_further_up_is_refused(backend: LocalBackend, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    backend.put("refs/branch.main/ref.json", b"mine", mode=CREATE)
    (root / "refs").rename(outside)
    (root / "refs").symlink_to(outside, target_is_directory=True)
    refused(lambda: LocalBackend(root).get("refs/branch.main/ref.json"), str(root / "refs"))
    refused(lambda: LocalBackend(root).put("refs/branch.new/ref.json", b"x"), str(root / "refs"))
    assert {entry.name for entry in outside.iterdir()} == {"branch.main"}


@links
def test_an_object_that_is_a_link_is_refused(
    backend: LocalBackend, root: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / "chunks").mkdir(parents=True)
    for path in (root / "chunks" / "a", root / "repo"):
        path.symlink_to(secret)
    for key in ("chunks/a", "repo"):
        path = str(root / key)
        refused(lambda key=key: backend.get(key), path, "links inside a repository")
        refused(lambda key=key: backend.fetch(key), path)
        refused(lambda key=key: backend.info(key), path)
        refused(lambda key=key: backend.exists(key), path)
        refused(lambda key=key: backend.copy(key, "overwritten/x"), path)
        refused(lambda key=key: backend.copy(key, "config.yaml"), path)
    refused(lambda: backend.put("repo", b"x", mode=CREATE), str(root / "repo"))
    refused(lambda: backend.put("repo", b"x", mode=Update(UNVERSIONED)), str(root / "repo"))
    assert keys(backend) == []
    backend.put("chunks/a", b"mine")  # takes the place of the link, not of what it leads to
    assert backend.get("chunks/a") == b"mine"
    assert secret.read_bytes() == b"secret"


@links
def test_deleting_a_link_leaves_what_it_leads_to(
    backend: LocalBackend, root: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / "chunks").mkdir(parents=True)
    (root / "chunks" / "a").symlink_to(secret)
    backend.delete(["chunks/a"])
    assert files(root) == set()
    assert secret.read_bytes() == b"secret"


@links
def test_the_lock_is_not_made_through_a_link(
    backend: LocalBackend, root: Path, tmp_path: Path
) -> None:
    root.mkdir()
    (root / LOCK_NAME).symlink_to(tmp_path / "outside")
    refused(lambda: backend.put("repo", b"r", mode=CREATE), LOCK_NAME)
    assert not (tmp_path / "outside").exists()


@links
def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk", target_is_directory=True)
    backend = LocalBackend(tmp_path / "root")
    version = backend.put("repo", b"r", mode=CREATE)
    backend.put("repo", b"s", mode=Update(version))
    backend.put("chunks/a", b"a")
    backend.sync()
    assert files(tmp_path / "disk") == {"repo", "chunks/a"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_the_place_of_an_object_stops_nobody(backend: LocalBackend, root: Path) -> None:
    (root / "chunks").mkdir(parents=True)
    os.mkfifo(root / "chunks" / "pipe")
    refused(lambda: backend.get("chunks/pipe"), str(root / "chunks" / "pipe"))
    assert not backend.exists("chunks/pipe")
    assert keys(backend) == []


def test_a_folder_in_the_place_of_an_object(backend: LocalBackend, root: Path) -> None:
    for key in ("chunks/a", "repo"):
        (root / key).mkdir(parents=True)
        path = str(root / key)
        refused(lambda key=key: backend.get(key), path, "move it out of the repository")
        refused(lambda key=key: backend.put(key, b"x"), path)
        refused(lambda key=key: backend.info(key), path)
        assert not backend.exists(key)
    assert files(root) == set()


def test_a_file_in_the_place_of_a_folder(backend: LocalBackend, root: Path) -> None:
    root.mkdir()
    (root / "chunks").write_bytes(b"")
    refused(lambda: backend.get("chunks/a"), "chunks", "move it out of the repository")
    refused(lambda: backend.put("chunks/a", b"x"), "chunks")
    assert keys(backend) == ["chunks"]


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"a file")
    backend = LocalBackend(tmp_path / "root")
    refused(lambda: backend.get("repo"), str(tmp_path / "root"))
    refused(lambda: backend.exists("repo"), str(tmp_path / "root"))
    refused(lambda: keys(backend), str(tmp_path / "root"))
    refused(lambda: backend.put("repo", b"x", mode=CREATE), str(tmp_path / "root"))
    refused(lambda: backend.put("chunks/a", b"x"), str(tmp_path / "root"))
    assert (tmp_path / "root").read_bytes() == b"a file"


# what a failure leaves


FAILING = [
    *(
        (call, key)
        for call in ("open", "write", "close", "replace")
        for key in ("chunks/a", "repo")
    ),
    ("fsync", "repo"),  # an immutable object is written without
]


@pytest.mark.parametrize(("call", "key"), FAILING)
@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "who may"), (errno.EIO, "check the disk")],
)
def test_a_put_that_fails_leaves_all_as_it_was(
    backend: LocalBackend,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    key: str,
    number: int,
    advice: str,
) -> None:
    version = backend.put(key, b"before")
    real = getattr(os, call)

    def fail(*args: object, **options: object) -> object:
        path = str(args[0])
        if call == "open" and (osfiles.UNLISTED not in path or path.endswith(LOCK_NAME)):
            return real(*args, **options)
        if call == "close":
            real(*args)
        raise OSError(number, os.strerror(number))

    mode = Update(version) if key == "repo" else OVERWRITE
    with monkeypatch.context() as patch:
        patch.setattr(osfiles, "os", SimpleNamespace(**{**vars(os), call: fail}))
        refused(lambda: backend.put(key, b"after", mode=mode), str(root / key), advice)
    assert backend.get(key) == b"before"
    assert files(root) == {key}
    backend.put(key, b"after", mode=mode)
    assert backend.get(key) == b"after"


@pytest.mark.parametrize("mode", [OVERWRITE, FRESH])
def test_a_disk_that_fills_up_in_the_middle(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch, mode: PutMode
) -> None:
    real = os.write
    room = 2500

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(fd, data[: min(1000, room)])
        room -= written
        return written

    monkeypatch.setattr(os, "write", write)
    refused(lambda: backend.put("chunks/a", bytes(5000), mode=mode), "free some space")
    assert files(root) == set()
    room = 10_000
    backend.put("chunks/a", bytes(range(250)) * 20, mode=mode)
    assert backend.get("chunks/a") == bytes(range(250)) * 20


def no_renames(*args: object) -> None:
    raise AssertionError("renamed")


def test_an_object_of_a_new_name_is_written_under_it(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("snapshots/a", b"a")
    (root / "snapshots" / "link").symlink_to("a")
    with monkeypatch.context() as patch:
        patch.setattr(osfiles, "replace", no_renames)
        backend.put("snapshots/b", b"b", mode=FRESH)
    reader = (root / "snapshots" / "a").open("rb")
    for taken in ("a", "link"):
        backend.put(f"snapshots/{taken}", b"new", mode=FRESH)
        assert backend.get(f"snapshots/{taken}") == b"new"
    with reader:
        assert reader.read() == b"a"
    assert files(root) == {"snapshots/a", "snapshots/b", "snapshots/link"}


def test_a_copy_replaces_what_is_there(backend: LocalBackend, root: Path) -> None:
    for data in (b"one", b"two"):
        backend.put("repo", data)
        backend.copy("repo", "overwritten/repo.1")
        assert backend.get("overwritten/repo.1") == data
    assert files(root) == {"repo", "overwritten/repo.1"}


def test_reads_go_on_after_a_short_one(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("chunks/a", bytes(range(250)) * 20)
    real = osfiles._read_once
    monkeypatch.setattr(osfiles, "_read_once", lambda fd, size, at: real(fd, min(size, 999), at))
    assert backend.get("chunks/a") == bytes(range(250)) * 20
    assert backend.get("chunks/a", start=100, end=4000) == (bytes(range(250)) * 20)[100:4000]


def test_a_file_that_shrinks_while_it_is_read(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("chunks/a", bytes(5000))
    real = osfiles._read_once
    monkeypatch.setattr(
        osfiles, "_read_once", lambda fd, size, at: real(fd, size, at)[: max(0, 700 - at)]
    )
    with pytest.raises(StorageError, match=r"wanted bytes 0 to 5000, found 700") as caught:
        backend.get("chunks/a")
    assert caught.value.kind == "invalid-object-size"


def test_systems_without_positioned_reads(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("chunks/a", b"0123456789")
    monkeypatch.setattr(osfiles, "_PREAD", False)
    assert backend.get_ranges("chunks/a", [(8, 10), (0, 3)]) == [b"89", b"012"]


@links
def test_systems_that_cannot_refuse_a_link_while_opening(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("chunks/a", b"a")
    (root / "chunks" / "link").symlink_to(root / "chunks" / "a")
    monkeypatch.setattr(osfiles, "_NO_FOLLOW", 0)
    monkeypatch.setattr(osfiles, "_READ", osfiles._READ & ~os.O_NOFOLLOW)
    assert backend.get("chunks/a") == b"a"
    refused(lambda: backend.get("chunks/link"), "link")


# hard links, and file systems without


def no_links(*args: object, **options: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_backup_is_another_name_and_stays_as_it_was(backend: LocalBackend, root: Path) -> None:
    version = backend.put("repo", b"one", mode=CREATE)
    backend.copy("repo", "overwritten/repo.1", version=version)
    assert (root / "overwritten" / "repo.1").samefile(root / "repo")
    backend.put("repo", b"two", mode=Update(version))
    assert backend.get("overwritten/repo.1") == b"one"
    assert files(root) == {"repo", "overwritten/repo.1"}


def test_file_systems_without_hard_links(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    version = backend.put("repo", b"one", mode=CREATE)
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"x", mode=CREATE)
    backend.copy("repo", "overwritten/repo.1", version=version)
    with pytest.raises(PreconditionFailed):
        backend.copy("repo", "overwritten/repo.1", version=UNVERSIONED)
    backend.put("repo", b"two", mode=Update(version))
    assert backend.get("overwritten/repo.1") == b"one"
    assert files(root) == {"repo", "overwritten/repo.1"}


def test_a_program_that_ignores_the_lock_does_not_lose_its_object(
    backend: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("refs/tag.other/ref.json", b"")
    real = osfiles.write_new

    def slow(path: str, data: bytes, *, durable: bool) -> None:
        real(path, data, durable=durable)
        (root / "repo").write_bytes(b"theirs")

    monkeypatch.setattr(osfiles, "write_new", slow)
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"mine", mode=CREATE)
    assert backend.get("repo") == b"theirs"
    assert files(root) == {"repo", "refs/tag.other/ref.json"}


# versions


def test_an_unchanged_file_is_not_read_again_once_it_has_settled(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = backend.put("repo", b"one")
    reads = []
    real, now = osfiles.read_at, local.time.time_ns

    def count(fd: int, size: int, offset: int) -> bytes:
        reads.append(size)
        return real(fd, size, offset)

    monkeypatch.setattr(osfiles, "read_at", count)
    for expected in (1, 2, 3):
        assert backend.fetch("repo", unless=version) is None
        assert len(reads) == expected  # too young to be known by its times
    monkeypatch.setattr(local.time, "time_ns", lambda: now() + 3_000_000_000)
    for _ in range(3):
        assert backend.fetch("repo", unless=version) is None
        assert len(reads) == 4
    assert backend.fetch("repo") is not None
    backend.put("repo", b"two")
    found = backend.fetch("repo", unless=version)
    assert found is not None
    assert found.data == b"two"


def test_the_same_bytes_are_the_same_version_in_every_process(root: Path) -> None:
    version = LocalBackend(root).put("repo", b"one", mode=CREATE)
    found = LocalBackend(root).fetch("repo")
    assert found is not None
    assert found.version == version
    LocalBackend(root).put("repo", b"two", mode=Update(version))
