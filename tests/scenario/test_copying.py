"""Copies of repositories: whole or in part, interrupted, brought up to date, damaged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from frazil import ConflictError, Repository, Storage, StorageError
from frazil.errors import ErrorKind, FormatError, IcechunkError, RefNotFoundError
from frazil.storage.doubles import Counting, Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

ROOT = "1CECHNKREP0F1RSTCMT0"
CHUNK = 2000


def commit(repo: Repository, number: int, branch: str = "main") -> str:
    session = repo.writable_session(branch)
    root = zarr.open_group(session.store)
    if "a" not in root:
        root.create_array("a", shape=(8, CHUNK), chunks=(1, CHUNK), dtype="u1", compressors=None)
        root.create_array("inline", data=np.arange(3))
    root["a"][number % 8] = number + 1
    root.attrs["number"] = number
    return session.commit(f"{branch} {number}")


@pytest.fixture
def full(repo: Repository) -> Repository:
    """Seven commits on main, two more on a branch, and two tags."""
    ids = [commit(repo, number) for number in range(7)]
    repo.create_branch("dev", ids[4])
    for number in (10, 11):
        commit(repo, number, "dev")
    repo.create_tag("v1", ids[1])
    repo.create_tag("v2", ids[5])
    return repo


def contents(repo: Repository, **version: str) -> tuple[list[list[int]], dict[str, object]]:
    root = zarr.open_group(repo.readonly_session(**version).store, mode="r")
    return root["a"][:, :2].tolist(), dict(root.attrs)


def ids(repo: Repository, **version: str) -> list[str]:
    return [info.id for info in repo.ancestry(**version)]


def refs(repo: Repository) -> dict[str, str]:
    found = {name: repo.lookup_branch(name) for name in repo.list_branches()}
    return found | {name: repo.lookup_tag(name) for name in repo.list_tags()}


def same(copy: Repository, original: Repository) -> None:
    """Both have the same references, history and data."""
    assert refs(copy) == refs(original)
    for branch in original.list_branches():
        assert ids(copy, branch=branch) == ids(original, branch=branch)
        assert contents(copy, branch=branch) == contents(original, branch=branch)
        line = ids(original, branch=branch)
        changed = original.diff(from_snapshot_id=line[3], to_branch=branch)
        assert copy.diff(from_snapshot_id=line[3], to_branch=branch) == changed
    for tag in original.list_tags():
        assert contents(copy, tag=tag) == contents(original, tag=tag)


def objects(storage: Storage, folder: str = "") -> dict[str, int]:
    return dict(storage.list_objects(prefix=folder))


def test_a_whole_repository(full: Repository) -> None:
    place = frazil.in_memory_storage()
    summary = full.clone_to(place, compare=True)
    copy = Repository.open(place)
    same(copy, full)
    assert summary.branches == ("dev", "main")
    assert summary.tags == ("v1", "v2")
    copied = {key: size for key, size in objects(place).items() if not key.startswith("re")}
    assert summary.objects_copied == len(copied)
    assert summary.bytes_copied == sum(copied.values())
    assert summary.objects_present == 0
    commit(copy, 20)
    copy.garbage_collect(copy.lookup_snapshot(ids(copy, branch="main")[0]).written_at)
    assert contents(copy, branch="dev") == contents(full, branch="dev")


def test_configuration_and_metadata_go_along(spec: int) -> None:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=17)
    config.storage = frazil.StorageSettings(unsafe_use_conditional_update=False)
    repo = Repository.create(frazil.in_memory_storage(), config, spec_version=spec)
    if spec == 2:
        repo.set_metadata({"owner": "us"})
    place = frazil.in_memory_storage()
    repo.clone_to(place)
    stored = Repository.fetch_config(place)
    assert stored is not None
    assert stored.inline_chunk_threshold_bytes == 17
    assert stored.storage is None
    if spec == 2:
        assert Repository.open(place).get_metadata() == {"owner": "us"}


def test_some_branches_and_tags(full: Repository) -> None:
    place = frazil.in_memory_storage()
    full.clone_to(place, branch="dev")
    copy = Repository.open(place)
    assert refs(copy) == {"main": ROOT, "dev": full.lookup_branch("dev")}
    assert ids(copy, branch="dev") == ids(full, branch="dev")
    assert contents(copy, branch="dev") == contents(full, branch="dev")
    only_main = full.lookup_branch("main")
    assert f"snapshots/{only_main}" not in objects(place)

    tagged = frazil.in_memory_storage()
    full.clone_to(tagged, tag=["v1"])
    assert refs(Repository.open(tagged)) == {"main": ROOT, "v1": full.lookup_tag("v1")}
    assert len(objects(tagged, "snapshots")) == 3

    with pytest.raises(RefNotFoundError, match="nowhere"):
        full.clone_to(frazil.in_memory_storage(), branch=["main", "nowhere"])
    with pytest.raises(RefNotFoundError, match="v9"):
        full.clone_to(frazil.in_memory_storage(), tag="v9")


def test_only_the_last_commits(full: Repository, spec: int) -> None:
    place = frazil.in_memory_storage()
    if spec == 1:
        with pytest.raises(FormatError, match="needs a spec 2 repository"):
            full.clone_to(place, depth=2)
        assert not objects(place)
        return
    full.clone_to(place, branch="main", depth=2)
    copy = Repository.open(place)
    line = ids(full, branch="main")
    assert ids(copy, branch="main") == [*line[:2], ROOT]
    assert contents(copy, branch="main") == contents(full, branch="main")
    assert len(objects(place, "snapshots")) == 3
    # one log for each snapshot, and one for all that were left out
    assert len(objects(place, "transactions")) == 4
    whole = full.diff(from_snapshot_id=ROOT, to_branch="main")
    assert copy.diff(from_snapshot_id=ROOT, to_branch="main") == whole
    # what the clone lacks is no obstacle to bringing it up to date
    commit(full, 30)
    full.sync_to(place, branch="main")
    assert ids(copy, branch="main") == [*ids(full, branch="main")[:3], ROOT]
    commit(copy, 31)
    with pytest.raises(ValueError, match="depth"):
        full.clone_to(frazil.in_memory_storage(), depth=0)


def test_a_repository_at_the_target_is_left_alone(full: Repository) -> None:
    place = frazil.in_memory_storage()
    Repository.create(place)
    before = objects(place)
    with pytest.raises(ConflictError, match="already a repository"):
        full.clone_to(place)
    assert objects(place) == before


def test_bringing_a_copy_up_to_date(full: Repository, spec: int) -> None:
    place = frazil.in_memory_storage()
    assert full.sync_to(place).branches == ("dev", "main")
    commit(full, 7)
    full.create_branch("new", full.lookup_tag("v1"))
    commit(full, 40, "new")
    full.create_tag("v3", full.lookup_branch("new"))
    counting = Counting(place.backend())
    summary = full.sync_to(storage_around(counting))
    assert summary.branches == ("main", "new")
    assert summary.tags == ("v3",)
    same(Repository.open(place), full)
    # two snapshots, each with a log, a manifest or two, and a pack
    assert counting.requests["put", "snapshots"] == 2
    assert counting.requests["put", "chunks"] == 2
    again = full.sync_to(place)
    assert (again.objects_copied, again.branches, again.tags) == (0, (), ())


def test_a_target_that_went_on_by_itself(full: Repository) -> None:
    place = frazil.in_memory_storage()
    full.clone_to(place)
    copy = Repository.open(place)
    own = commit(copy, 50)
    copy.create_branch("theirs", own)
    copy.create_tag("mine", own)
    full.sync_to(place)  # this repository is only behind
    assert copy.lookup_branch("main") == own
    commit(full, 51)
    before = objects(place)
    with pytest.raises(ConflictError, match="has commits that the source does not have") as caught:
        full.sync_to(place)
    assert caught.value.actual_parent == own
    assert objects(place) == before
    full.create_tag("mine", full.lookup_branch("dev"))
    with pytest.raises(ConflictError, match="tag 'mine'"):
        full.sync_to(place, tag="mine")
    assert objects(place) == before
    full.sync_to(place, branch="main", force=True)
    assert ids(copy, branch="main") == ids(full, branch="main")
    assert copy.lookup_branch("theirs") == own
    assert contents(copy, branch="theirs")[1] == {"number": 50}


def test_formats_are_not_mixed(full: Repository, spec: int) -> None:
    place = frazil.in_memory_storage()
    Repository.create(place, spec_version=3 - spec)
    with pytest.raises(FormatError, match="both must be in the same one"):
        full.sync_to(place)


def test_an_interrupted_copy_is_no_repository_and_goes_on(full: Repository) -> None:
    backend = MemoryBackend()
    failures, step = 0, 0
    while True:
        step += 1
        done = 0

        def fail(operation: str, key: str, step: int = step) -> Fault | None:
            nonlocal done
            done += operation == "put"
            return Fault.REFUSED if operation == "put" and done == step else None

        if failures % 5 == 4:
            backend = MemoryBackend()  # not only from where the last one stopped
        try:
            full.clone_to(storage_around(Faulty(backend, fail)))
        except StorageError:
            failures += 1
            place = storage_around(backend)
            if Repository.exists(place):  # in spec 1 the last reference made it one
                break
            continue
        break
    assert failures > 4
    full.sync_to(storage_around(backend))
    same(Repository.open(storage_around(backend)), full)


class Losing(Wrapper):
    """Stores other bytes than it was given under some keys."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        super().__init__(MemoryBackend())
        self._change = change

    def put(self, key, data, **options):  # type: ignore[no-untyped-def]
        if key.startswith("chunks/"):
            data = self._change(bytes(data))
        return self.inner.put(key, data, **options)


