"""Sessions that are flushed, and taken up again by another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import frazil
from frazil import SessionStateError
from frazil.session import Session
from tests.scenario.trees import array, change, commit, content, get, group, grown, put, tip

Values = dict[str, bytes | None]

CHANGES: dict[str, list[Values]] = {
    "nothing": [{}],
    "chunks": [{"a/c/0": b"new", "a/c/1": None, "a/c/2": b"x" * 3000}],
    "nodes": [{"n": array([4]), "n/c/1": b"n", "g": group(), "g/m": group(x=1)}],
    "metadata": [{"": group(x=1), "a": array([8], x=1)}],
    "larger": [{"a": array([12]), "a/c/11": b"new"}],
    "smaller": [{"a": array([3]), "a/c/1": b"new"}],
    "smaller and larger": [{"a": array([3])}, {"a": array([12], x=1), "a/c/11": b"new"}],
    "another rank": [{"a": array([2, 2]), "a/c/1/1": b"new"}],
    "deleted": [{"a": None}],
    "made anew": [{"a": None}, {"a": array([4]), "a/c/0": b"new"}],
    "everything": [{"": None}],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_flushed_is_taken_up_again(repo: frazil.Repository, name: str) -> None:
    base = grown(repo)
    session = repo.writable_session("main")
    for step in CHANGES[name]:
        change(session, dict(step))
    shown, status = content(session), session.status()
    flushed = session.flush("part one")
    session = frazil.Repository.open(repo.storage).resume_session("main", flushed)
    assert (session.snapshot_id, session.branch) == (base, "main")
    assert session.mode is frazil.SessionMode.writable
    assert content(session) == shown
    if name != "smaller and larger":  # which says of each chunk that it has lost
        assert session.status() == status
    change(session, {"more": group()})
    session.commit("both parts")
    assert content(tip(repo)) == shown | {"more/zarr.json": group()}
    assert [info.message for info in repo.ancestry(branch="main")][:2] == ["both parts", "grown"]


@pytest.mark.parametrize("name", ["chunks", "nodes", "larger", "smaller and larger"])
def test_it_is_rebased_over_what_happened_meanwhile(repo: frazil.Repository, name: str) -> None:
    grown(repo)
    session = repo.writable_session("main")
    for step in CHANGES[name]:
        change(session, dict(step))
    flushed = session.flush("part one")
    shown = content(session)
    commit(repo, {"other": group(), "a": array([8])}, "meanwhile")
    session = repo.resume_session("main", flushed)
    session.commit("late", rebase_with=frazil.ConflictDetector())
    assert content(tip(repo)) == shown | {"other/zarr.json": group()}


def test_conflicts_are_found(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    put(session, "a/c/0", b"mine")
    flushed = session.flush("part one")
    commit(repo, {"a/c/0": b"theirs"}, "meanwhile")
    session = repo.resume_session("main", flushed)
    with pytest.raises(frazil.RebaseFailedError):
        session.rebase(frazil.ConflictDetector())
    session.commit("mine", rebase_with=frazil.BasicConflictSolver())
    assert get(tip(repo), "a/c/0") == b"mine"


def test_more_than_once(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    for i in range(4):
        put(session, f"a/c/{i}", b"%d" % i * 600)
        session = repo.resume_session("main", session.flush(f"part {i}"))
    session.commit("all parts")
    assert [get(tip(repo), f"a/c/{i}") for i in range(4)] == [b"%d" % i * 600 for i in range(4)]
    assert len(list(repo.ancestry(branch="main"))) == 3


def test_by_another_process(tmp_path: Path, spec: int) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path / "r"))
    repo = frazil.Repository.create(storage, spec_version=spec)
    grown(repo)
    session = repo.writable_session("main")
    change(session, {"a/c/0": b"one", "a/c/1": b"one" * 1000})
    flushed = session.flush("part one")
    script = """
import sys, frazil
from zarr.core.buffer import cpu
repo = frazil.Repository.open(frazil.local_filesystem_storage(sys.argv[1]))
session = repo.resume_session("main", sys.argv[2])
session.store.set_sync("a/c/2", cpu.Buffer.from_bytes(b"two"))
session.commit("both")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "r"), flushed], check=True)
    values = [get(tip(repo), f"a/c/{i}") for i in range(4)]
    assert values == [b"one", b"one" * 1000, b"two", b"base"]


def _refusal(call: Callable[[], Session]) -> str:
    with pytest.raises(SessionStateError) as caught:
        call()
    return caught.value.kind


def test_what_cannot_be_taken_up(repo: frazil.Repository) -> None:
    base = grown(repo)
    session = repo.writable_session("main")
    put(session, "a/c/0", b"x")
    flushed = session.flush("part one")
    first = [info.id for info in repo.ancestry(branch="main")][-1]
    repo.create_branch("other", first)
    assert _refusal(lambda: repo.resume_session("other", flushed)) == "not-on-branch"
    assert _refusal(lambda: repo.resume_session("main", first)) == "no-snapshot"
    with pytest.raises(frazil.RefNotFoundError):
        repo.resume_session("no", flushed)
    with pytest.raises(frazil.InvalidInputError):
        repo.resume_session("main", "no id")
    if repo.spec_version == 2:
        moving = repo.rearrange_session("main")
        moving.move("/a", "/b")
        moved = moving.flush("moved")
        assert _refusal(lambda: repo.resume_session("main", moved)) == "rearrange-session-only"
    repo._core.library.backend.delete([f"transactions/{flushed}"])
    again = frazil.Repository.open(repo.storage)
    assert _refusal(lambda: again.resume_session("main", flushed)) == "rebase-tx-log-pruned"
    assert repo.lookup_branch("main") == base


def test_coroutine(repo: frazil.Repository) -> None:
    grown(repo)
    session = repo.writable_session("main")
    put(session, "a/c/0", b"x")
    flushed = session.flush("part one")
    session = asyncio.run(repo.resume_session_async("main", flushed))
    assert get(session, "a/c/0") == b"x"
