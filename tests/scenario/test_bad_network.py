"""Commits to S3 through a proxy that spoils requests, or kills who sends them."""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import frazil
from frazil import (
    Repository,
    RepositoryConfig,
    Storage,
    StorageRetriesSettings,
    StorageSettings,
    StorageTimeoutSettings,
)
from frazil.errors import StorageError
from tests.scenario import faults
from tests.scenario.committers import Ground, deadly, processes
from tests.scenario.faults import LONG, Flow, Seen, build, seen, stored
from tests.servers.proxy import (
    CLOSE_AFTER,
    RESET_AFTER,
    RESET_BEFORE,
    STALL,
    TRUNCATE,
    Fault,
    Plan,
    Proxy,
    Request,
    refuse,
)
from tests.servers.s3 import S3

IMPATIENT = RepositoryConfig(
    storage=StorageSettings(
        retries=StorageRetriesSettings(max_tries=6, initial_backoff_ms=1, max_backoff_ms=5),
        timeouts=StorageTimeoutSettings(read_timeout_ms=500),
    )
)
"""Of a repository whose requests are tried again soon."""

FAULTS = {
    "503": refuse(503),
    "reset before": RESET_BEFORE,
    "truncated": TRUNCATE,
    "reset after": RESET_AFTER,
    "429": refuse(429),
    "stalled": STALL,
    "close after": CLOSE_AFTER,
    "500": refuse(500),
}

READS = ("GET", "HEAD")


@dataclass
class Network:
    """A repository on S3: behind the proxy, as its user has it, and without it."""

    proxy: Proxy
    server: S3
    prefix: str
    near: Storage

    @property
    def far(self) -> Storage:
        found: Storage = self.server.storage(frazil, self.prefix)
        return found

    def seen(self) -> Seen:
        return seen(self.near)


@pytest.fixture
def anew(behind: tuple[S3, Proxy], s3: S3, spec: int) -> Callable[[], Network]:
    """Makes a repository; those that it makes are the same."""
    server, proxy = behind

    def make() -> Network:
        prefix = f"network/{secrets.token_hex(8)}"
        near = s3.storage(frazil, prefix)
        build(near, spec)
        Repository.open(near, config=IMPATIENT).save_config()
        proxy.reset()
        return Network(proxy, server, prefix, near)

    return make


def nth(number: int, fault: Fault) -> Plan:
    """Spoil one request, counted from 0."""
    numbers = iter(range(10**9))
    return lambda request: fault if next(numbers) == number else None


def nth_conditional(number: int, fault: Fault) -> Plan:
    """Spoil one of the writes that have a condition."""
    numbers = iter(range(10**9))

    def plan(request: Request) -> Fault | None:
        return fault if is_conditional(request) and next(numbers) == number else None

    return plan


def is_conditional(request: Request) -> bool:
    return request.method == "PUT" and bool({"if-match", "if-none-match"} & set(request.headers))


def plans(requests: list[Request]) -> dict[str, Plan]:
    """Each fault at each write with a condition, one fault after another at all requests."""
    named = list(FAULTS.items())
    found = {
        f"{name}, conditional write {number}": nth_conditional(number, fault)
        for number in range(sum(map(is_conditional, requests)))
        for name, fault in named
    }
    for number in range(len(requests)):
        for name, fault in named if LONG else [named[number % len(named)]]:
            found[f"{name}, request {number}"] = nth(number, fault)
    return found


def test_a_commit_survives_any_fault(anew: Callable[[], Network], spec: int) -> None:
    network = anew()
    base = Repository.open(network.near).lookup_branch("main")
    faults.commits(network.far, network.near)
    requests = list(network.proxy.requests)
    after = network.seen()
    assert any(map(is_conditional, requests))
    for what, plan in plans(requests).items():
        Repository.open(network.near).reset_branch("main", base)
        network.proxy.reset()
        network.proxy.plan = plan
        id_ = faults.commits(network.far, network.near)
        assert [r for r in network.proxy.requests if r.fault != Fault()], what
        network.proxy.reset()
        repo = Repository.open(network.near)
        assert repo.lookup_branch("main") == id_, what
        assert network.seen().branches["main"] == after.branches["main"], what
    assert network.seen() == after


LOST = {name: FAULTS[name] for name in ("reset before", "reset after", "close after", "503")}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_repository_is_created_though_an_answer_is_lost(
    behind: tuple[S3, Proxy], spec: int, fault: Fault
) -> None:
    server, proxy = behind
    for number in range(3):  # two to see whether conditions are obeyed
        storage = server.storage(frazil, f"created/{secrets.token_hex(8)}")
        proxy.reset()
        proxy.plan = nth_conditional(number, fault)
        repo = Repository.create(storage, IMPATIENT, spec_version=spec)
        assert any(request.fault == fault for request in proxy.requests)
        assert [item.message for item in repo.ancestry(branch="main")] == ["Repository initialized"]


