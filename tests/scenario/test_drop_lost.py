"""Lost chunks are given up in a commit, when that is asked for; all else stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import frazil
from frazil import ConflictDetector, Repository
from frazil.errors import RebaseFailedError
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, commit, group, keys

SIDE, EDGE = 60, 12
FILL = -1


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


def numbers(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 30, (SIDE, SIDE))


@pytest.fixture
def repo(backend: MemoryBackend, spec: int) -> Repository:
    """Two versions of three arrays; chunks of `alone` are objects of their own."""
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    repo = Repository.create(storage_around(backend), config, spec_version=spec)
    for version in range(2):
        with repo.edit("main", f"version {version}") as tree:
            for i, name in enumerate(("a", "b")):
                array = zarr.open_group(tree.store, mode="a").require_array(
                    name,
                    shape=(SIDE, SIDE),
                    chunks=(EDGE, EDGE),
                    dtype="i8",
                    fill_value=FILL,
                    compressors=None,
                )
                array[version * EDGE * 2 :] = numbers(i)[version * EDGE * 2 :]
    return repo


def place(repo: Repository, name: str, chunk: tuple[int, int]) -> tuple[str, int, int]:
    workspace = repo.readonly_session("main")._workspace
    node = workspace.node(f"/{name}")
    assert node is not None
    ref = workspace.locate(node, chunk)
    assert isinstance(ref, frazil.format.chunk_refs.NativeRef)
    return f"chunks/{ref.object}", ref.offset, ref.length


def expected(name: str, lost: list[tuple[int, int]]) -> np.ndarray:
    data = numbers("ab".index(name))
    for i, j in lost:
        data[i * EDGE : (i + 1) * EDGE, j * EDGE : (j + 1) * EDGE] = FILL
    return data


def shown(repo: Repository, name: str) -> np.ndarray:
    session = Repository.open(repo.storage).readonly_session("main")
    data = zarr.open_array(session.store, path=name, mode="r")[:]
    assert isinstance(data, np.ndarray)
    return data


def test_chunks_of_lost_objects(repo: Repository, backend: MemoryBackend) -> None:
    key, _, _ = place(repo, "a", (0, 0))
    lost = {
        name: [(i, j) for i in range(5) for j in range(5) if place(repo, name, (i, j))[0] == key]
        for name in ("a", "b")
    }
    backend.delete([key])
    before = {info.key: backend.get(info.key) for info in backend.list()}
    tip = repo.lookup_branch("main")
    plan = Repository.repair(repo.storage, drop_lost=True)
    assert plan.dry_run
    assert {one.array: one.chunks for one in plan.dropped} == {
        f"/{name}": len(chunks) for name, chunks in lost.items() if chunks
    }
    assert plan.snapshot is None
    assert [one.object for one in plan.left] == [key]
    assert Repository.repair(repo.storage, dry_run=False).dropped == ()
    assert {info.key: backend.get(info.key) for info in backend.list()} == before
    done = Repository.repair(repo.storage, dry_run=False, drop_lost=True)
    assert done.dropped == plan.dropped
    again = Repository.open(repo.storage)
    assert again.lookup_branch("main") == done.snapshot != tip
    for name, chunks in lost.items():
        np.testing.assert_array_equal(shown(repo, name), expected(name, chunks))
    # What was there is as it was.
    after = {info.key: backend.get(info.key) for info in backend.list()}
    same = {k: v for k, v in after.items() if before.get(k) == v}
    assert before.keys() - same.keys() <= {"repo", "refs/branch.main/ref.json"}
    assert again.verify("data", since=again.lookup_snapshot(done.snapshot).written_at).is_healthy
    assert done.snapshot is not None
    diff = again.diff(from_snapshot_id=tip, to_snapshot_id=done.snapshot)
    assert {path: sorted(map(tuple, chunks)) for path, chunks in diff.updated_chunks.items()} == {
        f"/{name}": chunks for name, chunks in lost.items() if chunks
    }
    assert not Repository.repair(repo.storage, drop_lost=True).is_needed
    assert "dropped (" in str(done)
    # It can be written again.
    with again.edit("main", "again") as tree:
        zarr.open_array(tree.store, path="a")[:] = numbers(0)
    np.testing.assert_array_equal(shown(repo, "a"), numbers(0))


def test_damaged_bytes_at_level_data(repo: Repository, backend: MemoryBackend) -> None:
    key, offset, _ = place(repo, "b", (3, 2))
    data = bytearray(backend.get(key))
    data[offset + 3] ^= 16
    backend.put(key, bytes(data))
    assert Repository.repair(repo.storage, drop_lost=True).dropped == ()
    report = Repository.repair(repo.storage, drop_lost=True, level="data", dry_run=False)
    assert [(one.array, one.chunks) for one in report.dropped] == [("/b", 1)]
    np.testing.assert_array_equal(shown(repo, "a"), expected("a", []))
    np.testing.assert_array_equal(shown(repo, "b"), expected("b", [(3, 2)]))


def test_manifests_that_cannot_be_proven(repo: Repository, backend: MemoryBackend) -> None:
    keys = [info.key for info in backend.list("manifests")]
    backend.delete([*keys, *[info.key for info in backend.list("chunks")]])
    plan = Repository.repair(repo.storage, drop_lost=True)
    assert plan.manifests == ()
    assert {(one.array, one.chunks) for one in plan.dropped} == {("/a", None), ("/b", None)}
    report = Repository.repair(repo.storage, drop_lost=True, dry_run=False)
    every = [(i, j) for i in range(5) for j in range(5)]
    np.testing.assert_array_equal(shown(repo, "a"), expected("a", every))
    assert "all chunks of /a in [0:5, 0:5]: manifests/" in str(report)


def test_inline_chunks_that_are_nowhere_else(backend: MemoryBackend, spec: int) -> None:
    """The report says which arrays, where, and how many; of the others nothing is given up."""
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=100)
    repo = Repository.create(storage_around(backend), config, spec_version=spec)
    commit(repo, {"": group(), "a": array([4, 9]), "b": array([5])})
    commit(repo, {f"a/c/{i}/{i + 3}": bytes([i]) for i in (1, 2)} | {"b/c/0": b"0"})
    id_ = commit(repo, {f"a/c/{i}/{i + 3}": b"new" for i in (2, 3)})
    listed = {node["path"]: node for node in repo.inspect_snapshot(id_)["nodes"]}
    (ref,) = listed["/a"]["manifest_refs"]
    backend.delete([f"manifests/{ref['id']}"])
    plan = Repository.repair(repo.storage)
    assert (plan.manifests, len(plan.lost)) == ((), 1)
    assert plan.lost[0].id == ref["id"]
    assert plan.lost[0].chunks == 3
    assert plan.lost[0].known == 1  # the one that the commit did not change
    assert plan.lost[0].parts == (("/a", ((1, 4), (4, 7))),)
    assert "3 chunks of /a in [1:4, 4:7]; other files tell of 1 of them" in str(plan)
    assert not plan.is_needed
    done = Repository.repair(repo.storage, drop_lost=True, dry_run=False)
    assert [(one.array, one.chunks, one.extents) for one in done.dropped] == [
        ("/a", 3, ((1, 4), (4, 7)))
    ]
    session = Repository.open(repo.storage).readonly_session("main")
    assert [key for key in keys(session) if "/c/" in key] == ["b/c/0"]
    # What was in the version before stays as it is.
    assert [one.id for one in done.lost] == [ref["id"]]
    assert [one.object for one in done.left] == [f"manifests/{ref['id']}"]


def test_what_can_be_rebuilt_is_not_dropped(repo: Repository, backend: MemoryBackend) -> None:
    if repo.spec_version == 1:
        pytest.skip("format 1 has no digests")
    backend.delete([info.key for info in backend.list("manifests")])
    report = Repository.repair(repo.storage, drop_lost=True)
    assert report.manifests
    assert report.dropped == ()
    report = Repository.repair(repo.storage, drop_lost=True, dry_run=False)
    assert (report.left, report.dropped, report.snapshot) == ((), (), None)
    for name in ("a", "b"):
        np.testing.assert_array_equal(shown(repo, name), expected(name, []))


def test_sessions_that_began_before(repo: Repository, backend: MemoryBackend) -> None:
    other, same = repo.writable_session("main"), repo.writable_session("main")
    zarr.open_array(other.store, path="b")[48:] = 5
    zarr.open_array(same.store, path="a")[:] = 5
    backend.delete([place(repo, "a", (0, 0))[0]])
    Repository.repair(repo.storage, dry_run=False, drop_lost=True)
    other.commit("elsewhere", rebase_with=ConflictDetector())
    with pytest.raises(RebaseFailedError):
        same.commit("the same chunks", rebase_with=ConflictDetector())


def test_another_branch(repo: Repository, backend: MemoryBackend) -> None:
    repo.create_branch("other", repo.lookup_branch("main"))
    tip = repo.lookup_branch("main")
    backend.delete([place(repo, "a", (0, 0))[0]])
    report = Repository.repair(repo.storage, dry_run=False, drop_lost=True, branch="other")
    again = Repository.open(repo.storage)
    assert again.lookup_branch("main") == tip
    assert again.lookup_branch("other") == report.snapshot
    with pytest.raises(frazil.RefNotFoundError):
        Repository.repair(repo.storage, drop_lost=True, branch="none")
    with pytest.raises(ValueError, match="level"):
        Repository.repair(repo.storage, level="all")  # type: ignore[arg-type]
