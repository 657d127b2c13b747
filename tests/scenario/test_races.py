"""Many at once: who wins, and what the others are told. On every kind of storage."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import frazil
from frazil import ConflictDetector, ConflictError, Repository, Storage
from frazil.errors import ErrorKind, IcechunkError, InvalidInputError
from tests.scenario.committers import Ground, undisturbed, value
from tests.scenario.places import everywhere
from tests.scenario.trees import array, change, commit, content, get, group
from tests.servers.s3 import S3

MANY = 20


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each of many threads returns, or the error of Frazil that it got."""
    start = threading.Barrier(MANY)

    def run(number: int) -> Any:
        start.wait()
        try:
            return work(number)
        except IcechunkError as error:
            return error

    with ThreadPoolExecutor(MANY) as threads:
        return list(threads.map(run, range(MANY)))


def ready(storage: Storage, spec: int) -> list[frazil.Session]:
    """Sessions on the same snapshot, each with a chunk of its own."""
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "a": array([MANY])}, "start")
    return [
        change(Repository.open(storage).writable_session("main"), {f"a/c/{i}": value(i, i)})
        for i in range(MANY)
    ]


@everywhere
def test_one_of_many_sessions_commits(storage: Storage, spec: int) -> None:
    sessions = ready(storage, spec)
    ends = at_once(lambda i: sessions[i].commit(str(i)))
    (winner,) = [i for i, end in enumerate(ends) if isinstance(end, str)]
    for end in ends[:winner] + ends[winner + 1 :]:
        assert isinstance(end, ConflictError)
        assert end.kind == ErrorKind.COMMIT_CONFLICT
    repo = Repository.open(storage)
    history = [(item.id, item.message) for item in repo.ancestry(branch="main")]
    assert history[0] == (ends[winner], str(winner))
    assert [message for _, message in history[1:]] == ["start", "Repository initialized"]
    found = content(repo.readonly_session("main"))
    assert [key for key in found if "/c/" in key] == [f"a/c/{winner}"]


@everywhere
def test_all_of_many_sessions_commit_if_they_rebase(storage: Storage, spec: int) -> None:
    sessions = ready(storage, spec)
    ends = at_once(lambda i: sessions[i].commit(str(i), rebase_with=ConflictDetector()))
    assert [end for end in ends if isinstance(end, Exception)] == []
    repo = Repository.open(storage)
    history = {item.id: item.message for item in repo.ancestry(branch="main")}
    assert len(history) == MANY + 2
    assert all(history[id_] == str(i) for i, id_ in enumerate(ends))
    view = repo.readonly_session("main")
    assert all(get(view, f"a/c/{i}") == value(i, i) for i in range(MANY))


@everywhere
def test_one_of_many_creates_a_repository(storage: Storage, spec: int) -> None:
    ends = at_once(lambda i: Repository.create(storage, spec_version=spec))
    assert Counter(type(end) for end in ends)[Repository] == 1
    for end in ends:
        if not isinstance(end, Repository):
            assert isinstance(end, ConflictError | InvalidInputError)
            assert "repository" in str(end) or "not empty" in str(end)
    commit(Repository.open(storage), {"": group()}, "it works")


def test_who_has_lost_waits_for_others_of_the_same_process(s3: S3) -> None:
    backend = s3.storage(frazil, "turns").backend()
    order = []

    def take_turn() -> None:
        with backend.turn():
            order.append("second")

    with backend.turn():
        waiting = threading.Thread(target=take_turn)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_processes_that_commit_to_one_branch(tmp_path: Path, s3: S3) -> None:
    result = undisturbed(Ground(tmp_path, s3), 2, writers=4, commits=4)
    assert result.faults == []
    assert (result.reported, result.in_history) == (16, 16)
