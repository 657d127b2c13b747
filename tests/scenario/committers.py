"""Many processes that commit to one branch of one repository, some of them killed.

Each process writes its own chunks of one array, commits each with a rebase, and notes in a
file what was reported to it as committed. Afterwards everything that was reported must be in
the history, and every chunk of the branch must be readable and be what its writer wrote.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import frazil
from frazil import ConflictDetector, Repository
from tests.scenario.trees import array, change, commit, get, group, keys
from tests.servers.fixtures import Cloud

COMMITS = 1_000_000
"""As many as there is time for."""


def value(writer: int, number: int) -> bytes:
    """What a writer puts into its chunk of this number: inline or in an object."""
    size = 900 if number % 2 else 20
    return (f"{writer}-{number} ".encode() * size)[:size]


@dataclass(frozen=True)
class Ground:
    """Where they meet: a folder for their notes, and for the repository unless that is elsewhere.

    cloud: the object store with the repository. A value that other processes can be given.
    """

    folder: Path
    cloud: Cloud | None = None
    name: str = "repository"

    def storage(self) -> frazil.Storage:
        """The repository's."""
        if self.cloud is None:
            return frazil.local_filesystem_storage(str(self.folder / self.name))
        found: frazil.Storage = self.cloud.storage(frazil, f"{self.folder}/{self.name}".strip("/"))
        return found

    def alone(self) -> Ground:
        """Another one beside it."""
        return replace(self, name="alone")


def create(ground: Ground, spec: int) -> Repository:
    """An empty array of 1,000 writers with many chunks each."""
    repo = Repository.create(ground.storage(), spec_version=spec)
    commit(repo, {"": group(), "a": array([1_000, COMMITS])}, "start")
    return repo


