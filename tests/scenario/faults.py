"""What users do, on a storage that fails at one step; and all that a reader sees afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from typing_extensions import override

import frazil
from frazil import ConflictDetector, Repository, RepositoryConfig, Storage
from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import (
    OVERWRITE,
    Backend,
    Create,
    PreconditionFailed,
    PutMode,
    Update,
    Version,
)
from frazil.storage.doubles import WRITES
from frazil.storage.wrapper import Wrapper
from tests.scenario.trees import array, change, commit, content, group, grown
from tests.servers.s3 import S3

T = TypeVar("T")

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

View = tuple[tuple[str, dict[str, bytes | None]], ...]
"""A history, newest first: each commit's message, and all keys with their values."""


@dataclass(frozen=True)
class Seen:
    """All that a reader sees: the histories of branches and of tags, and what was configured."""

    branches: dict[str, View]
    tags: dict[str, View]
    threshold: int | None

    def is_part_of(self, other: Seen) -> bool:
        """Whether the same is there, apart from older commits that are missing."""
        return all(
            mine.keys() == theirs.keys()
            and all(_is_thinned(view, theirs[name]) for name, view in mine.items())
            for mine, theirs in ((self.branches, other.branches), (self.tags, other.tags))
        )


def _is_thinned(view: View, whole: View) -> bool:
    rest = iter(whole)
    return view[0] == whole[0] and all(item in rest for item in view)


def seen(storage: Storage) -> Seen:
    """Open the repository and read everything, the log of operations and differences included."""
    repo = Repository.open(storage)
    known: dict[str, dict[str, bytes | None]] = {}

    def view(ancestry: Iterable[Any]) -> View:
        found = list(ancestry)
        for item in found:
            if item.id not in known:
                known[item.id] = content(repo.readonly_session(snapshot_id=item.id))
        if len(found) > 1:
            repo.diff(from_snapshot_id=found[-1].id, to_snapshot_id=found[0].id)
        return tuple((item.message, known[item.id]) for item in found)

    config = Repository.fetch_config(storage)
    if repo.spec_version == 2:
        list(repo.ops_log())
    return Seen(
        {name: view(repo.ancestry(branch=name)) for name in sorted(repo.list_branches())},
        {name: view(repo.ancestry(tag=name)) for name in sorted(repo.list_tags())},
        None if config is None else config.inline_chunk_threshold_bytes,
    )


def build(storage: Storage, spec: int) -> None:
    """Four commits, a tag, a second branch, and a commit that is on no branch any more."""
    repo = Repository.create(storage, spec_version=spec)
    grown(repo)
    second = commit(repo, {"a/c/0": bytes(600), "b": array([4]), "b/c/1": b"one"}, "second")
    repo.create_tag("kept", second)
    commit(repo, {"a/c/1": b"1" * 700, "b/c/2": b"two"}, "third")
    for branch, number in (("side", 3), ("gone", 4)):
        repo.create_branch(branch, second)
        session = change(repo.writable_session(branch), {f"a/c/{number}": b"x" * 800})
        session.commit(branch)
    repo.delete_branch("gone")
    commit(repo, {"a/c/2": b"2", "b": None}, "fourth")


NEW: dict[str, bytes | None] = {
    "a/c/0": b"n" * 600,
    "a/c/5": b"five",
    "e": array([3]),
    "e/c/0": b"m" * 2_000,
    "d": group(new=True),
}

Flow = Callable[[Storage, Storage], object]
"""What a user does on a storage that may fail; the other one is the same without faults."""


def commits(storage: Storage, other: Storage) -> object:
    """Open, change, commit."""
    return change(Repository.open(storage).writable_session("main"), NEW).commit("new")


def rebases(storage: Storage, other: Storage) -> object:
    """As above, and somebody else is faster, unless they have been before."""
    session = change(Repository.open(storage).writable_session("main"), NEW)
    overtakes(other)
    return session.commit("new", rebase_with=ConflictDetector())


def overtakes(storage: Storage) -> None:
    """Somebody else's commit, unless it is there."""
    rival = Repository.open(storage)
    if next(iter(rival.ancestry(branch="main"))).message != "rival":
        commit(rival, {"a/c/6": b"rival"}, "rival")


def amends(storage: Storage, other: Storage) -> object:
    """Replace the last commit."""
    return change(Repository.open(storage).writable_session("main"), NEW).amend("new")


def tags(storage: Storage, other: Storage) -> object:
    """A new tag."""
    repo = Repository.open(storage)
    repo.create_tag("new", repo.lookup_branch("side"))
    return True


