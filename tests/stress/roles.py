"""What each process of a stress does, again and again, until it is told to stop or is killed."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from frazil import ConflictDetector, Repository
from frazil.errors import ConflictError
from tests.scenario.trees import change
from tests.stress.ground import SLOTS, Meeting, check_values, value

Round = Callable[[Meeting, Repository, str, int], None]


def work(meeting: Meeting, role: str, number: int) -> None:
    """The life of a process; number: nobody else has it, or had."""
    name = f"{role}-{number}"
    try:
        repo = meeting.open()
        for i in count():
            if meeting.stopped:
                return
            ROLES[role](meeting, repo, name, i)
            meeting.count(role)
    except BaseException:
        meeting.fault(name, traceback.format_exc())
        sys.exit(1)


def write(meeting: Meeting, repo: Repository, name: str, i: int) -> None:
    """Overwrite the next of its chunks, on top of what others have done meanwhile."""
    writer = int(name.partition("-")[2])
    with meeting.in_use(name, repo):
        session = repo.writable_session("main")
        change(session, {f"a/c/{writer}/{i % SLOTS}": value(writer, i)})
        session.commit(name, rebase_with=ConflictDetector(), rebase_tries=10_000)
    meeting.report(writer, i)


def read(meeting: Meeting, repo: Repository, name: str, i: int) -> None:
    """Whatever was reported before is there; with caches, and every other time without."""
    least = meeting.reported()
    if i % 2:
        repo = meeting.open()
    with meeting.in_use(name, repo):
        for fault in check_values(repo.readonly_session("main"), least):
            meeting.fault(name, fault)


def pack(meeting: Meeting, repo: Repository, name: str, i: int) -> None:
    """Gather small chunks in packs, or cut the manifests anew."""
    # A conflict: somebody was faster at each of many tries.
    with meeting.in_use(name, repo), suppress(ConflictError):
        if i % 2:
            repo.rewrite_manifests(name, branch="main")
        else:
            repo.repack(name, branch="main")
            meeting.taken_up(name)
    time.sleep(0.2)


def expire(meeting: Meeting, repo: Repository, name: str, i: int) -> None:
    """Forget all versions that nobody uses."""
    with meeting.upkeep() as before, suppress(ConflictError):
        meeting.count("expired", len(repo.expire_snapshots(before)))
    time.sleep(0.2)


def collect(meeting: Meeting, repo: Repository, name: str, i: int) -> None:
    """Delete what nobody uses."""
    with meeting.upkeep() as before, suppress(ConflictError):
        meeting.count("deleted", repo.garbage_collect(before).chunks_deleted)
    time.sleep(0.2)


ROLES: dict[str, Round] = {
    "write": write,
    "read": read,
    "pack": pack,
    "expire": expire,
    "collect": collect,
}
