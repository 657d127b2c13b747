"""Lost manifests are built anew where that can be proven, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import zarr

import frazil
from frazil import ManifestConfig, ManifestSplittingConfig, Repository, RepositoryConfig
from frazil.config import (
    ManifestSplitCondition,
    ManifestSplitDimCondition,
)
from frazil.format.manifest import decode_manifest
from frazil.format.manifest_digest import digest_of
from frazil.storage.memory import MemoryBackend
from frazil.verification import FindingKind
from tests.scenario.places import storage_around
from tests.scenario.trees import array, change, commit, group

SIZE = 300


def everything(backend: MemoryBackend) -> dict[str, bytes]:
    return {info.key: backend.get(info.key) for info in backend.list()}


def manifests(backend: MemoryBackend) -> list[str]:
    return sorted(info.key for info in backend.list("manifests"))


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


def history(backend: MemoryBackend, spec: int, inline: int | None = 0) -> Repository:
    """Chunks that are written, written again, erased, and added; two arrays in shared files."""
    config = RepositoryConfig(inline_chunk_threshold_bytes=inline)
    repo = Repository.create(storage_around(backend), config, spec_version=spec)
    rng = np.random.default_rng(5)

    def chunk() -> bytes:
        return rng.bytes(SIZE)

    commit(repo, {"": group(), "a": array([9]), "b": array([4, 4])})
    commit(repo, {f"a/c/{i}": chunk() for i in range(6)} | {"b/c/0/0": chunk()}, "first")
    commit(repo, {"a/c/1": chunk(), "a/c/2": None, "b/c/1/1": chunk()}, "second")
    # What was never committed lies in the storage, too.
    lost = change(repo.writable_session("main"), {"a/c/1": chunk(), "a/c/8": chunk()})
    assert lost._workspace.writer is not None
    lost._workspace.writer.flush()
    commit(repo, {"a/c/1": chunk(), "a/c/7": chunk(), "b/c/0/0": None}, "third")
    commit(repo, {"b/c/2/2": chunk()}, "fourth")
    commit(repo, {"a/c/0": chunk()}, "fifth")
    repo.create_tag("kept", repo.lookup_branch("main"))
    return repo


def references(data: bytes) -> int:
    return digest_of(decode_manifest(data, where="manifest").arrays)


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "deleted": lambda _: None,
    "truncated": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[:60] + bytes([data[60] ^ 4]) + data[61:],
}


def damage(backend: MemoryBackend, key: str, how: str) -> None:
    data = DAMAGES[how](backend.get(key))
    if data is None:
        backend.delete([key])
    else:
        backend.put(key, data)


@pytest.mark.parametrize("how", DAMAGES)
def test_each_manifest_can_be_rebuilt(backend: MemoryBackend, how: str) -> None:
    repo = history(backend, 2)
    whole = everything(backend)
    for key in manifests(backend):
        damage(backend, key, how)
        before = everything(backend)
        plan = Repository.repair(repo.storage)
        assert everything(backend) == before
        (told,) = plan.manifests
        assert (f"manifests/{told.id}", told.proof, plan.left) == (key, "digest", ())
        arrays = decode_manifest(whole[key], where=key).arrays
        assert (told.chunks, len(told.arrays)) == (sum(map(len, arrays.values())), len(arrays))
        done = Repository.repair(repo.storage, dry_run=False)
        assert (done.manifests, done.left) == (plan.manifests, ())
        assert references(backend.get(key)) == references(whole[key])
        assert len(backend.get(key)) <= len(whole[key])
        changed = {k: v for k, v in everything(backend).items() if before.get(k) != v}
        aside = {k: v for k, v in changed.items() if k != key}
        assert [*aside.values()] == ([] if how == "deleted" else [before[key]])
        assert all(k.startswith("overwritten/damaged-manifest.") for k in aside)
        assert Repository.open(repo.storage).verify("data").is_healthy
        assert not Repository.repair(repo.storage).is_needed
    assert "by digest" in str(plan)


def test_all_of_them_at_once(backend: MemoryBackend) -> None:
    repo = history(backend, 2)
    whole = everything(backend)
    keys = manifests(backend)
    backend.delete(keys)
    report = Repository.repair(repo.storage, dry_run=False)
    assert [f"manifests/{one.id}" for one in report.manifests] == keys
    assert all(references(backend.get(key)) == references(whole[key]) for key in keys)
    assert report.left == ()


def test_after_an_expiration(backend: MemoryBackend) -> None:
    repo = Repository.create(
        storage_around(backend), RepositoryConfig(inline_chunk_threshold_bytes=0)
    )
    rng = np.random.default_rng(2)
    commit(repo, {"": group(), "a": array([9])})
    for i in range(4):
        commit(repo, {f"a/c/{k}": rng.bytes(SIZE) for k in (i, i + 2, 8)})
    repo.create_tag("kept", repo.lookup_branch("main"))
    commit(repo, {"a/c/3": rng.bytes(SIZE)})
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
    for key in manifests(backend):
        whole = backend.get(key)
        backend.delete([key])
        assert len(Repository.repair(repo.storage, dry_run=False).manifests) == 1
        assert references(backend.get(key)) == references(whole)


def test_after_a_repack(backend: MemoryBackend) -> None:
    """Several versions of a chunk are in one object."""
    repo = Repository.create(
        storage_around(backend), RepositoryConfig(inline_chunk_threshold_bytes=0)
    )
    rng = np.random.default_rng(2)
    commit(repo, {"": group(), "a": array([9])})
    for i in range(4):
        commit(repo, {f"a/c/{k}": rng.bytes(SIZE) for k in (i, i + 2, 8)})
    repo.repack(history=True)
    future = datetime.now(UTC) + timedelta(days=1)
    repo.expire_snapshots(future)
    repo.garbage_collect(future)
    assert len(list(backend.list("chunks"))) == 1
    for key in manifests(backend):
        whole = backend.get(key)
        backend.delete([key])
        assert len(Repository.repair(repo.storage, dry_run=False).manifests) == 1
        assert references(backend.get(key)) == references(whole)


def test_without_a_digest_neighbours_must_tell_all(backend: MemoryBackend) -> None:
    """In format 1 no snapshot has a digest."""
    repo = history(backend, 1)
    whole = everything(backend)
    keys = manifests(backend)
    proven = []
    for key in keys:
        backend.delete([key])
        report = Repository.repair(repo.storage, dry_run=False)
        if report.manifests:
            proven.append(key)
            (told,) = report.manifests
            assert told.proof == "transaction logs"
            assert references(backend.get(key)) == references(whole[key])
            assert Repository.open(repo.storage).verify("data").is_healthy
        else:
            assert [one.object for one in report.left] == [key]
        backend.put(key, whole[key])
    assert 0 < len(proven) < len(keys)


def test_inline_chunks_come_back_from_later_snapshots(backend: MemoryBackend) -> None:
    repo = history(backend, 2, inline=None)
    keys = manifests(backend)
    found = 0
    for key in keys:
        whole = backend.get(key)
        backend.delete([key])
        report = Repository.repair(repo.storage, dry_run=False)
        if report.manifests:
            found += 1
            assert references(backend.get(key)) == references(whole)
        else:  # it has an inline chunk that no other manifest has
            assert [one.object for one in report.left] == [key]
        backend.put(key, whole)
    assert 0 < found < len(keys)


def test_split_manifests(backend: MemoryBackend) -> None:
    config = RepositoryConfig(
        inline_chunk_threshold_bytes=0,
        manifest=ManifestConfig(
            splitting=ManifestSplittingConfig.from_dict(
                {ManifestSplitCondition.AnyArray(): {ManifestSplitDimCondition.Any(): 3}}
            )
        ),
    )
    repo = Repository.create(storage_around(backend), config)
    commit(repo, {"": group(), "a": array([9])})
    rng = np.random.default_rng(1)
    commit(repo, {f"a/c/{i}": rng.bytes(SIZE) for i in range(9)})
    commit(repo, {"a/c/4": rng.bytes(SIZE)})
    for key in manifests(backend):
        whole = backend.get(key)
        backend.delete([key])
        assert len(Repository.repair(repo.storage, dry_run=False).manifests) == 1
        assert references(backend.get(key)) == references(whole)


@pytest.mark.parametrize("dropping", [False, True])
def test_nothing_is_guessed(backend: MemoryBackend, dropping: bool) -> None:
    """A chunk object is lost as well: what remains does not make the digest."""
    repo = history(backend, 2)
    before = repo.inspect_snapshot(repo.lookup_branch("main"))["manifests"]
    key = f"manifests/{before[0]['id']}"
    backend.delete([key, *[info.key for info in backend.list("chunks")]])
    report = Repository.repair(repo.storage, dry_run=False, drop_lost=dropping)
    assert report.manifests == ()
    assert key in {one.object for one in report.left}
    with pytest.raises(frazil.StorageError):
        backend.get(key)


def test_a_manifest_with_other_references_is_replaced(backend: MemoryBackend) -> None:
    repo = history(backend, 2)
    first, second = manifests(backend)[:2]
    whole = backend.get(first)
    backend.put(first, backend.get(second))
    (finding, *_) = repo.verify("metadata").findings
    assert (finding.kind, finding.object) == (FindingKind.MISPLACED, first)
    report = Repository.repair(repo.storage, dry_run=False)
    assert [one.id for one in report.manifests] == [first.removeprefix("manifests/")]
    assert references(backend.get(first)) == references(whole)
    assert report.left == ()


def test_it_reads_the_same_as_ever(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend))
    rng = np.random.default_rng(3)
    session = repo.writable_session("main")
    data = rng.integers(0, 1 << 30, (400, 300))
    numbers = zarr.create_array(
        session.store, name="a", shape=(400, 300), chunks=(20, 30), dtype="i8"
    )
    numbers[:] = data
    session.commit("numbers")
    session = repo.writable_session("main")
    data[:100] = rng.integers(0, 1 << 30, (100, 300))
    zarr.open_array(session.store, path="a")[:100] = data[:100]
    session.commit("more")
    backend.delete(manifests(backend))
    again = Repository.open(repo.storage)
    with pytest.raises(frazil.IcechunkError):
        again.at(branch="main")["a"][:]
    assert Repository.repair(repo.storage, dry_run=False).left == ()
    np.testing.assert_array_equal(Repository.open(repo.storage).at(branch="main")["a"][:], data)
