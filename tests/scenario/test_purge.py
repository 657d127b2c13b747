"""Removing an array, some chunks or an attribute from all of history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import zarr

import frazil
from frazil import ConflictError, InvalidInputError, NodeNotFoundError, Repository, Storage
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.storage.doubles import Fault, Faulty
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

SECRET = np.frombuffer(
    b"the name of somebody who does not want it to be here............", np.uint8
)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def repo(backend: MemoryBackend) -> Repository:
    """A history in which `people/names` comes, changes, moves and goes."""
    config = frazil.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 8
    repo = Repository.create(storage_around(backend), config)
    with repo.edit("main", "begun") as tree:
        tree["t"] = np.arange(64, dtype="u1")
        zarr.create_array(
            tree.store,
            name="people/names",
            data=SECRET,
            compressors=None,
            attributes={"owner": "somebody", "unit": "1"},
        )
        tree["people/ages"] = np.arange(64, dtype="u1")
    repo.create_tag("first", repo.lookup_branch("main"))
    with repo.edit("main", "more") as tree:
        tree["people/names"][:8] = 7
        tree["t"][:8] = 9
    session = repo.rearrange_session("main")
    session.move("/people/names", "/people/old")
    session.commit("moved")
    repo.create_branch("dev", repo.lookup_branch("main"))
    with repo.edit("main", "deleted") as tree:
        del tree["people/old"]
    with repo.edit("main", "after") as tree:
        tree["t"][8:16] = 3
    return repo


def everything(backend: MemoryBackend) -> bytes:
    """All that is stored, as far as it is not compressed."""
    return b"".join(backend.get(info.key) for info in backend.list())


def is_whole(repo: Repository) -> None:
    again = Repository.open(repo.storage)
    assert again.verify("data").is_healthy
    assert list(again.ops_log())
    for branch in again.list_branches():
        for commit in again.ancestry(branch=branch):
            again.readonly_session(snapshot_id=commit.id)
    assert again.at()["t"][:16].tolist() == [9] * 8 + [3] * 8
    assert again.at(branch="dev")["t"][:16].tolist() == [9] * 8 + [*range(8, 16)]
    assert again.at(tag="first")["people/ages"][:].tolist() == [*range(64)]


def test_an_array_is_gone_wherever_it_was(repo: Repository, backend: MemoryBackend) -> None:
    before = [commit.message for commit in repo.ancestry(branch="main")]
    stored = {info.key: backend.get(info.key) for info in backend.list()}
    plan = repo.purge("/people/names")
    assert plan.dry_run
    assert not plan.is_clean
    assert stored == {info.key: backend.get(info.key) for info in backend.list()}
    assert len(plan.snapshots) == 5  # the last one, too: its chunks share objects with the names
    assert plan.objects_rewritten >= 1
    report = repo.purge("/people/names", dry_run=False)
    assert report.is_clean, report
    assert report.snapshots.keys() == plan.snapshots.keys()
    assert report.chunks >= 2
    assert [commit.message for commit in repo.ancestry(branch="main")] == before
    assert "people/names" not in repo.at(tag="first")
    assert "people/old" not in repo.at(branch="dev")
    is_whole(repo)
    for old in report.snapshots:
        assert not backend.exists(f"snapshots/{old}")
    names = {str(info.key) for info in backend.list("overwritten")}
    assert all(old.encode() not in everything(backend) for old in report.snapshots)
    assert len(names) == report.files_read["backups"]
    assert report.to_dict()["is_clean"]
    assert "remaining (0): none" in str(report)
    with pytest.raises(NodeNotFoundError, match="/people/names"):
        repo.purge("people/names")


def test_a_group_with_all_below(repo: Repository) -> None:
    report = repo.purge("/people", dry_run=False)
    assert report.is_clean
    assert len(report.nodes) == 3
    assert list(repo.at(tag="first")) == ["t"]
    assert Repository.open(repo.storage).verify("data").is_healthy


def test_an_attribute(repo: Repository, backend: MemoryBackend) -> None:
    report = repo.purge("people/names", attribute="owner", dry_run=False)
    assert report.is_clean
    assert len(report.snapshots) == 3
    assert dict(repo.at(tag="first")["people/names"].attrs) == {"unit": "1"}
    assert bytes(repo.at(branch="dev")["people/old"][8:]) == bytes(SECRET[8:])
    is_whole(repo)
    with pytest.raises(NodeNotFoundError, match="'owner'"):
        repo.purge("people/names", attribute="owner")


def test_a_region(repo: Repository, backend: MemoryBackend) -> None:
    with repo.edit("main", "chunked") as tree:
        zarr.create_array(tree.store, name="c", shape=(4, 10), chunks=(2, 5), dtype="i8")[:] = 5
    with repo.edit("main", "changed") as tree:
        tree["c"][1, 7] = 6
    report = repo.purge("c", region=(slice(0, 2), slice(5, 10)), dry_run=False)
    assert report.is_clean
    assert report.chunks == 2
    expected = np.full((4, 10), 5)
    expected[:2, 5:] = 0
    for version in ("main", "main~1"):
        at = repo.at(snapshot_id=repo.resolve(version))
        np.testing.assert_array_equal(at["c"][:], expected)
    assert Repository.open(repo.storage).verify("data").is_healthy


@pytest.mark.parametrize(
    ("region", "complaint"),
    [
        ((slice(0, 2), slice(0, 10, 2)), "has a step"),
        ((slice(2, 2),), "empty"),
        ((slice(None),) * 3, "2 dimensions"),
    ],
)
def test_regions_that_cannot_be(
    repo: Repository, region: tuple[slice, ...], complaint: str
) -> None:
    with repo.edit("main", "chunked") as tree:
        zarr.create_array(tree.store, name="c", shape=(4, 10), chunks=(2, 5), dtype="i8")[:] = 5
    with pytest.raises(InvalidInputError, match=complaint):
        repo.purge("c", region=region)


def test_what_cannot_be_purged(repo: Repository, storage: Storage) -> None:
    with pytest.raises(InvalidInputError, match="delete the repository"):
        repo.purge("/")
    with pytest.raises(NodeNotFoundError):
        repo.purge("/nothing")
    with pytest.raises(InvalidInputError, match="group"):
        repo.purge("/people", region=slice(0, 1))
    with pytest.raises(FormatError, match="spec 2"):
        Repository.create(storage, spec_version=1).purge("/a")


def test_who_writes_meanwhile_is_refused(repo: Repository) -> None:
    """Else the commit would bring back what was removed."""
    session = repo.writable_session("dev")
    session["t"][0] = 1
    repo.purge("people/names", dry_run=False)
    with pytest.raises(ConflictError) as caught:
        session.commit("too late")
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    with pytest.raises(frazil.IcechunkError):
        session.commit("too late", rebase_with=frazil.ConflictDetector())


def test_what_is_on_no_branch_goes_too(repo: Repository, backend: MemoryBackend) -> None:
    """Released and amended snapshots, and objects that nobody has referred to."""
    with repo.edit("dev", "written over") as tree:
        tree["people/old"][:] = SECRET[::-1]
    repo.reset_branch("dev", repo.lookup_tag("first"))
    session = repo.writable_session("dev")
    session["people/names"][:] = SECRET + 1
    session.flush("kept aside")
    lost = repo.writable_session("dev")
    lost["people/names"][:] = SECRET + 2
    lost._workspace.writer.flush()
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    report = repo.purge("people/names", dry_run=False)
    assert report.is_clean, report
    for values in (SECRET, SECRET[::-1], SECRET + 1, SECRET + 2):
        assert bytes(values) not in everything(backend)
    assert Repository.open(repo.storage).verify("data").is_healthy


def test_a_commit_between_look_and_swap(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at as well."""
    from frazil.engine.purging import purge

    original, other = purge._replace, Repository.open(repo.storage)
    calls = []

    def slow(*args: object) -> None:
        if not calls:
            with other.edit("dev", "meanwhile") as tree:
                tree["people/old"][:] = 1
        calls.append(1)
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(purge, "_replace", slow)
    report = repo.purge("people/names", dry_run=False)
    assert len(calls) == 2
    assert report.is_clean
    assert next(repo.ancestry(branch="dev")).message == "meanwhile"
    assert "people/old" not in repo.at(branch="dev")


