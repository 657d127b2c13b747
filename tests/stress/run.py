"""Readers, writers, packers, expirers and collectors on one repository; some are killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scenario.committers import Ground, processes
from tests.stress.ground import Meeting, check_values
from tests.stress.roles import ROLES, work

CAST = {"write": 3, "read": 2, "pack": 1, "expire": 1, "collect": 1}
END_SECONDS = 600
"""After being told to stop, nobody takes so long who is alive."""


@dataclass(frozen=True)
class Outcome:
    """What was done, processes that were killed, and what must not have happened."""

    done: dict[str, int]
    kills: int
    faults: list[str]


def stress(
    ground: Ground,
    spec: int,
    enough: Callable[[Mapping[str, int], int], bool],
    *,
    cast: Mapping[str, int] = CAST,
    seed: int = 0,
    rounds_between: int = 12,
) -> Outcome:
    """Let all work until `enough` has been done and killed; then look at what is left.

    rounds_between: commits from one kill to the next.
    """
    meeting = Meeting(ground)
    meeting.create(spec)
    chance = random.Random(seed)
    kills = started = 0
    with processes() as context:
        alive: dict[str, Any] = {}

        def start(role: str) -> None:
            nonlocal started
            child = context.Process(target=work, args=(meeting, role, started))  # type: ignore[attr-defined]
            child.start()
            alive[f"{role}-{started}"] = child
            started += 1

        for role in ROLES:
            for _ in range(cast[role]):
                start(role)
        while not meeting.faults() and not enough(meeting.counts(), kills):
            if meeting.counts().get("write", 0) < (kills + 1) * rounds_between:
                time.sleep(0.02)
                continue
            name = chance.choice(sorted(alive))
            time.sleep(chance.uniform(0, 0.05))
            os.kill(alive[name].pid, signal.SIGKILL)
            alive.pop(name).join()
            meeting.forget(name)
            kills += 1
            start(name.partition("-")[0])
        meeting.stop()
        faults = []
        for name, child in alive.items():
            child.join(END_SECONDS)
            if child.exitcode is None:
                child.kill()
                faults.append(f"{name} did not come to its end")
            elif child.exitcode:
                faults.append(f"{name} ended with {child.exitcode}")
    return Outcome(meeting.counts(), kills, faults + meeting.faults() + _check(meeting))


def _check(meeting: Meeting) -> list[str]:
    """What is wrong now that all is quiet; and after everything that can go has gone."""
    repo = meeting.open()
    faults = []
    for what in ("at the end", "after a collection of all"):
        faults += check_values(repo.readonly_session("main"), meeting.reported())
        report = repo.verify("data")
        faults += [f"{what}: {finding}" for finding in report.findings]
        future = datetime.now(UTC) + timedelta(days=1)
        repo.expire_snapshots(future)
        repo.garbage_collect(future)
    return faults