def write(ground: Ground, writer: int, commits: int) -> None:
    """The work of one process: commit, and note that it was reported."""
    repo = Repository.open(ground.storage())
    notes = os.open(ground.folder / f"notes-{writer}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(commits):
        snapshot = append(repo, writer, number)
        os.write(notes, f"{number} {snapshot}\n".encode())


def append(repo: Repository, writer: int, number: int) -> str:
    """Commit one more chunk of a writer; returns the snapshot's id."""
    session = repo.writable_session("main")
    change(session, {f"a/c/{writer}/{number}": value(writer, number)})
    return session.commit(f"{writer} {number}", rebase_with=ConflictDetector())


@contextmanager
def processes() -> Iterator[multiprocessing.context.BaseContext]:
    """How to start processes: they must not inherit the locks of this one."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["tests.scenario.committers", "tests.scenario.faults"])
    yield context


@dataclass(frozen=True)
class Result:
    """What a run found out."""

    reported: int
    in_history: int
    faults: list[str]


def check(ground: Ground) -> Result:
    """Compare what was reported with what is there."""
    repo = Repository.open(ground.storage())
    # In a history, oldest first, everybody's commits are in the order of their numbers.
    history = {item.id: item.message for item in repo.ancestry(branch="main")}
    view = repo.readonly_session("main")
    reported: dict[tuple[int, int], str] = {}
    for path in ground.folder.glob("notes-*"):
        writer = int(path.name.removeprefix("notes-"))
        for line in path.read_text().splitlines():
            number, snapshot = line.split()
            reported[writer, int(number)] = snapshot
    faults = [
        f"{writer} {number}: reported as {snapshot}, not in the history"
        for (writer, number), snapshot in reported.items()
        if history.get(snapshot) != f"{writer} {number}"
    ]
    faults += [
        f"{writer} {number}: its chunk is missing or wrong"
        for writer, number in reported
        if get(view, f"a/c/{writer}/{number}") != value(writer, number)
    ]
    committed = [tuple(map(int, text.split())) for text in history.values() if text[0].isdigit()]
    expected = {f"a/c/{writer}/{number}" for writer, number in committed}
    found = {key for key in keys(view) if "/c/" in key}
    faults += [f"{key}: in one of chunks and history only" for key in sorted(found ^ expected)]
    for key in found & expected:
        writer, number = map(int, key.split("/")[2:])
        if get(view, key) != value(writer, number):
            faults.append(f"{key}: unreadable or wrong")
    if len(set(committed)) != len(committed):
        faults.append("a commit is in the history twice")
    return Result(len(reported), len(committed), faults)


def undisturbed(ground: Ground, spec: int, *, writers: int = 6, commits: int = 15) -> Result:
    """Everybody commits so many times, and nobody dies."""
    create(ground, spec)
    with processes() as context:
        children = [
            context.Process(target=write, args=(ground, writer, commits))  # type: ignore[attr-defined]
            for writer in range(writers)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
    result = check(ground)
    faults = [f"a process ended with {c.exitcode}" for c in children if c.exitcode]
    return Result(result.reported, result.in_history, result.faults + faults)


def deadly(
    ground: Ground, spec: int, *, writers: int = 4, kills: int = 25, seed: int | None = None
) -> Result:
    """Somebody is killed again and again, and replaced; then all are."""
    create(ground, spec)
    chance = random.Random(seed)
    with processes() as context:

        def start(writer: int):  # type: ignore[no-untyped-def]
            child = context.Process(target=write, args=(ground, writer, COMMITS))  # type: ignore[attr-defined]
            child.start()
            return child

        children = {writer: start(writer) for writer in range(writers)}
        for number in range(kills):
            _wait_for_notes(ground.folder, 3, children.values())
            victim = chance.choice(list(children))
            time.sleep(chance.uniform(0, 0.05))
            os.kill(children[victim].pid, signal.SIGKILL)
            children.pop(victim).join()
            children[writers + number] = start(writers + number)
        for child in children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in children.values():
            child.join()
    result = check(ground)
    # The dead hold nothing that others wait for.
    commit(Repository.open(ground.storage()), {"after": group()}, "after")
    return result


def crowd(
    ground: Ground, spec: int, *, writers: int = 100, commits: int = 5, children: int = 4
) -> tuple[Result, float]:
    """Many writers, as threads of some processes, append a region of one array each.

    Returns as well how many times as many bytes they wrote as one writer does who makes the
    same commits one after another: see `stored_bytes`.
    """
    create(ground, spec)
    with processes() as context:
        started = [
            context.Process(  # type: ignore[attr-defined]
                target=write_in_threads, args=(ground, range(i, writers, children), commits)
            )
            for i in range(children)
        ]
        for child in started:
            child.start()
        for child in started:
            child.join()
    result = check(ground)
    faults = [f"a process ended with {c.exitcode}" for c in started if c.exitcode]
    repo = create(ground.alone(), spec)
    for number in range(commits):
        for writer in range(writers):
            append(repo, writer, number)
    ratio = stored_bytes(ground) / stored_bytes(ground.alone())
    return Result(result.reported, result.in_history, result.faults + faults), ratio


def write_in_threads(ground: Ground, writers: range, commits: int) -> None:
    """The work of a process of several writers, each of which opens the repository itself."""
    with ThreadPoolExecutor(len(writers)) as threads:
        for done in [threads.submit(write, ground, writer, commits) for writer in writers]:
            done.result()


def stored_bytes(ground: Ground) -> int:
    """The bytes of all objects of the repository; of files with several names once.

    A repository keeps all that was ever written, lost tries included, apart from what is
    replaced in place (`repo`, whose old versions are kept under `overwritten/`, and in spec 1
    the files of branches, of a few bytes each).
    """
    if ground.cloud is not None:
        return sum(found.size_bytes for found in ground.storage().list_objects_metadata())
    found = [p.stat() for p in (ground.folder / ground.name).rglob("*") if p.is_file()]
    return sum({status.st_ino: status.st_size for status in found}.values())


def _wait_for_notes(folder: Path, count: int, children: Iterable[Any]) -> None:
    """Until so many more commits have been reported, to whomever."""

    def size() -> int:
        return sum(path.stat().st_size for path in folder.glob("notes-*"))

    enough = size() + count * len("0 1CECHNKREP0F1RSTCMT0\n")
    while size() < enough and any(child.is_alive() for child in children):
        time.sleep(0.005)