@pytest.mark.parametrize(
    "at", [("put", 2), ("put", 9), ("delete", 1), ("delete", 3), ("delete", 5)]
)
def test_one_that_died_is_done_again(
    repo: Repository, backend: MemoryBackend, at: tuple[str, int]
) -> None:
    calls: list[str] = []

    def plan(operation: str, key: str) -> Fault | None:
        calls.append(operation)
        dead = calls.count(at[0]) >= at[1]
        return Fault.REFUSED if dead else None

    dying = Repository.open(storage_around(Faulty(backend, plan)))
    with pytest.raises(StorageError):
        dying.purge("people/names", dry_run=False)
    assert Repository.open(repo.storage).verify("data").is_healthy
    report = Repository.open(repo.storage).purge("people/names", dry_run=False)
    assert report.is_clean, report
    assert bytes(SECRET[8:]) not in everything(backend)
    is_whole(repo)


def test_a_thinned_history_with_merges(backend: MemoryBackend) -> None:
    """Transaction logs that others stand for, merged parents, and a long log of operations."""
    config = frazil.RepositoryConfig.default()
    config.num_updates_per_repo_info_file = 2
    repo = Repository.create(storage_around(backend), config)
    with repo.edit("main", "before") as tree:
        tree["t"] = np.arange(64)
    for i in range(4):
        with repo.edit("main", f"names {i}") as tree:
            tree["names"] = SECRET + i
            tree["t"][i] = -1
    repo.create_branch("side", repo.lookup_branch("main"))
    with repo.edit("side", "on the side") as tree:
        tree["u"] = np.arange(3)
    with repo.edit("main", "at home") as tree:
        tree["v"] = np.arange(3)
    repo.merge("side", into="main")
    with repo.edit("main", "no names") as tree:
        del tree["names"]
    root = _roots(repo)[0]
    before = repo.diff(from_snapshot_id=root, to_branch="main")
    assert "/t" in before.updated_chunks
    repo.apply_retention("last 3")
    report = repo.purge("names", dry_run=False)
    assert report.is_clean, report
    assert repo.verify("data").is_healthy
    assert [info.message for info in repo.ancestry(branch="main")] == [
        "no names",
        "Merge 'side' into 'main'",
        "at home",
        "names 3",
        "names 2",
        "Repository initialized",
    ]
    after = repo.diff(from_snapshot_id=root, to_branch="main")
    assert after.new_arrays == before.new_arrays - {"/names"}
    assert after.updated_chunks == {
        path: chunks for path, chunks in before.updated_chunks.items() if path != "/names"
    }
    assert list(repo.ops_log())
    with repo.edit("main", "goes on") as tree:
        tree["t"][:] = 0
    (parents,) = (
        info.metadata["frazil"]["merge_parents"]
        for info in repo.ancestry(branch="main")
        if "frazil" in info.metadata
    )
    assert [repo.lookup_snapshot(id_).message for id_ in parents] == ["on the side"]


