"""Many small arrays in one manifest file, and appends that rewrite little."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

import frazil
from frazil import Repository
from frazil.format.snapshot import ManifestRef
from frazil.model import manifest_sharing
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, chunks, commit, content, get, group, put, tip

NATIVE = b"n" * 600


def manifests(repo: Repository, path: str) -> tuple[ManifestRef, ...]:
    node = tip(repo)._workspace.node(path)
    assert node is not None
    return node.manifests


def files(repo: Repository) -> list[frazil.ManifestFileInfo]:
    return repo.list_manifest_files(repo.lookup_branch("main"))


def many(count: int, value: bytes = b"x") -> dict[str, bytes | None]:
    tree: dict[str, bytes | None] = {"": group()}
    for i in range(count):
        tree |= {f"a{i}": array([100]), f"a{i}/c/0": value}
    return tree


@pytest.fixture
def new(spec: int) -> Repository:
    return Repository.create(frazil.in_memory_storage(), spec_version=spec)


def test_small_arrays_share_a_file(new: Repository) -> None:
    commit(new, many(300))
    (file,) = files(new)
    assert file.num_chunk_refs == 300
    assert {manifests(new, f"/a{i}") for i in range(300)} == {
        (ManifestRef(manifests(new, "/a0")[0].id, ((0, 1),)),)
    }
    assert content(tip(new))["a299/c/0"] == b"x"


def test_an_array_that_changes_leaves_the_file(new: Repository) -> None:
    commit(new, many(50))
    before = manifests(new, "/a0")
    commit(new, {"a7/c/0": b"y"})
    assert manifests(new, "/a0") == before
    assert manifests(new, "/a7") != before
    assert sorted(file.num_chunk_refs for file in files(new)) == [1, 50]
    view = tip(new)
    assert get(view, "a7/c/0") == b"y"
    assert get(view, "a6/c/0") == b"x"


def test_a_file_of_arrays_that_have_all_left_is_not_listed(new: Repository) -> None:
    commit(new, many(5))
    commit(new, {f"a{i}/c/0": b"y" for i in range(5)})
    (file,) = files(new)
    assert file.num_chunk_refs == 5


def test_large_arrays_and_large_chunks_have_their_own(
    new: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_sharing, "PART_REFS", 10)
    monkeypatch.setattr("frazil.engine.manifests.PART_REFS", 10)
    monkeypatch.setattr(manifest_sharing, "FILE_REFS", 20)
    tree = many(50)
    commit(new, {**tree, "large": array([11]), **chunks("large", range(11), b"x")})
    assert sorted(file.num_chunk_refs for file in files(new)) == [10, 11, 20, 20]


def test_appends_write_what_is_new(spec: int) -> None:
    backend = Counting(MemoryBackend())
    repo = Repository.create(storage_around(backend), spec_version=spec)
    commit(repo, {"": group(), "a": array([0])})
    backend.reset()
    steps, most = 200, 0
    for i in range(steps):
        commit(repo, {"a": array([i + 1]), f"a/c/{i}": NATIVE})
        most = max(most, len(manifests(repo, "/a")))
    assert backend.requests["put", "manifests"] == steps
    # As one manifest, written anew each time, it would be 200 * 200 / 2 references of 15 bytes.
    assert backend.sizes["put", "manifests"] < 300 * steps
    assert most <= 9
    assert backend.requests["get", "manifests"] == 0
    view = tip(repo)
    assert all(get(view, f"a/c/{i}") == NATIVE for i in (0, 17, steps - 1))


def test_appends_along_another_axis(new: Repository) -> None:
    commit(new, {"": group(), "a": array([3, 0])})
    for i in range(40):
        commit(new, {"a": array([3, i + 1]), **{f"a/c/{j}/{i}": b"%d" % i for j in range(3)}})
    assert len(manifests(new, "/a")) <= 6
    view = tip(new)
    assert all(get(view, f"a/c/{j}/{i}") == b"%d" % i for j in range(3) for i in range(40))


def test_arrays_changed_one_by_one_end_up_together(new: Repository) -> None:
    commit(new, many(60))
    generator = random.Random(1)
    expected = {}
    most = 0
    for step in range(200):
        i, j = generator.randrange(60), generator.randrange(6)
        commit(new, {f"a{i}/c/{j}": b"%d" % step})
        expected[f"a{i}/c/{j}"] = b"%d" % step
        most = max(most, len(files(new)))
    assert most <= 45
    found = content(tip(new))
    assert expected.items() <= found.items()
    for i in range(60):
        boxes = [manifest.extents[0] for manifest in manifests(new, f"/a{i}")]
        assert all(a[1] <= b[0] for a, b in pairwise(boxes))
    held = Counter((manifest.id, i) for i in range(60) for manifest in manifests(new, f"/a{i}"))
    assert max(held.values()) == 1


def test_a_lost_race_writes_no_manifest_again(spec: int) -> None:
    backend = Counting(MemoryBackend())
    storage = storage_around(backend)
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, many(40))
    mine = repo.writable_session("main")
    for i in range(20):
        put(mine, f"a{i}/c/5", b"mine")
    commit(Repository.open(storage), {"a30/c/5": b"theirs", "a3/c/9": b"theirs"})
    backend.reset()
    mine.commit("mine", rebase_with=frazil.BasicConflictSolver())
    assert backend.requests["put", "manifests"] <= 1
    found = content(tip(repo))
    assert found["a3/c/5"] == b"mine"
    assert found["a3/c/9"] == b"theirs"
    assert found["a30/c/5"] == b"theirs"


def test_garbage_is_what_no_array_needs(storage: frazil.Storage, spec: int) -> None:
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, many(4, NATIVE))
    commit(repo, {f"a{i}/c/0": bytes([i]) * 700 for i in range(3)})
    later = datetime.now(UTC) + timedelta(days=1)
    assert len(storage.list_objects(prefix="chunks")) == 2
    repo.expire_snapshots(later)
    repo.garbage_collect(later)
    assert len(storage.list_objects(prefix="chunks")) == 2  # a3 is in the first one
    assert repo.chunk_storage_stats().native_bytes == 3 * 700 + 600
    commit(repo, {"a3/c/0": b"inline", "a0/c/1": b"inline"})
    repo.expire_snapshots(later)
    summary = repo.garbage_collect(later)
    assert summary.chunks_deleted == 1
    assert repo.chunk_storage_stats().native_bytes == 3 * 700
    assert get(tip(repo), "a2/c/0") == b"\x02" * 700
    assert get(tip(repo), "a3/c/0") == b"inline"


def test_dead_references_keep_no_chunks(storage: frazil.Storage, spec: int) -> None:
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "a": array([4]), "b": array([4])})
    session = repo.writable_session("main")
    put(session, "a/c/0", b"a" * (2 << 20))  # an object of its own
    put(session, "b/c/0", NATIVE)
    session.commit("both in one manifest")
    commit(repo, {"a/c/0": b"small"})
    later = datetime.now(UTC) + timedelta(days=1)
    repo.expire_snapshots(later)
    assert repo.garbage_collect(later).chunks_deleted == 1
    place = frazil.in_memory_storage()
    repo.clone_to(place)
    assert content(tip(Repository.open(place))) == content(tip(repo))


def test_manifests_are_gathered_on_demand(new: Repository) -> None:
    commit(new, many(30))
    for i in range(20):
        commit(new, {f"a{i}/c/1": b"y"})
    before = content(tip(new))
    assert len(files(new)) > 1
    new.rewrite_manifests("gather", branch="main")
    (file,) = files(new)
    assert file.num_chunk_refs == 50
    assert content(tip(new)) == before
    new.rewrite_manifests("again", branch="main")
    assert files(new) == [file]


def test_other_ways_to_change_shared_manifests(storage: frazil.Storage) -> None:
    repo = Repository.create(storage, spec_version=1)
    commit(repo, many(20))
    session = repo.writable_session("main")
    session.shift_array("/a3", [2])
    put(session, "a4", array([7]))
    session.commit("shift")
    repo = frazil.upgrade_icechunk_repository(repo, dry_run=False)
    session = repo.rearrange_session("main")
    session.move("/a5", "/moved")
    session.commit("move")
    commit(repo, {"moved/c/2": b"y", "a6": None})
    found = content(tip(repo))
    assert found["a3/c/2"] == b"x"
    assert found["moved/c/0"] == b"x"
    assert found["moved/c/2"] == b"y"
    assert "a6/c/0" not in found
    assert len({key for key in found if key.endswith("/c/0")}) == 18