def test_what_does_not_arrive_is_noticed(full: Repository) -> None:
    shorter = storage_around(Losing(lambda data: data[:-1]))
    with pytest.raises(StorageError, match="not as they should be at the target") as caught:
        full.clone_to(shorter)
    assert caught.value.kind == ErrorKind.STORAGE_OTHER
    assert not Repository.exists(shorter)
    flipped = storage_around(Losing(lambda data: bytes([data[0] ^ 1]) + data[1:]))
    with pytest.raises(StorageError, match="not as they should be at the target"):
        full.clone_to(flipped, compare=True)
    assert not Repository.exists(flipped)


def test_what_is_damaged_at_the_target_is_replaced(full: Repository) -> None:
    place = frazil.in_memory_storage()
    chunk = next(iter(objects(full.storage, "chunks")))
    place.backend().put(f"chunks/{chunk}", b"half of it")
    full.clone_to(place)
    same(Repository.open(place), full)


def test_a_source_that_lacks_something_is_an_error(full: Repository) -> None:
    chunk = next(iter(objects(full.storage, "chunks")))
    full.storage.backend().delete([f"chunks/{chunk}"])
    place = frazil.in_memory_storage()
    with pytest.raises(IcechunkError, match=chunk):
        full.clone_to(place)
    assert not Repository.exists(place)


