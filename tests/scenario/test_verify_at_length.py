"""Verification of what is large: in little memory, taken up again, by others; and its note."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from frazil.engine.verification.rows import BYTES_PER_ROW
from frazil.errors import ErrorKind, InvalidInputError, NodeNotFoundError, StorageError
from frazil.format.pack import footer_bytes
from frazil.format.transaction_log import decode_transaction_log, encode_transaction_log
from frazil.ids import SnapshotId
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from frazil.storage.wrapper import Wrapper
from frazil.verification import FindingKind, VerifyReport
from tests.scenario.places import storage_around

CHUNKS = 12


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def repo(backend: MemoryBackend, spec: int) -> Repository:
    """Commits of an array of large chunks, each an object, and of one in a pack."""
    repo = Repository.create(storage_around(backend), spec_version=spec)
    rng = np.random.default_rng(5)
    for i in range(4):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for name, size in (("tiny", 50), ("small", 900), ("large", 300_000)):
            there = root.require_array(
                name, shape=(CHUNKS * size,), chunks=(size,), dtype="i4", compressors=None
            )
            there[i * 3 * size : (i + 1) * 3 * size] = rng.integers(1, 1 << 30, 3 * size)
        session.commit(f"commit {i}")
    return repo


def chunk_objects(backend: MemoryBackend) -> list[str]:
    return sorted(info.key for info in backend.list("chunks"))


def break_some(backend: MemoryBackend) -> list[str]:
    """Damage the first, one in the middle, and the last chunk object, each in its own way."""
    keys = chunk_objects(backend)
    first, middle, last = keys[0], keys[len(keys) // 2], keys[-1]
    data = bytearray(backend.get(first))
    data[11] ^= 1
    backend.put(first, bytes(data))
    backend.delete([middle])
    backend.put(last, backend.get(last)[:100])
    return [first, middle, last]


def told(report: VerifyReport) -> dict[str, Any]:
    """All but the times."""
    return {k: v for k, v in report.to_dict().items() if not k.endswith("_at")}


@pytest.mark.parametrize("level", ["objects", "data"])
def test_little_memory_takes_several_passes(
    repo: Repository, backend: MemoryBackend, level: frazil.verification.Level
) -> None:
    whole = repo.verify(level)
    assert whole.is_healthy
    assert whole.chunks == 2 * CHUNKS
    assert told(repo.verify(level, max_memory=1)) == told(whole)
    broken = break_some(backend)
    whole = repo.verify(level)
    assert {one.object for one in whole.findings} == set(broken[level == "objects" :])
    for rows in (1, 2, 5, 100):
        assert told(repo.verify(level, max_memory=rows * BYTES_PER_ROW)) == told(whole)


def test_passes_read_manifests_again_and_no_object_twice(
    repo: Repository, backend: MemoryBackend
) -> None:
    counting = Counting(backend)
    again = Repository.open(storage_around(counting))
    counting.reset()
    again.verify("data")
    once = counting.requests["get", "manifests"]
    assert counting.requests["get", "chunks"] == len(chunk_objects(backend))
    counting.reset()
    again.verify("data", max_memory=5 * BYTES_PER_ROW)
    assert counting.requests["get", "chunks"] == len(chunk_objects(backend))
    assert counting.requests["get", "manifests"] > 2 * once


class Failing(Wrapper):
    """Fails at the chunk object that is read after so many others."""

    left: int | None = None

    def request(self, operation: str, key: str, call: Callable[[], Any], sent: int = 0) -> Any:
        if operation == "get" and key.startswith("chunks/") and self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise StorageError("the line is dead", ErrorKind.OBJECT_STORE)
        return call()


@pytest.mark.parametrize("memory", [1 << 30, 5 * BYTES_PER_ROW])
def test_it_goes_on_where_it_was(
    repo: Repository,
    backend: MemoryBackend,
    memory: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One object is a step, and one step is made at a time.
    monkeypatch.setattr("frazil.engine.verification.objects._STEP_OBJECTS", 1)
    monkeypatch.setattr("frazil.engine.verification.verify._READS_AT_ONCE", 1)
    break_some(backend)
    whole = repo.verify("data")
    failing = Failing(backend)
    counting = Counting(failing)
    again = Repository.open(storage_around(counting))
    notes = tmp_path / "notes.json"
    readable = len(chunk_objects(backend)) - 1
    attempts = 0
    counting.reset()
    while True:
        failing.left = 3
        try:
            report = again.verify("data", max_memory=memory, resume=notes)
            break
        except StorageError:
            attempts += 1
            assert notes.exists()
    assert not notes.exists()
    assert attempts == (readable - 1) // 3
    # What failed is asked for once more.
    assert counting.requests["get", "chunks"] == readable + attempts
    assert report.resumed
    assert told(report) == told(whole) | {"resumed": True}


def test_it_looks_at_what_it_began_with(
    repo: Repository, backend: MemoryBackend, tmp_path: Path
) -> None:
    failing = Failing(backend)
    again = Repository.open(storage_around(failing))
    notes = tmp_path / "notes.json"
    expected = repo.verify("data").chunks
    failing.left = 0
    with pytest.raises(StorageError, match="dead"):
        again.verify("data", resume=notes)
    failing.left = None
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="large")[:] = 1
    session.commit("later")
    report = again.verify("data", resume=notes)
    assert (report.resumed, report.chunks) == (True, expected)
    assert again.verify("data", resume=notes).chunks > expected


def test_notes_of_something_else(repo: Repository, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text("nonsense")
    with pytest.raises(InvalidInputError, match="no notes of a verification"):
        repo.verify(resume=notes)
    notes.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frazil.engine.verification.verify.check_manifests", None)
        with pytest.raises(TypeError):
            repo.verify("data", resume=notes)
    with pytest.raises(InvalidInputError, match=r"another verification \(level 'data' instead"):
        repo.verify("objects", resume=notes)
    # What it began with is gone: it begins anew.
    document = json.loads(notes.read_text())
    document["progress"]["tips"] = [str(SnapshotId(bytes(12)))]
    notes.write_text(json.dumps(document))
    report = repo.verify("data", resume=notes)
    assert (report.resumed, report.is_healthy) == (False, True)


def test_an_executor_finds_the_same(repo: Repository, backend: MemoryBackend) -> None:
    break_some(backend)
    with ThreadPoolExecutor(2) as pool:
        for level in ("metadata", "objects", "data"):
            assert told(repo.verify(level, on=pool)) == told(repo.verify(level))


def test_a_path_that_no_version_has(repo: Repository) -> None:
    assert repo.verify(path="/tiny").is_healthy
    assert repo.verify(path="/").is_healthy
    with pytest.raises(NodeNotFoundError, match="/huge"):
        repo.verify(path="/huge")
    with pytest.raises(ValueError, match="memory"):
        repo.verify(max_memory=0)


def test_a_log_under_another_name(repo: Repository, backend: MemoryBackend) -> None:
    ids = [item.id for item in repo.ancestry(branch="main")]
    key = f"transactions/{ids[0]}"
    log = decode_transaction_log(backend.get(f"transactions/{ids[1]}"), where="log")
    backend.put(key, encode_transaction_log(log, spec=1))
    (finding,) = repo.verify("metadata").findings
    assert (finding.kind, finding.object) == (FindingKind.MISPLACED, key)
    assert ids[1] in finding.message


# Chunks without checksum


def without_footers(backend: MemoryBackend) -> None:
    for key in chunk_objects(backend):
        data = backend.get(key)
        backend.put(key, data[: -footer_bytes(data)])


@pytest.mark.parametrize("compressed", [False, True])
def test_chunks_without_checksum_are_decoded(
    backend: MemoryBackend, spec: int, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.format.manifest._encode_checksums", lambda *_: None)
    monkeypatch.setattr("frazil.engine.packs.Contents.footer", lambda *_: b"")
    repo = Repository.create(storage_around(backend), spec_version=spec)
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    how: dict[str, Any] = {} if compressed else {"compressors": None}
    data = np.random.default_rng(1).integers(0, 1 << 30, (60, 40))
    root.create_array("a", shape=(60, 40), chunks=(20, 20), dtype="i8", **how)[:] = data
    root.create_array("b", shape=(60, 40), chunks=(20, 20), shards=(40, 40), dtype="i8")[:] = data
    root.create_array("s", shape=(), dtype="f8")[...] = 5  # inline, with its manifest's checksum
    session.commit("plain")
    report = repo.verify("data")
    assert report.is_healthy, str(report)
    assert (report.checked, report.decoded, report.unchecked) == (0, 8, 0)
    # A reference that is too short by a byte: nothing but the decoder can know.
    node = repo.readonly_session("main")._workspace.node("/a")
    assert node is not None
    ref = repo.readonly_session("main")._workspace.locate(node, (1, 1))
    key = f"chunks/{ref.object}"  # type: ignore[union-attr]
    damaged = bytearray(backend.get(key))
    at = ref.offset  # type: ignore[union-attr]
    damaged[at : at + 4] = b"    "
    backend.put(key, bytes(damaged))
    report = repo.verify("data")
    if compressed:
        (finding,) = report.findings
        assert (finding.kind, finding.array, finding.chunk) == (
            FindingKind.UNDECODABLE,
            "/a",
            (1, 1),
        )
        assert report.decoded == 7
    else:
        assert report.is_healthy  # any bytes are numbers


# The note


def test_the_last_verification(repo: Repository, backend: MemoryBackend) -> None:
    assert repo.last_verification() is None
    before = datetime.now(UTC)
    repo.verify("data", path="/large")
    repo.verify("data", note=False)
    assert repo.last_verification() is None
    repo.verify("data", sample=0.5)
    last = repo.last_verification("data")
    assert last is not None
    assert (last.level, last.sample, last.is_healthy) == ("data", 0.5, True)
    assert before <= last.ended_at <= datetime.now(UTC)
    assert last.checked > 0
    break_some(backend)
    assert len(repo.verify("objects").findings) == 2
    now = repo.last_verification()
    assert now is not None
    assert (now.level, now.findings, now.is_healthy) == ("objects", 2, False)
    assert "is_healthy: False" in str(now)
    assert repo.last_verification("data") == last
    backend.put("frazil/verification.json", b"nonsense")
    assert repo.last_verification() is None
    with pytest.raises(ValueError, match="level"):
        repo.last_verification("all")  # type: ignore[arg-type]


def test_who_may_only_read_may_verify(tmp_path: Path) -> None:
    repo = Repository.create(frazil.local_filesystem_storage(str(tmp_path)))

    class Denied(Wrapper):
        def request(self, operation: str, key: str, call: Callable[[], Any], sent: int = 0) -> Any:
            if operation == "put":
                raise StorageError("no", ErrorKind.OBJECT_STORE)
            return call()

    denied = Repository.open(storage_around(Denied(repo.storage.backend())))
    assert denied.verify("data").is_healthy
    assert denied.last_verification() is None
