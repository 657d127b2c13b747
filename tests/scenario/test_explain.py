"""What an operation will ask the storage for, beside what it then asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, Storage
from frazil.config import ManifestPreloadConfig, RepositoryConfig
from frazil.errors import InvalidInputError
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, commit, group, put

NOISE = np.random.default_rng(3).integers(0, 2**31, (40, 60), dtype="i4")


class Far(Counting):
    """A storage that counts, as far away as an object store."""

    @property
    def local(self) -> bool:
        return False


@pytest.fixture(params=["far", "near"])
def place(request: pytest.FixtureRequest) -> Any:
    return Far(MemoryBackend()) if request.param == "far" else Counting(MemoryBackend())


@pytest.fixture
def storage(place: Counting, spec: int) -> Storage:
    """An array of 4 x 6 chunks in several objects, one of inline chunks, and a scalar."""
    storage = storage_around(place)
    repo = Repository.create(storage, spec_version=spec)
    with repo.transaction("main", message="all") as store:
        root = zarr.create_group(store)
        root.create_array("a", shape=NOISE.shape, chunks=(10, 10), dtype="i4", compressors=None)
        root.create_array("tiny", data=np.arange(50), chunks=(5,))
        root.create_array("scalar", data=np.float64(2))
        root.create_array(
            "hole", shape=(100,), chunks=(10,), dtype="i4", fill_value=1, compressors=None
        )
    for rows in range(0, 40, 20):
        with repo.transaction("main", message="part") as store:
            zarr.open_array(store, path="a")[rows : rows + 20] = NOISE[rows : rows + 20]
    with repo.transaction("main", message="part") as store:
        zarr.open_array(store, path="hole")[30:50] = 2
    return storage


def opened(storage: Storage, path: str) -> zarr.Array[Any]:
    config = frazil.ManifestConfig(preload=ManifestPreloadConfig(max_total_refs=0))
    view = Repository.open(storage, RepositoryConfig(manifest=config)).readonly_session("main")
    return zarr.open_array(view.store, path=path, mode="r")


@pytest.mark.parametrize(
    ("path", "selection", "chunks"),
    [
        ("a", ..., 24),
        ("a", np.s_[5], 6),
        ("a", np.s_[5, -1], 1),
        ("a", np.s_[8:12, 0:20], 4),
        ("a", np.s_[..., ::30], 8),
        ("a", np.s_[0:0], 0),
        ("tiny", np.s_[12:13], 1),
        ("scalar", ..., 1),
        ("hole", ..., 10),
    ],
)
def test_a_read(storage: Storage, place: Counting, path: str, selection: Any, chunks: int) -> None:
    found = opened(storage, path)
    for known in (False, True):
        told = frazil.explain(found, selection)
        place.reset()
        found[selection]
        assert told.chunks == chunks
        assert told.requests == sum(place.requests.values())
        assert told.bytes_read == sum(place.sizes.values())
        assert told.manifests == place.requests["get", "manifests"]
        if known:
            assert told.manifests == 0


def test_a_read_along_each_axis(storage: Storage, place: Counting) -> None:
    found = opened(storage, "a")
    rows = np.zeros(40, np.bool_)
    rows[[0, 39]] = True
    told = frazil.explain(found, (rows, [3, 15, -1]))
    place.reset()
    found.oindex[rows, [3, 15, 59]]
    assert told.chunks == 6
    assert told.requests == sum(place.requests.values())


def test_asking_changes_nothing(storage: Storage) -> None:
    found = opened(storage, "a")
    repo_stats = found.store.session._core.library
    before = repo_stats.meter.totals(), repo_stats.use_of_caches()
    assert frazil.explain(found) == frazil.explain(found)
    assert (repo_stats.meter.totals(), repo_stats.use_of_caches()) == before


def test_uncommitted_chunks_are_read_from_memory(storage: Storage) -> None:
    session = Repository.open(storage).writable_session("main")
    root = zarr.create_array(session.store, name="new", shape=(9,), chunks=(1,), dtype="i8")
    root[2:4] = 7
    told = frazil.explain(root)
    assert (told.chunks, told.initialized, told.requests) == (9, 2, 0)


@pytest.mark.parametrize(
    "selection", [np.s_[1, 2, 3], np.s_[..., ...], np.s_["x"], np.s_[1.5], np.s_[[[1]]]]
)
def test_what_is_no_selection(storage: Storage, selection: Any) -> None:
    with pytest.raises(InvalidInputError, match="cannot explain"):
        frazil.explain(opened(storage, "a"), selection)


def test_what_cannot_be_explained(storage: Storage) -> None:
    with pytest.raises(IndexError):
        frazil.explain(opened(storage, "a"), 40)
    with pytest.raises(InvalidInputError, match="no store of frazil"):
        frazil.explain(zarr.create_array(zarr.storage.MemoryStore(), shape=(1,), dtype="i1"))


@pytest.mark.parametrize("count", [1, 50])
def test_a_commit(storage: Storage, place: Counting, count: int) -> None:
    session = Repository.open(storage).writable_session("main")
    for i in range(count):
        put(session, f"b{i}", array([2]))
        put(session, f"b{i}/c/0", b"x" * 700)
    zarr.open_array(session.store, path="a")[3, 3] = 0
    told = session.explain_commit()
    place.reset()
    session.commit("done")
    assert told.arrays == count + 1
    assert told.manifests_read == place.requests["get", "manifests"]
    assert told.manifests_written == place.requests["put", "manifests"] == 1
    requests = sum(n for (what, _), n in place.requests.items() if what != "sync")
    assert told.requests == requests
    written = sum(
        n for (what, of), n in place.sizes.items() if what == "put" and of not in ("repo", "refs")
    )
    assert told.bytes_read == place.sizes["get", "manifests"]
    # Ids, times and the message differ.
    assert abs(told.bytes_written - written) < 60 + 0.1 * written


def test_a_commit_of_metadata(storage: Storage, place: Counting) -> None:
    session = Repository.open(storage).writable_session("main")
    put(session, "g", group())
    told = session.explain_commit()
    assert (told.arrays, told.manifests_read, told.manifests_written) == (0, 0, 0)
    place.reset()
    session.commit("done")
    assert told.requests == sum(n for (what, _), n in place.requests.items() if what != "sync")


def test_explaining_leaves_the_session_as_it_is(storage: Storage, place: Counting) -> None:
    session = Repository.open(storage).writable_session("main")
    put(session, "g", group())
    before = sorted(info.key for info in place.inner.list())
    session.explain_commit()
    assert sorted(info.key for info in place.inner.list()) == before
    assert session.has_uncommitted_changes
    assert "requests" in str(session.explain_commit())
    commit(Repository.open(storage), {"other": group()})
    session.commit("done", rebase_with=frazil.BasicConflictSolver())
