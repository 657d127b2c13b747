"""Lost transaction logs are told from what differs between snapshots, and what is not known is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import frazil
from frazil import ConflictDetector, Repository
from frazil.errors import RebaseFailedError
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, change, commit, group

BIG = b"x" * 600
"""Kept in an object, as other chunks here are kept inline."""


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


def story(backend: MemoryBackend, spec: int) -> tuple[Repository, list[str]]:
    """All kinds of changes; returns the ids of the commits, oldest first."""
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=100)
    repo = Repository.create(storage_around(backend), config, spec_version=spec)
    ids = [repo.lookup_branch("main")]
    steps: list[dict[str, bytes | None]] = [
        {"": group(), "g": group(), "g/a": array([6]), "b": array([3, 3])},
        {f"g/a/c/{i}": bytes([i]) for i in range(5)} | {"b/c/1/1": BIG},
        {"g/a/c/1": b"new", "g/a/c/2": None, "b/c/0/2": BIG[1:]},
        {"g/a": array([6], units="K"), "b/c/1/1": None, "g": group(title="t")},
        {"g/a": array([2], units="K"), "n": array([2]), "n/c/0": b"n"},
        {"b": None, "n/c/1": BIG},
    ]
    ids += [commit(repo, step) for step in steps]
    if spec == 2:
        session = repo.rearrange_session("main")
        session.move("/g", "/h")
        session.move("/n", "/h/n")
        ids.append(session.commit("moved"))
    return repo, ids


def differences(repo: Repository, ids: list[str]) -> list[object]:
    fresh = Repository.open(repo.storage)
    return [
        str(fresh.diff(from_snapshot_id=ids[i], to_snapshot_id=ids[j]))
        for i in range(len(ids))
        for j in range(i + 1, len(ids))
    ]


def everything(backend: MemoryBackend) -> dict[str, bytes]:
    return {info.key: backend.get(info.key) for info in backend.list()}


@pytest.mark.parametrize("how", ["deleted", "truncated", "another's"])
def test_each_log_comes_back(backend: MemoryBackend, spec: int, how: str) -> None:
    repo, ids = story(backend, spec)
    whole, expected = everything(backend), differences(repo, ids)
    for number, id_ in enumerate(ids[1:], 1):
        key = f"transactions/{id_}"
        if how == "deleted":
            backend.delete([key])
        elif how == "truncated":
            backend.put(key, whole[key][:40])
        else:
            backend.put(key, whole[f"transactions/{ids[2 if number == 1 else 1]}"])
        before = everything(backend)
        plan = Repository.repair(repo.storage)
        assert everything(backend) == before
        assert [one.id for one in plan.logs] == [id_]
        assert plan.left == ()
        done = Repository.repair(repo.storage, dry_run=False)
        assert (done.logs, done.left) == (plan.logs, ())
        assert done.logs[0].parent == ids[number - 1]
        assert done.logs[0].uncertain
        changed = {k for k, v in everything(backend).items() if before.get(k) != v}
        aside = {k for k in changed if k.startswith("overwritten/damaged-log.")}
        assert (changed - aside, len(aside)) == ({key}, int(how != "deleted"))
        assert differences(repo, ids) == expected
        assert not Repository.repair(repo.storage).is_needed


def test_all_logs_at_once(backend: MemoryBackend, spec: int) -> None:
    repo, ids = story(backend, spec)
    expected = differences(repo, ids)
    backend.delete([info.key for info in backend.list("transactions")])
    report = Repository.repair(repo.storage, dry_run=False)
    assert {one.id for one in report.logs} == set(ids[1:])
    assert {one.id: (one.created, one.chunks) for one in report.logs}[ids[1]] == (4, 0)
    assert "uncertain" in str(report)
    assert report.to_dict()["logs"][0]["uncertain"]
    assert differences(repo, ids) == expected
    if spec == 2:
        last = next(one for one in report.logs if one.id == ids[-1])
        assert (last.moved, last.chunks) == (3, 0)
        assert any("moved once" in note for note in last.uncertain)


def test_what_was_written_again_as_it_was_is_not_seen(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend))
    commit(repo, {"": group(), "a": array([3]), "a/c/0": b"0", "a/c/1": b"1"})
    id_ = commit(repo, {"a/c/0": b"0", "a/c/1": b"2", "a": array([3], x=1)})
    backend.delete([f"transactions/{id_}"])
    report = Repository.repair(repo.storage, dry_run=False)
    assert [(one.updated, one.chunks) for one in report.logs] == [(1, 1)]
    assert "as it was" in report.logs[0].uncertain[0]


def test_a_session_finds_its_conflict(backend: MemoryBackend) -> None:
    repo = Repository.create(storage_around(backend))
    commit(repo, {"": group(), "a": array([3]), "a/c/0": b"0"})
    session = change(repo.writable_session("main"), {"a/c/0": b"mine"})
    other = change(repo.writable_session("main"), {"a/c/1": b"mine"})
    id_ = commit(repo, {"a/c/0": b"theirs"})
    backend.delete([f"transactions/{id_}"])
    Repository.repair(repo.storage, dry_run=False)
    with pytest.raises(RebaseFailedError) as error:
        session.rebase(ConflictDetector())
    assert [conflict.path for conflict in error.value.conflicts] == ["/a"]
    other.commit("beside", rebase_with=ConflictDetector())


def test_logs_of_expired_commits(backend: MemoryBackend) -> None:
    """One of all that was different in between takes their place."""
    repo, ids = story(backend, 2)
    kept = ids[4]
    repo.expire_snapshots(repo.lookup_snapshot(ids[3]).written_at + timedelta(microseconds=1))
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
    since = Repository.open(repo.storage).diff(from_snapshot_id=ids[0], to_snapshot_id=kept)
    lost = ids[2]
    backend.delete([f"transactions/{lost}"])
    report = Repository.repair(repo.storage, dry_run=False)
    assert [(one.id, one.parent) for one in report.logs] == [(lost, ids[0])]
    assert any("in the history no more" in note for note in report.logs[0].uncertain)
    again = Repository.open(repo.storage).diff(from_snapshot_id=ids[0], to_snapshot_id=kept)
    assert again.new_arrays == since.new_arrays
    assert report.left == ()


@pytest.mark.parametrize("what", ["parent", "own snapshot", "manifest"])
def test_nothing_is_told_of_what_cannot_be_read(backend: MemoryBackend, what: str) -> None:
    repo, ids = story(backend, 2)
    gone = {"parent": f"snapshots/{ids[2]}", "own snapshot": f"snapshots/{ids[3]}"}
    if what == "manifest":
        # Inline chunks that no other manifest has.
        listed = repo.inspect_snapshot(ids[3])["manifests"]
        keys = [f"manifests/{one['id']}" for one in listed]
    else:
        keys = [gone[what]]
    backend.delete([*keys, f"transactions/{ids[3]}"])
    before = everything(backend)
    report = Repository.repair(repo.storage, dry_run=False)
    assert ids[3] not in {one.id for one in report.logs}
    assert f"transactions/{ids[3]}" in {one.object for one in report.left}
    assert everything(backend) == before


def test_a_log_and_a_manifest_that_it_needs(backend: MemoryBackend) -> None:
    """The manifest is proven by its digest; a dry run knows that the log can be told then."""
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    repo = Repository.create(storage_around(backend), config)
    commit(repo, {"": group(), "a": array([3]), "a/c/0": b"0"})
    first = commit(repo, {"a/c/1": b"1"})
    second = commit(repo, {"a/c/2": b"2"})
    expected = backend.get(f"transactions/{second}")
    (manifest,) = repo.inspect_snapshot(first)["manifests"]
    backend.delete([f"transactions/{second}", f"manifests/{manifest['id']}"])
    plan = Repository.repair(repo.storage)
    assert [one.id for one in plan.manifests] == [manifest["id"]]
    assert [one.id for one in plan.logs] == [second]
    done = Repository.repair(repo.storage, dry_run=False)
    assert (done.manifests, done.logs, done.left) == (plan.manifests, plan.logs, ())
    assert backend.get(f"transactions/{second}") == expected