@pytest.mark.parametrize(
    "flow",
    [faults.tags, faults.untags, faults.resets, faults.configures],
    ids=lambda flow: flow.__name__,
)
def test_an_edit_is_done_though_its_answer_is_lost(anew: Callable[[], Network], flow: Flow) -> None:
    network = anew()
    flow(network.near, network.near)
    after = network.seen()
    for name, fault in LOST.items():
        network = anew()
        network.proxy.plan = nth_conditional(0, fault)
        flow(network.far, network.near)
        assert any(request.fault == fault for request in network.proxy.requests)
        network.proxy.reset()
        assert network.seen() == after, name


def test_an_expiration_and_a_collection_survive_any_fault(anew: Callable[[], Network]) -> None:
    network = anew()
    faults.expires_and_collects(network.far, network.near)
    number, after, left = len(network.proxy.requests), network.seen(), len(stored(network.near))
    chance = random.Random(4)
    for name, fault in FAULTS.items():
        network = anew()
        network.proxy.plan = nth(chance.randrange(number), fault)
        faults.expires_and_collects(network.far, network.near)
        network.proxy.reset()
        assert network.seen() == after, name
        assert len(stored(network.near)) == left, name


def test_a_bad_day(anew: Callable[[], Network]) -> None:
    """One of four requests is spoilt, in any way."""
    network = anew()
    chance = random.Random(5)
    kinds = [fault for fault in FAULTS.values() if fault is not STALL]
    network.proxy.plan = lambda request: chance.choice(kinds) if chance.random() < 0.25 else None
    for _ in range(5):
        faults.commits(network.far, network.near)
    network.proxy.reset()
    messages = [message for message, _ in network.seen().branches["main"]]
    assert messages[:6] == ["new"] * 5 + ["fourth"]


@pytest.mark.parametrize("fault", [refuse(503), RESET_BEFORE], ids=["503", "reset"])
def test_a_storage_that_is_down_is_an_error(anew: Callable[[], Network], fault: Fault) -> None:
    network = anew()
    before = network.seen()
    session = Repository.open(network.far).writable_session("main")
    faults.change(session, faults.NEW)
    network.proxy.plan = lambda request: fault
    with pytest.raises(StorageError):
        session.commit("new")
    network.proxy.reset()
    assert network.seen() == before
    session.commit("new")
    assert network.seen().branches["main"][0][0] == "new"


def killed_at(network: Network, flow: Flow, step: int, arrives: bool) -> None:
    """Kill a process when it has sent its nth request that changes something.

    arrives: whether the server gets that request.
    """
    numbers = iter(range(10**9))

    def plan(request: Request) -> Fault | None:
        if request.method in READS or next(numbers) != step:
            return None
        os.kill(process.pid, signal.SIGKILL)
        return None if arrives else Fault(forward=False, close=True)

    network.proxy.reset()
    with processes() as context:
        process = context.Process(  # type: ignore[attr-defined]
            target=faults.run_on, args=(flow, network.server, network.prefix)
        )
        network.proxy.plan = plan
        process.start()
        process.join()
    network.proxy.reset()
    assert process.exitcode == -signal.SIGKILL


def changing(requests: list[Request]) -> int:
    return sum(request.method not in READS for request in requests)


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")


@needs_kill
def test_a_process_killed_at_each_step_of_a_commit(anew: Callable[[], Network]) -> None:
    network = anew()
    base, before = Repository.open(network.near).lookup_branch("main"), network.seen()
    faults.commits(network.far, network.near)
    last, after = changing(network.proxy.requests) - 1, network.seen()
    ends = {}
    for step, arrives in [*((step, True) for step in range(last + 1)), (last, False)]:
        Repository.open(network.near).reset_branch("main", base)
        killed_at(network, faults.commits, step, arrives)
        found = network.seen()
        assert found in (before, after)
        ends[step, arrives] = found == after
    assert [step for step, done in ends.items() if done] == [(last, True)]


@needs_kill
def test_a_process_killed_while_it_cleans_up(anew: Callable[[], Network]) -> None:
    network = anew()
    before = network.seen()
    faults.expires_and_collects(network.far, network.near)
    count, after = changing(network.proxy.requests), network.seen()
    left = len(stored(network.near))
    for step in range(count) if LONG else range(1, count, 3):
        network = anew()
        killed_at(network, faults.expires_and_collects, step, True)
        assert network.seen().is_part_of(before)
        faults.expires_and_collects(network.near, network.near)
        assert network.seen() == after
        assert len(stored(network.near)) == left


@needs_kill
def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, s3: S3) -> None:
    result = deadly(Ground(tmp_path, s3), 2, writers=3, kills=3)
    assert result.faults == []
    assert result.in_history >= result.reported > 0
