"""Healthy repositories are healthy, and what is not is told; see also `test_damage_matrix`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository
from frazil.format.pack import footer_bytes
from frazil.storage.memory import MemoryBackend
from frazil.verification import FindingKind
from tests.scenario.places import storage_around
from tests.scenario.trees import array, commit, group, tip

FOLDERS = ("snapshots", "transactions", "manifests", "chunks")


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def repo(backend: MemoryBackend, spec: int) -> Repository:
    """Three commits of two arrays, with inline chunks, packs, and chunks alone."""
    repo = Repository.create(storage_around(backend), spec_version=spec)
    rng = np.random.default_rng(5)
    for i in range(3):
        session = repo.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for name, size in (("tiny", 50), ("small", 5_000), ("large", 300_000)):
            there = root.require_array(
                name, shape=(3 * size,), chunks=(size,), dtype="i4", compressors=None
            )
            there[i * size :] = rng.integers(1, 1 << 30, (3 - i) * size)
        session.commit(f"commit {i}")
    repo.create_tag("first", list(repo.ancestry(branch="main"))[2].id)
    return repo


@pytest.mark.parametrize("level", ["metadata", "objects", "data"])
def test_a_healthy_repository_is_healthy(
    repo: Repository, level: frazil.verification.Level
) -> None:
    report = repo.verify(level)
    assert report.is_healthy, str(report)
    assert report.snapshots == 4
    assert report.manifests >= 3
    assert report.chunks == (0 if level == "metadata" else 12)
    assert (report.decoded, report.unchecked) == (0, 0)
    assert report.checked == (12 if level == "data" else 0)
    assert (report.objects == 0) == (level == "metadata")


def test_it_stays_healthy_through_a_long_life(repo: Repository, spec: int) -> None:
    session = repo.writable_session("main")
    session.shift_array("/small", (1,))
    zarr.open_array(session.store, path="large").resize((300_000,))
    session.commit("shifted and cut")
    assert repo.verify("data").is_healthy
    if spec == 2:
        moving = repo.rearrange_session("main")
        moving.move("/small", "/moved")
        moving.commit("moved")
    future = datetime.now(UTC) + timedelta(days=1)
    repo.expire_snapshots(future)
    repo.garbage_collect(future)
    repo.rewrite_manifests("anew", branch="main")
    report = repo.verify("data")
    assert report.is_healthy, str(report)


def test_a_lost_footer_is_named(repo: Repository, backend: MemoryBackend) -> None:
    info = next(iter(backend.list("chunks")))
    data = backend.get(info.key)
    backend.put(info.key, data[: -footer_bytes(data)])
    assert repo.verify().is_healthy
    (finding,) = repo.verify("data").findings
    assert finding.kind == FindingKind.DAMAGED_FOOTER
    assert finding.object == info.key


def test_an_older_repo_object_is_named(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend))
    commit(repo, {"": group(), "a": array([2])})
    before = backend.get("repo")
    commit(repo, {"a/c/0": b"x" * 600})
    commit(repo, {"a/c/1": b"x" * 600})
    assert repo.verify().is_healthy
    backend.put("repo", before)
    (finding,) = Repository.open(repo.storage).verify("metadata").findings
    assert (finding.kind, finding.object) == (FindingKind.OUTDATED, "repo")


def test_a_damaged_repo_object_is_named(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend))
    data = backend.get("repo")
    for damaged, kind in ((data[:50], "unreadable"), (None, "missing")):
        if damaged is None:
            backend.delete(["repo"])
        else:
            backend.put("repo", damaged)
        (finding,) = repo.verify("data").findings
        assert (finding.kind, finding.object) == (kind, "repo")


def test_a_finding_tells_which_chunk(repo: Repository, backend: MemoryBackend) -> None:
    node = tip(repo)._workspace.node("/large")
    assert node is not None
    ref = tip(repo)._workspace.locate(node, (2,))
    key = f"chunks/{ref.object}"  # type: ignore[union-attr]
    data = bytearray(backend.get(key))
    data[7] ^= 1
    backend.put(key, bytes(data))
    (finding,) = repo.verify("data").findings
    assert (finding.kind, finding.array, finding.chunk, finding.chunks) == (
        FindingKind.CORRUPTED,
        "/large",
        (2,),
        1,
    )
    assert "was written" in finding.message
    assert repo.verify("data", path="/small").is_healthy
    assert repo.verify("data", tag="first").is_healthy
    assert not repo.verify("data", since=datetime(2020, 1, 1, tzinfo=UTC)).is_healthy
    assert repo.verify("data", since=datetime.now(UTC) + timedelta(days=1)).is_healthy
    backend.delete([key])
    (finding,) = repo.verify(branch="main").findings
    assert str(finding) == f"missing: {key}: there is no such object (chunk (2,) of /large)"


def test_a_report_as_text_and_values(repo: Repository, backend: MemoryBackend) -> None:
    key = next(iter(backend.list("manifests"))).key
    backend.delete([key])
    report = repo.verify("metadata")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["findings"][0]["object"] == key
    assert plain["findings"][0]["kind"] == "missing"
    assert plain["findings"][0]["advice"] == report.findings[0].advice
    assert key in str(report)
    assert key in report._repr_html_()
    assert not plain["is_healthy"]
    page = report.to_html()
    assert page.startswith("<!doctype html>")
    assert key in page
    assert report.findings[0].advice in page


def test_a_sample_reads_less(repo: Repository) -> None:
    whole, half = repo.verify("data"), repo.verify("data", sample=0.5)
    assert 0 < half.checked < whole.checked
    assert [repo.verify("data", sample=0.5).checked for _ in range(2)] == [half.checked] * 2
    for wrong in (0, 1.5, -1):
        with pytest.raises(ValueError, match="sample"):
            repo.verify("data", sample=wrong)
    with pytest.raises(ValueError, match="level"):
        repo.verify("all")  # type: ignore[arg-type]


async def test_it_can_be_awaited(repo: Repository) -> None:
    assert (await repo.verify_async("data")).is_healthy


def test_a_real_folder(tmp_path: Path, spec: int) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path))
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "a": array([2]), "a/c/0": b"x" * 600})
    assert repo.verify("data").is_healthy
    (path,) = (tmp_path / "chunks").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    (finding,) = repo.verify("data").findings
    assert (finding.kind, finding.chunk) == (FindingKind.TOO_SHORT, (0,))