def _roots(repo: Repository) -> list[str]:
    return [info.id for info in repo.ancestry(branch="main") if info.parent_id is None]


def test_after_a_migration(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend), spec_version=1)
    for i in range(3):
        with repo.edit("main", f"commit {i}") as tree:
            tree["t"] = np.arange(100) + i
            tree["names"] = SECRET + i
    with pytest.raises(FormatError, match="spec 2"):
        repo.purge("t", region=slice(10, 20))
    repo = frazil.upgrade_icechunk_repository(repo, dry_run=False)
    assert repo.purge("t", region=slice(10, 20), dry_run=False).is_clean
    report = repo.purge("names", dry_run=False)
    assert report.is_clean, report
    assert repo.verify("data").is_healthy
    assert list(repo.at()) == ["t"]
    for i, commit in enumerate(reversed([*repo.ancestry(branch="main")][:3])):
        expected = np.arange(100) + i
        expected[10:20] = 0
        assert repo.at(snapshot_id=commit.id)["t"][:].tolist() == expected.tolist()


def test_virtual_chunks_are_told_of(tmp_path: object) -> None:
    prefix = f"file://{tmp_path}/"
    config = frazil.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        frazil.VirtualChunkContainer(prefix, frazil.local_filesystem_store(str(tmp_path)))
    )
    repo = Repository.create(frazil.in_memory_storage(), config)
    with repo.edit("main", "virtual") as tree:
        zarr.create_array(tree.store, name="a", shape=(4,), chunks=(2,), dtype="u1")
        tree.store.set_virtual_ref("a/c/0", f"{prefix}f", offset=0, length=2)
    report = repo.purge("a", dry_run=False)
    assert report.is_clean
    assert report.virtual == 1


def test_bytes_that_stay_elsewhere_stop_it(repo: Repository) -> None:
    """A chunk that was shifted is at two places in the history; one of them alone cannot go."""
    with repo.edit("main", "chunked") as tree:
        array = zarr.create_array(tree.store, name="c", shape=(4,), chunks=(1,), dtype="i8")
        array[:] = np.arange(4) + 2**40
    session = repo.writable_session("main")
    session.shift_array("/c", (1,))
    session.commit("shifted")
    with pytest.raises(InvalidInputError, match=r"chunk \(1,\) of array") as caught:
        repo.purge("c", region=slice(0, 1))
    assert caught.value.kind == ErrorKind.NOT_ALLOWED
    assert repo.purge("c", dry_run=False).is_clean