def test_progress_is_told(full: Repository) -> None:
    seen: list[frazil.progress.Progress] = []
    with frazil.progress.report(seen.append):
        full.clone_to(frazil.in_memory_storage())
    last = {progress.task: (progress.done, progress.total) for progress in seen}
    assert last["Copying snapshots"] == (10, 10)
    assert {"Copying chunks", "Copying manifests", "Copying transactions"} <= last.keys()


async def test_awaitable(full: Repository) -> None:
    place = frazil.in_memory_storage()
    await full.clone_to_async(place)
    assert (await full.sync_to_async(place)).objects_copied == 0
    same(Repository.open(place), full)


@pytest.mark.parametrize("threads", [True, False])
def test_workers_copy(full: Repository, tmp_path: Path, threads: bool) -> None:
    place = frazil.local_filesystem_storage(str(tmp_path / "copy"))
    pool = ThreadPoolExecutor(2) if threads else ProcessPoolExecutor(1, get_context("spawn"))
    if not threads and full.storage.in_this_process:
        pytest.skip("other processes cannot read the memory of this one")
    with pool:
        summary = full.clone_to(place, on=pool, compare=True)
        commit(full, 60)
        full.sync_to(place, on=pool)
    assert summary.objects_copied > 20
    same(Repository.open(place), full)
