"""Ordinary files beside arrays: `Session.files`."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

import frazil
from frazil.errors import (
    AlreadyExistsError,
    FormatError,
    InvalidInputError,
    NodeNotFoundError,
    ReadOnlyError,
    RebaseFailedError,
    SessionStateError,
)
from frazil.files import Files
from frazil.model.file_arrays import CHUNK_BYTES
from frazil.storage import osfiles

CHUNK = 1000


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of some kilobytes have many chunks."""
    for module in ("frazil.model.file_arrays", "frazil.files.writing", "frazil.files.group"):
        monkeypatch.setattr(f"{module}.CHUNK_BYTES", CHUNK)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_put_and_get(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    files = session.files("notes")
    files["README.md"] = b"# Read me"
    info = files.put("w.bin", noise(3000), attributes={"station": 7}, media_type="a/b")
    assert (info.path, info.size, info.media_type) == ("/notes/w.bin", 3000, "a/b")
    assert dict(info.attributes) == {"station": 7}
    files.put_text("empty", "")
    session.commit("files")
    files = repo.at().files("/notes")
    assert list(files) == ["README.md", "empty", "w.bin"]
    assert len(files) == 3
    assert [info.name for info in files.glob("*.*")] == ["README.md", "w.bin"]
    assert files.list()[0].media_type == "text/markdown"
    assert (files["README.md"], files["empty"], files["w.bin"]) == (
        b"# Read me",
        b"",
        noise(3000),
    )
    assert files.get_text("README.md") == "# Read me"
    assert "README.md" in files
    assert not {"nothing", "../notes/empty", "", ".", 7} & {
        n for n in (7, "", ".", "nothing") if n in files
    }
    assert "w.bin" in repr(files)
    assert "text/markdown" in files._repr_html_()
    with pytest.raises(InvalidInputError, match="not text"):
        files.get_text("w.bin")
    with pytest.raises(NodeNotFoundError, match="'nothing' in /notes"):
        files.get("nothing")
    assert repo.verify("data").is_healthy


async def test_twins(repo: frazil.Repository, tmp_path: Path) -> None:
    session = repo.writable_session("main")
    files = session.files()
    await files.put_async("a", b"1")
    await files.put_text_async("b", "2")
    assert await files.get_async("a") == b"1"
    assert await files.get_text_async("b") == "2"
    assert (await files.save_async("a", tmp_path)).read_bytes() == b"1"


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, as a network does, and knows no places."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 700))


SOURCES: list[Callable[[bytes, Path], object]] = [
    lambda data, path: data,
    lambda data, path: memoryview(bytearray(data)),
    lambda data, path: path,
    lambda data, path: str(path),
    lambda data, path: io.BytesIO(data),
    lambda data, path: Trickle(data),
]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 17 * CHUNK + 3])
def test_sources_and_sizes(tmp_path: Path, size: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    data, path = noise(size), tmp_path / "file"
    path.write_bytes(data)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    session = repo.writable_session("main")
    files = session.files()
    for number, source in enumerate(SOURCES):
        info = files.put(f"f{number}", source(data, path))  # type: ignore[arg-type]
        when = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
        assert info.modified == (when if number in (2, 3) else None)
        assert info.size == size
        assert files.get(f"f{number}") == data
    session.commit("all")
    assert repo.at().files().get("f5") == data
    assert repo.verify("data").is_healthy


@pytest.mark.usefixtures("small_chunks")
def test_reading_parts() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    data = noise(10 * CHUNK + 77)
    with repo.edit("main", "a file") as tree:
        tree.files()["f"] = data
    rng = random.Random(3)
    expected = io.BytesIO(data)
    with repo.at().files().open("f") as file:
        assert file.readable()
        assert file.seekable()
        for _ in range(200):
            place, whence = rng.choice(
                [(rng.randrange(len(data) + 50), 0), (-rng.randrange(len(data)), 2), (0, 1)]
            )
            assert file.seek(place, whence) == expected.seek(place, whence)
            size = rng.choice([0, 1, 10, CHUNK, 3 * CHUNK, -1])
            assert file.read(size) == expected.read(size)
            assert file.tell() == expected.tell()
        raw = file.raw
        with pytest.raises(ValueError, match="no place -1"):
            raw.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        raw.read(1)


@pytest.mark.usefixtures("small_chunks")
def test_only_the_chunks_that_are_needed_are_read(tmp_path: Path) -> None:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    storage = frazil.local_filesystem_storage(str(tmp_path))
    repo = frazil.Repository.create(storage, config)
    with repo.edit("main", "a file") as tree:
        tree.files()["f"] = noise(100 * CHUNK)
    repo = frazil.Repository.open(storage)
    with repo.at().files().open("f") as file:
        file.read(10)  # manifest and first chunk
        before = repo.stats
        for place in (50 * CHUNK + 5, 10, 50 * CHUNK + 900, 20):
            file.seek(place)
            file.read(10)
    after = repo.stats
    assert after.num_requests - before.num_requests == 1
    assert after.bytes_read - before.bytes_read < 1.1 * CHUNK


def test_a_source_that_fails_changes_nothing(tmp_path: Path) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    files = session.files("/g")

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "the disk is gone")

    for source, reason in (
        (tmp_path / "missing", "cannot read .*missing: No such file"),
        (Broken(), "the disk is gone"),
        (io.StringIO("text"), "mode 'rb'"),
        (7, "not from int"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            files.put("f", source)  # type: ignore[arg-type]
    assert not session.has_uncommitted_changes
    files["f"] = b"old"
    with pytest.raises(InvalidInputError, match="the disk is gone"):
        files.put("f", Broken())  # type: ignore[arg-type]
    assert files["f"] == b"old"


def test_a_name_is_a_files_or_another_nodes(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    session["group/array"] = np.arange(3)
    files = session.files("group")
    files["file"] = b"x"
    root = session.files()
    for handle, name in ((files, "array"), (root, "group")):
        with pytest.raises(AlreadyExistsError, match="a file does not replace"):
            handle.put(name, b"y")
    for path in ("group/array", "group/file"):
        with pytest.raises(InvalidInputError, match="not a group"):
            session.files(path)
    below = Files(session.store, "/group/file")
    with pytest.raises(AlreadyExistsError, match="a file, in which"):
        below.put("x", b"y")
    with pytest.raises(AlreadyExistsError, match="there is already an array"):
        session._workspace.set_metadata("/group/file", b'{"zarr_format":3,"node_type":"group"}')
    with pytest.raises(InvalidInputError, match="reserved"):
        files.put("c", b"")
    with pytest.raises(InvalidInputError, match="invalid node path"):
        session.files("a/../b")
    with pytest.raises(NodeNotFoundError):
        files.delete("array")
    assert "array" not in files
    assert np.asarray(session["group/array"][:]).tolist() == [0, 1, 2]  # type: ignore[index]


def test_read_only_sessions_and_missing_groups(repo: frazil.Repository) -> None:
    with repo.edit("main", "a file") as tree:
        tree.files("/a/b/c1")["f"] = b"1"
        assert list(tree.files("/new")) == []
    past = repo.at()
    assert list(past) == ["a", "a/b", "a/b/c1", "a/b/c1/f"]
    with pytest.raises(ReadOnlyError):
        past.files("/a")["f"] = b"2"
    with pytest.raises(ReadOnlyError):
        del past.files("/a/b/c1")["f"]
    with pytest.raises(NodeNotFoundError, match="no group /x"):
        past.files("/x")


@pytest.mark.usefixtures("small_chunks")
def test_versions_of_a_file(repo: frazil.Repository) -> None:
    sizes = [5 * CHUNK, 10, 2 * CHUNK + 1, 0, CHUNK]
    for number, size in enumerate(sizes):
        with repo.edit("main", f"version {number}") as tree:
            tree.files()["f"] = noise(size, number)
            assert tree.files()["f"] == noise(size, number)
    tips = [info.id for info in repo.ancestry(branch="main")][::-1][1:]
    ids = set()
    for number, (tip, size) in enumerate(zip(tips, sizes, strict=True)):
        past = repo.at(snapshot_id=tip)
        assert past.files()["f"] == noise(size, number)
        ids.add(past.get_node_id("/f"))
    assert len(ids) == 1
    diff = repo.diff(from_snapshot_id=tips[0], to_snapshot_id=tips[1])
    assert diff.updated_arrays == {"/f"}
    assert repo.verify("data").is_healthy


def test_replacing_twice_and_deleting_in_one_session(repo: frazil.Repository) -> None:
    with repo.edit("main", "first") as tree:
        tree.files()["f"] = b"1" * 600
    session = repo.writable_session("main")
    files = session.files()
    for data in (b"22", b"3" * 900, b""):
        files["f"] = data
        assert files["f"] == data
    del files["f"]
    assert list(files) == []
    files["f"] = b"again"
    session.commit("again")
    assert repo.at().files()["f"] == b"again"


def test_the_same_file_on_both_sides_is_a_conflict(repo: frazil.Repository) -> None:
    with repo.edit("main", "first") as tree:
        tree.files()["f"] = b"1"
    repo.create_branch("dev", repo.lookup_branch("main"))
    for branch in ("main", "dev"):
        with repo.edit(branch, "both") as tree:
            tree.files()["f"] = branch.encode()
            tree.files()[f"only-{branch}"] = branch.encode()
    for solver in (
        frazil.ConflictDetector(),
        frazil.BasicConflictSolver(),
        frazil.MetadataMergeSolver(),
    ):
        with pytest.raises(RebaseFailedError) as caught:
            repo.merge("dev", into="main", message="merge", solver=solver)
        assert {conflict.path for conflict in caught.value.conflicts} == {"/f"}


def test_the_same_new_name_on_both_sides_is_a_conflict(repo: frazil.Repository) -> None:
    with repo.edit("main", "first") as tree:
        tree.files()["old"] = b"1"
    session = repo.writable_session("main")
    session.files()["new"] = b"a"
    with repo.edit("main", "meanwhile") as tree:
        tree.files()["new"] = b"b"
    with pytest.raises(RebaseFailedError) as caught:
        session.commit("late", rebase_with=frazil.BasicConflictSolver())
    assert [conflict.path for conflict in caught.value.conflicts] == ["/new"]


def test_files_are_merged(repo: frazil.Repository) -> None:
    with repo.edit("main", "first") as tree:
        tree.files()["f"] = b"1"
        tree.files()["g"] = b"1"
    repo.create_branch("dev", repo.lookup_branch("main"))
    with repo.edit("dev", "one") as tree:
        tree.files()["f"] = b"dev" * 999
        tree.files()["new"] = b"n"
    with repo.edit("main", "the other") as tree:
        tree.files()["g"] = b"main"
    repo.merge("dev", into="main", message="merge")
    files = repo.at().files()
    assert [files[name] for name in files] == [b"dev" * 999, b"main", b"n"]
    assert next(iter(repo.ancestry(branch="main"))).message == "merge"


def test_forks_put_files(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    forks = [session.fork() for _ in range(2)]
    for number, fork in enumerate(forks):
        fork.files("/logs").put_text(f"{number}.log", f"worker {number}")
        # Each makes the group, so it has to be there before for them to be merged.
    with pytest.raises(SessionStateError, match="created"):
        session.merge(*forks)
    session = repo.writable_session("main")
    session.files("/logs")["about"] = b"logs"
    forks = [session.fork() for _ in range(2)]
    for number, fork in enumerate(forks):
        fork.files("/logs").put_text(f"{number}.log", f"worker {number}")
    session.merge(*forks)
    session.commit("logs")
    assert list(repo.at().files("/logs")) == ["0.log", "1.log", "about"]


def test_changes_discarded_while_a_file_is_put() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")

    class Discarding(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            session.discard_changes()
            return super().read(size)

    with pytest.raises(SessionStateError, match="was changed by another thread"):
        session.files().put("f", Discarding(b"x"))


def test_saving_to_disk(tmp_path: Path) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    files = session.files()
    files["f.bin"] = data = noise(CHUNK_BYTES + 5)
    assert files.save("f.bin", tmp_path) == tmp_path / "f.bin"
    target = files.save("f.bin", tmp_path / "g")
    assert target.read_bytes() == (tmp_path / "f.bin").read_bytes() == data
    with pytest.raises(InvalidInputError, match="cannot write"):
        files.save("f.bin", tmp_path / "none" / "g")
    zarr.open_array(session.store, path="f.bin")[0] = 255 - data[0]
    for attempt in (lambda: files.get("f.bin"), lambda: files.save("f.bin", target)):
        with pytest.raises(FormatError, match="SHA-256") as caught:
            attempt()
        assert caught.value.kind == "chunk-corrupted"
    assert target.read_bytes() == data
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["f.bin", "g"]
    with files.open("f.bin") as file:
        assert file.read(1) != data[:1]


@pytest.mark.parametrize("name", ["a:b", "C:x", "con", "Aux.txt", "com1.log", "x. ", "a?b", "x."])
def test_names_that_windows_takes_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    files = repo.writable_session("main").files()
    files[name] = files["console.txt"] = b"1"
    monkeypatch.setattr(osfiles, "WINDOWS", True)
    with pytest.raises(InvalidInputError, match="on Windows: say what") as caught:
        files.save(name, tmp_path)
    assert caught.value.kind == "invalid-path"
    assert files.save(name, tmp_path / "other").read_bytes() == b"1"
    assert files.save("console.txt", tmp_path) == tmp_path / "console.txt"


def test_xarray_opens_groups_with_files() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    xr.Dataset({"t": ("x", np.arange(3))}).to_zarr(session.store, consolidated=False)
    files = session.files()
    files["a"], files["b"] = b"12", b"345"
    session.commit("both")
    with xr.open_zarr(repo.at().store, consolidated=False) as found:
        assert found["t"].values.tolist() == [0, 1, 2]
        assert found["b"].values.tobytes() == b"345"
