"""A lost, damaged or outdated repo object is put back from its backups, and nothing else."""

from __future__ import annotations

import pytest

import frazil
from frazil import Repository
from frazil.errors import FormatError, RepositoryNotFoundError
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, commit, content, group, tip


def everything(backend: MemoryBackend) -> dict[str, bytes]:
    return {info.key: backend.get(info.key) for info in backend.list()}


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def repo(backend: MemoryBackend) -> Repository:
    repo = Repository.create(storage_around(backend))
    commit(repo, {"": group(), "a": array([3]), "a/c/0": b"x" * 600})
    commit(repo, {"a/c/1": b"y" * 600})
    commit(repo, {"a/c/2": b"z" * 600})
    return repo


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_the_newest_backup_is_put_back(
    repo: Repository, backend: MemoryBackend, damage: str
) -> None:
    last = tip(repo).snapshot_id
    if damage == "lost":
        backend.delete(["repo"])
    else:
        backend.put("repo", backend.get("repo")[:80])
    before = everything(backend)
    plan = Repository.repair(repo.storage)
    assert plan.dry_run
    assert plan.restored is not None
    assert plan.lost_snapshots == (last,)
    assert everything(backend) == before
    done = Repository.repair(repo.storage, dry_run=False)
    assert (done.restored, done.lost_snapshots) == (plan.restored, plan.lost_snapshots)
    if damage == "lost":
        assert done.kept is None
    else:
        assert done.kept is not None
        assert backend.get(done.kept) == before["repo"]
    changed = {key for key, data in everything(backend).items() if before.get(key) != data}
    assert changed == {"repo", *([done.kept] if done.kept else [])}
    again = Repository.open(repo.storage)
    assert content(tip(again)).keys() == {"zarr.json", "a/zarr.json", "a/c/0", "a/c/1"}
    commit(again, {"a/c/2": b"new" * 300})
    assert again.verify("data").is_healthy
    assert len(list(again.ancestry(branch="main"))) == 4


def test_an_older_object_is_replaced(repo: Repository, backend: MemoryBackend) -> None:
    commit(repo, {"a/c/0": b"1" * 600})
    old = next(one.key for one in sorted(backend.list("overwritten"), key=lambda o: o.key)[2:])
    backend.put("repo", backend.get(old))
    (finding,) = Repository.open(repo.storage).verify().findings
    assert "Repository.repair" in finding.advice
    assert Repository.repair(repo.storage, dry_run=False).restored is not None
    assert Repository.open(repo.storage).verify().is_healthy


def test_damaged_backups_are_passed_over(repo: Repository, backend: MemoryBackend) -> None:
    newest = min(one.key for one in backend.list("overwritten"))
    backend.put(newest, b"nonsense")
    backend.delete(["repo"])
    report = Repository.repair(repo.storage)
    assert report.restored not in (None, newest)
    assert len(report.lost_snapshots) == 2


async def test_healthy_repositories_are_left_alone(
    repo: Repository, backend: MemoryBackend
) -> None:
    before = everything(backend)
    report = await Repository.repair_async(repo.storage, dry_run=False)
    assert (report.restored, report.kept, report.lost_snapshots) == (None, None, ())
    assert everything(backend) == before
    assert "restored: None" in str(report)


def test_when_nothing_can_be_done(repo: Repository, backend: MemoryBackend) -> None:
    with pytest.raises(RepositoryNotFoundError, match="no backup"):
        Repository.repair(frazil.in_memory_storage())
    for info in list(backend.list("snapshots")):
        backend.delete([info.key])
    backend.delete(["repo"])
    with pytest.raises(FormatError, match="which is gone"):
        Repository.repair(repo.storage)
    for info in list(backend.list("overwritten")):
        backend.put(info.key, b"nonsense")
    with pytest.raises(FormatError, match="newest backups can be read"):
        Repository.repair(repo.storage)
