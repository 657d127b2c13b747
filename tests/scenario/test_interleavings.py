"""Two and three actors on one repository, in every order of their storage operations.

Whatever is reported as done must be there at the end, and after each step that a reader could
notice, the repository must open and be readable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from typing_extensions import override

from frazil import ConflictDetector, Repository
from frazil.errors import ConflictError, ErrorKind, IcechunkError, RefNotFoundError
from frazil.session import Session
from frazil.storage.base import Backend, Version
from frazil.storage.memory import MemoryBackend
from tests.scenario import scheduler
from tests.scenario.places import storage_around
from tests.scenario.scheduler import (
    Actor,
    Place,
    Scenario,
    every_order,
    prepare_process,
    some_orders,
)
from tests.scenario.trees import array, change, commit, get, group

CHUNKS = 5
ENOUGH = 3_000
"""Orders of one scenario: more than there are of any that is to be run in all of them."""
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

needs_amend = pytest.mark.parametrize("spec", [2], ids=["spec2"])


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        prepare_process(patch)
        yield


def value(number: int) -> bytes:
    """An inline chunk for even numbers, an object of its own for odd ones."""
    return b"%d" % number * (700 if number % 2 else 1)


def place(spec: int) -> Place:
    """`main` and `other` at the second commit to an array; one snapshot on no branch."""
    made = Place()
    repo = Repository.create(storage_around(made.backend), spec_version=spec)
    commit(repo, {"": group(), "a": array([CHUNKS])}, "first")
    second = commit(repo, {"a/c/4": value(4)}, "second")
    repo.create_branch("other", second)
    repo.create_branch("gone", second)
    change(repo.writable_session("gone"), {"a/c/3": value(5)}).commit("garbage")
    repo.delete_branch("gone")
    return made


def opened(backend: Backend) -> Repository:
    return Repository.open(storage_around(backend))


def session(backend: Backend, number: int, branch: str = "main") -> Session:
    """A session with one changed chunk."""
    return change(opened(backend).writable_session(branch), {f"a/c/{number}": value(number)})


def readable(backend: MemoryBackend) -> None:
    """Open the repository and read all of every branch."""
    repo = opened(backend)
    for branch in repo.list_branches():
        messages = [item.message for item in repo.ancestry(branch=branch)]
        view = repo.readonly_session(branch)
        assert get(view, "") == group()
        for number in range(CHUNKS):
            found = get(view, f"a/c/{number}")
            is_there = number == 4 or any(str(number) in text.split() for text in messages)
            assert found == (value(number) if is_there else None)


def in_history(backend: MemoryBackend, branch: str = "main") -> dict[str, str]:
    return {item.id: item.message for item in opened(backend).ancestry(branch=branch)}


def check_reported(backend: MemoryBackend, actors: list[Actor]) -> None:
    """Every id that was reported is in the history of `main`, and nothing else was committed."""
    history = in_history(backend)
    assert {a.result for a in actors if isinstance(a.result, str)} <= set(history)
    reported = [a for a in actors if isinstance(a.result, str)]
    assert len([m for m in history.values() if m.isdigit()]) == len(reported)


def rebasing(number: int, branch: str = "main") -> Callable[[Backend], Callable[[], str]]:
    def prepare(backend: Backend) -> Callable[[], str]:
        mine = session(backend, number, branch)
        return lambda: mine.commit(str(number), rebase_with=ConflictDetector())

    return prepare


def plain(number: int) -> Callable[[Backend], Callable[[], str]]:
    def prepare(backend: Backend) -> Callable[[], str]:
        mine = session(backend, number)
        return lambda: mine.commit(str(number))

    return prepare


def verb(call: Callable[[Repository], object]) -> Callable[[Backend], Callable[[], object]]:
    def prepare(backend: Backend) -> Callable[[], object]:
        repo = opened(backend)
        return lambda: call(repo)

    return prepare


def scenario(
    spec: int,
    *preparations: Callable[[Backend], Callable[[], object]],
    end: Callable[[MemoryBackend, list[Actor]], None],
) -> Scenario:
    def prepare(
        backend: MemoryBackend, view: Callable[[int], Backend]
    ) -> list[Callable[[], object]]:
        return [one(view(i)) for i, one in enumerate(preparations)]

    def finish(backend: MemoryBackend, actors: list[Actor]) -> None:
        readable(backend)
        end(backend, actors)

    return Scenario(place(spec), prepare, readable, finish)


def run_all(what: Scenario, at_least: int = 2) -> None:
    runs, complete = every_order(what, ENOUGH)
    assert complete, f"more than {ENOUGH} orders"
    assert runs >= at_least


def no_errors(actors: list[Actor]) -> None:
    for actor in actors:
        if actor.error is not None:
            raise actor.error


def test_two_commits_that_rebase_are_both_there(spec: int) -> None:
    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        no_errors(actors)
        check_reported(backend, actors)
        assert len(in_history(backend)) == 5

    run_all(scenario(spec, rebasing(0), rebasing(1), end=end))


def test_without_rebase_exactly_one_of_two_commits_wins(spec: int) -> None:
    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        check_reported(backend, actors)
        (error,) = [actor.error for actor in actors if actor.error is not None]
        assert isinstance(error, ConflictError)
        assert error.kind == ErrorKind.COMMIT_CONFLICT

    run_all(scenario(spec, plain(0), plain(1), end=end))


def test_commits_to_two_branches_do_not_meet(spec: int) -> None:
    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        no_errors(actors)
        assert actors[0].result in in_history(backend)
        assert actors[1].result in in_history(backend, "other")

    run_all(scenario(spec, plain(0), rebasing(1, "other"), end=end), at_least=1)


@needs_amend
def test_a_commit_beside_an_amend(spec: int) -> None:
    def amending(backend: Backend) -> Callable[[], str]:
        mine = session(backend, 1)
        return lambda: mine.amend("second and 1")

    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        history = in_history(backend)
        committed, amended = actors
        if committed.error is not None:
            raise committed.error
        assert history[committed.result] == "0"
        if amended.error is None:
            assert history[amended.result] == "second and 1"
            assert len(history) == 4
        else:
            assert isinstance(amended.error, ConflictError)
            assert len(history) == 4

    run_all(scenario(spec, rebasing(0), amending, end=end))


def test_a_commit_to_a_branch_that_is_deleted(spec: int) -> None:
    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        committed, deleted = actors
        if deleted.error is not None:
            raise deleted.error
        assert opened(backend).list_branches() == {"main"}
        assert committed.error is None or isinstance(committed.error, RefNotFoundError)

    what = scenario(
        spec, rebasing(0, "other"), verb(lambda repo: repo.delete_branch("other")), end=end
    )
    run_all(what)


@pytest.mark.parametrize("careful", [False, True])
def test_a_commit_to_a_branch_that_is_reset(spec: int, careful: bool) -> None:
    base = place(spec)
    second, first, root = in_history(base.backend)

    def reset(repo: Repository) -> None:
        repo.reset_branch("main", first, from_snapshot_id=second if careful else None)

    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        committed, moved = actors
        history = list(in_history(backend))
        if committed.error is None and moved.error is None:
            assert not careful
            assert history == [first, root]  # the reset was last, and took the commit with it
        elif committed.error is None:
            assert isinstance(moved.error, ConflictError)
            assert history == [committed.result, second, first, root]
        else:
            assert isinstance(committed.error, IcechunkError)
            assert committed.error.kind == ErrorKind.COMMIT_CONFLICT
            no_errors([moved])
            assert history == [first, root]

    def after_reset(backend: MemoryBackend) -> None:
        repo = opened(backend)
        view = repo.readonly_session("main")
        for number in range(CHUNKS):
            get(view, f"a/c/{number}")

    what = scenario(spec, plain(0), verb(reset), end=end)
    run_all(Scenario(base, what.prepare, after_reset, end))


def _now() -> datetime:
    return datetime.now(UTC)


def test_a_commit_beside_a_collection(spec: int) -> None:
    cutoff: list[datetime] = []

    def collecting(backend: Backend) -> Callable[[], object]:
        repo = opened(backend)
        return lambda: repo.garbage_collect(cutoff[0])

    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        no_errors(actors)
        check_reported(backend, actors)
        assert actors[1].result.snapshots_deleted == 1
        assert actors[1].result.chunks_deleted == 1

    what = scenario(spec, rebasing(1), collecting, end=end)
    cutoff.append(_now())
    run_all(what)


def test_a_commit_beside_an_expiration(spec: int) -> None:
    cutoff: list[datetime] = []

    def expiring(backend: Backend) -> Callable[[], object]:
        repo = opened(backend)
        return lambda: repo.expire_snapshots(cutoff[0])

    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        no_errors(actors)
        check_reported(backend, actors)
        (first,) = [i for i, m in in_history(what.place.backend).items() if m == "first"]
        assert first in actors[1].result
        assert first not in in_history(backend)

    what = scenario(spec, rebasing(1), expiring, end=end)
    cutoff.append(_now())
    run_all(what)


def test_only_one_makes_a_branch(spec: int) -> None:
    base = place(spec)
    second, first, _ = in_history(base.backend)

    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        (winner,) = [i for i, actor in enumerate(actors) if actor.error is None]
        assert opened(backend).lookup_branch("new") == [first, second][winner]

    what = scenario(
        spec,
        verb(lambda repo: repo.create_branch("new", first)),
        verb(lambda repo: repo.create_branch("new", second)),
        end=end,
    )
    run_all(Scenario(base, what.prepare, lambda backend: None, end))


class _Careless(MemoryBackend):
    """Stores whatever is there."""

    @override
    def put(self, key: str, data: bytes | memoryview, **options: object) -> Version:
        return super().put(key, data)


def test_a_lost_update_would_be_found(spec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MemoryBackend", _Careless)
    with pytest.raises(AssertionError):
        test_two_commits_that_rebase_are_both_there(spec)


def test_three_commits_are_all_there(spec: int) -> None:
    def end(backend: MemoryBackend, actors: list[Actor]) -> None:
        no_errors(actors)
        check_reported(backend, actors)
        assert len(in_history(backend)) == 6

    what = scenario(spec, rebasing(0), rebasing(1), rebasing(2), end=end)
    some_orders(what, 300 if LONG else 15, seed=20)
    runs, complete = every_order(what, 10**6, interruptions=2 if LONG else 1)
    assert complete
    assert runs >= 50
