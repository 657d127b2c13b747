"""Where the processes of a stress meet, and what they tell each other, in files of a folder.

A collection may delete what is older than its cut-off and not referred to. Whoever reads or writes
says which version that is based on, before any other may think that nobody does; expirations and
collections stay behind the oldest of these, and never run at the same time. So they are safe
however slow anybody is: nothing here depends on how long something takes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import frazil
from frazil import Repository
from tests.scenario.committers import Ground
from tests.scenario.trees import array, commit, get, group

SLOTS = 5
"""Chunks of each writer, which it overwrites in turn."""
WRITERS = 10_000
MARGIN = timedelta(seconds=1)
"""Object stores tell times to the second."""

OPENING = "opening"
"""What somebody notes who does not know yet which version it will be."""


def value(writer: int, number: int) -> bytes:
    """What a writer puts into a slot: inline, into a pack, or large."""
    size = (20, 900, 5_000)[number % 3]
    return (f"{writer}-{number} ".encode() * size)[:size]


@dataclass(frozen=True)
class Meeting:
    """A repository, and a folder for notes. A value that processes are given."""

    ground: Ground

    @property
    def folder(self) -> Path:
        """Where the notes are."""
        return self.ground.folder

    def create(self, spec: int) -> None:
        """Make the repository: an array with a row for each writer."""
        for name in ("sessions", "reported", "faults", "done"):
            (self.folder / name).mkdir()
        repo = Repository.create(self.ground.storage(), spec_version=spec)
        commit(repo, {"": group(), "a": array([WRITERS, SLOTS])}, "start")

    def open(self) -> Repository:
        """The repository."""
        return Repository.open(self.ground.storage())

    # Who is at work

    @contextmanager
    def in_use(self, name: str, repo: Repository) -> Iterator[None]:
        """Versions from the tip as it is now on are in use while the block runs."""
        note = self.folder / "sessions" / name
        _write(note, OPENING)
        try:
            _write(note, repo.lookup_snapshot(repo.lookup_branch("main")).written_at.isoformat())
            yield
        finally:
            note.unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Somebody is dead, and uses nothing any more.

        What a dead packer has stored may be taken up by the next one: it goes on being used.
        """
        note = self.folder / "sessions" / name
        if not name.startswith("pack-") or (note.exists() and note.read_text() == OPENING):
            note.unlink(missing_ok=True)
        if name.startswith("pack-"):
            # Its lease would keep everything for minutes; there is no other holder.
            backend = self.ground.storage().backend()
            backend.delete([info.key for info in backend.list("frazil/leases")])

    def taken_up(self, name: str) -> None:
        """A packer has come to its end: nothing of those before it is left to be taken up."""
        for note in (self.folder / "sessions").glob("pack-*"):
            if note.name != name:
                note.unlink(missing_ok=True)

    @contextmanager
    def upkeep(self) -> Iterator[datetime]:
        """Be the only one who expires or collects; up to which time that is safe."""
        with open(self.folder / "upkeep.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back by the death of its holder
            yield self._unused() - MARGIN

    def _unused(self) -> datetime:
        while not self.stopped:
            now, texts = datetime.now(UTC), []
            for path in (self.folder / "sessions").iterdir():
                try:
                    texts.append(path.read_text())
                except FileNotFoundError:
                    continue  # it has just come to its end
            if OPENING not in texts:
                return min([now, *map(datetime.fromisoformat, texts)])
            time.sleep(0.005)
        return datetime(1970, 2, 1, tzinfo=UTC)

    # What has happened

    def report(self, writer: int, number: int) -> None:
        """The commit of this number was reported to its writer."""
        _append(self.folder / "reported" / str(writer), f"{number}\n")

    def reported(self) -> dict[tuple[int, int], int]:
        """By writer and slot, the last number whose commit was reported."""
        found = {}
        for path in (self.folder / "reported").iterdir():
            for line in path.read_text().splitlines():
                found[int(path.name), int(line) % SLOTS] = int(line)
        return found

    def count(self, what: str, number: int = 1) -> None:
        """So much was done: rounds of a role, versions expired, chunk objects deleted."""
        _append(self.folder / "done" / what, "." * number)

    def counts(self) -> dict[str, int]:
        """What has been done."""
        return {path.name: path.stat().st_size for path in (self.folder / "done").iterdir()}

    def fault(self, name: str, text: str) -> None:
        """Something that must not happen has."""
        _append(self.folder / "faults" / name, text + "\n")

    def faults(self) -> list[str]:
        """All that was noted."""
        paths = sorted((self.folder / "faults").iterdir())
        return [f"{path.name}: {path.read_text()}" for path in paths]

    def stop(self) -> None:
        """Let all come to their end."""
        (self.folder / "stop").touch()

    @property
    def stopped(self) -> bool:
        """Whether that is so."""
        return (self.folder / "stop").exists()


def check_values(view: frazil.Session, least: dict[tuple[int, int], int]) -> list[str]:
    """What is wrong in a version that shows these numbers or later ones."""
    faults = []
    for (writer, slot), number in least.items():
        found = get(view, f"a/c/{writer}/{slot}")
        if found is None:
            faults.append(f"chunk {slot} of writer {writer} is gone, {number} was reported")
            continue
        text = found.split(b" ")[0].decode().partition("-")[2]
        held = int(text) if text.isdigit() else -1
        if found != value(writer, held) or held % SLOTS != slot:
            faults.append(f"chunk {slot} of writer {writer} holds {found[:40]!r}")
        elif held < number:
            faults.append(f"chunk {slot} of writer {writer} holds {held}, {number} was reported")
    return faults


def _write(path: Path, text: str) -> None:
    aside = path.parent.parent / f"{path.name}.part"
    aside.write_text(text)
    aside.replace(path)


def _append(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, text.encode())
    os.close(handle)