def untags(storage: Storage, other: Storage) -> object:
    """A tag less."""
    Repository.open(storage).delete_tag("kept")
    return True


def resets(storage: Storage, other: Storage) -> object:
    """Another commit becomes the last one of a branch."""
    repo = Repository.open(storage)
    repo.reset_branch("side", repo.lookup_branch("main"))
    return True


def deletes(storage: Storage, other: Storage) -> object:
    """A branch less."""
    Repository.open(storage).delete_branch("side")
    return True


def configures(storage: Storage, other: Storage) -> object:
    """Another configuration."""
    config = RepositoryConfig(inline_chunk_threshold_bytes=17)
    Repository.open(storage, config=config).save_config()
    return True


def expires(storage: Storage, other: Storage) -> object:
    """Forget all commits but the newest of each branch and tag."""
    return Repository.open(storage).expire_snapshots(_future())


def collects(storage: Storage, other: Storage) -> object:
    """Delete what nothing leads to."""
    repo = Repository.open(storage)
    return repo.garbage_collect(_future(), max_consecutive_delete_failures=1)


def expires_and_collects(storage: Storage, other: Storage) -> object:
    """Both, one after the other."""
    expires(storage, other)
    return collects(storage, other)


def run_on(flow: Flow, server: S3, prefix: str) -> None:
    """The flow in a process of its own."""
    storage = server.storage(frazil, prefix)
    flow(storage, storage)


def _future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


class How(Enum):
    """What happens at the step."""

    REFUSED = "it is not done, and an error is raised"
    LOST = "it is done, and an error is raised"
    DENIED = "it is done, and its own success is taken for somebody else's"
    DOWN = "it is not done, nor is any after it"
    KILLED = "it is done, and the process ends"


class Killed(BaseException):
    """The process has ended: nothing may be done any more."""


def _raise_killed() -> None:
    raise Killed


@dataclass(frozen=True)
class Operation:
    """One operation on a storage."""

    name: str
    key: str
    conditional: bool

    def faults(self) -> list[How]:
        """What can happen to it, apart from what comes to the same."""
        if self.conditional:
            return list(How)
        if self.name in WRITES:
            return [How.REFUSED, How.LOST, How.DOWN, How.KILLED]
        return [How.REFUSED, How.DOWN]


class Spoiled(Wrapper):
    """A storage of which one operation, counted from 0, goes wrong."""

    def __init__(
        self,
        inner: Backend,
        step: int,
        how: How | None,
        kill: Callable[[], None] = _raise_killed,
    ) -> None:
        """kill: ends the process."""
        super().__init__(inner)
        self.done: list[Operation] = []
        self._step = step
        self._how = how
        self._kill = kill
        self._conditional = False

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        self._conditional = isinstance(mode, Create | Update)
        try:
            return super().put(key, data, mode=mode, content_type=content_type)
        finally:
            self._conditional = False

    @override
    def request(self, operation: str, key: str, call: Callable[[], T], sent: int = 0) -> T:
        number = len(self.done)
        self.done.append(Operation(operation, key, self._conditional))
        how = self._how if number == self._step else None
        if number > self._step and self._how is How.KILLED:
            self._kill()
        if number >= self._step and self._how is How.DOWN:
            how = How.REFUSED
        if how is None or (how is How.DENIED and not self._conditional):
            return call()
        error = StorageError(f"{operation} {key!r}: {how.value}", ErrorKind.OBJECT_STORE)
        if how is How.REFUSED:
            raise error
        response = call()
        if how is How.LOST:
            raise error
        if how is How.DENIED:
            raise PreconditionFailed(f"{key!r} has changed, by this very request")
        self._kill()
        return response


def attempt(flow: Flow, storage: Storage, other: Storage) -> object:
    """What the flow reports; None if it reports nothing, but an error of Frazil or its end."""
    with suppress(frazil.IcechunkError, Killed):
        return flow(storage, other)
    return None


def stored(storage: Storage) -> set[str]:
    """The keys of all objects that a collection may delete."""
    folders = ("chunks", "manifests", "snapshots", "transactions")
    return {found.key for folder in folders for found in storage.backend().list(folder)}


def steps(done: Sequence[Operation]) -> Iterator[tuple[int, How]]:
    """What can happen to a flow that does these operations, by the number of the step.

    Everything to a conditional put, one thing after another to the rest; with the long profile
    everything to each.
    """
    for step, operation in enumerate(done):
        faults = operation.faults()
        if not LONG and not operation.conditional:
            faults = [faults[step % len(faults)]]
        for how in faults:
            yield step, how
