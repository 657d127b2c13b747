"""Object stores over a bad network: what is reported is so, and a passing fault is not noticed."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

import frazil
from frazil import StorageRetriesSettings, StorageSettings, StorageTimeoutSettings
from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import CREATE, Backend, PreconditionFailed, Update
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
from tests.servers.s3 import BUCKET, S3

SETTINGS = StorageSettings(retries=StorageRetriesSettings(4, 1, 5))
SHORT = StorageTimeoutSettings(read_timeout_ms=700, operation_attempt_timeout_ms=1500)
"""For faults in which nothing comes any more."""
DATA = bytes(range(256)) * 400

FAULTS = {
    "503": refuse(503),
    "429": refuse(429),
    "500": refuse(500),
    "reset-before": RESET_BEFORE,
    "reset-after": RESET_AFTER,
    "close-before": Fault(forward=False, close=True),
    "close-after": CLOSE_AFTER,
    "truncate": TRUNCATE,
    "stall": STALL,
}


def ranges(backend: Backend) -> None:
    assert backend.get_ranges("chunks/a", [(5, 50_000), (9, 10)]) == [DATA[5:50_000], DATA[9:10]]


def whole(backend: Backend) -> None:
    found = backend.fetch("chunks/a")
    assert found is not None
    assert found.data == backend.get("chunks/a") == DATA


def information(backend: Backend) -> None:
    assert backend.info("chunks/a").size == len(DATA)
    assert backend.exists("chunks/a")


def listing(backend: Backend) -> None:
    assert {info.key for info in backend.list("chunks")} == {"chunks/a", "chunks/b"}


def overwriting(backend: Backend) -> None:
    backend.put("chunks/new", b"new")
    assert backend.get("chunks/new") == b"new"


def creating(backend: Backend) -> None:
    version = backend.put("refs/tag.x/ref.json", b"mine", mode=CREATE)
    found = backend.fetch("refs/tag.x/ref.json")
    assert found is not None
    assert (found.data, found.version) == (b"mine", version)


def updating(backend: Backend) -> None:
    before = backend.fetch("repo")
    assert before is not None
    version = backend.put("repo", b"updated", mode=Update(before.version))
    found = backend.fetch("repo")
    assert found is not None
    assert (found.data, found.version) == (b"updated", version)


def losing(backend: Backend) -> None:
    before = backend.fetch("repo")
    assert before is not None
    backend.put("repo", b"by somebody else")
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"mine", mode=Update(before.version))
    with pytest.raises(PreconditionFailed):
        backend.put("chunks/a", b"mine", mode=CREATE)
    assert backend.get("repo") == b"by somebody else"
    assert backend.get("chunks/a") == DATA


def copying(backend: Backend) -> None:
    backend.copy("chunks/a", "overwritten/a")
    assert backend.get("overwritten/a") == DATA


def deleting(backend: Backend) -> None:
    backend.delete(["chunks/a", "chunks/b", "chunks/never"])
    assert list(backend.list("chunks")) == []


OPERATIONS: dict[str, Callable[[Backend], None]] = {
    check.__name__: check
    for check in (
        ranges,
        whole,
        information,
        listing,
        overwriting,
        creating,
        updating,
        losing,
        copying,
        deleting,
    )
}


# One operation stands for all where a fault is told apart only by its status or takes long.
CASES = [
    (fault, operation)
    for fault in FAULTS
    for operation in OPERATIONS
    if fault not in ("429", "500", "stall") or operation in ("whole", "listing", "updating")
]


@pytest.fixture
def bad(behind: tuple[S3, Proxy], request: pytest.FixtureRequest) -> tuple[Backend, Proxy]:
    """A backend behind a proxy, with three objects."""
    server, proxy = behind
    storage: frazil.Storage = server.storage(frazil, f"faults/{secrets.token_hex(8)}")
    stalls = "stall" in request.node.name
    backend = storage.backend(SETTINGS.merge(StorageSettings(timeouts=SHORT if stalls else None)))
    for key, data in (("chunks/a", DATA), ("chunks/b", b"b"), ("repo", b"the first state")):
        backend.put(key, data)
    proxy.reset()
    return backend, proxy


def each_once(fault: Fault) -> Plan:
    """Every request fails the first time it is made."""
    failed = set()

    def plan(request: Request) -> Fault | None:
        what = request.method, request.path, request.headers.get("range")
        if what in failed:
            return None
        failed.add(what)
        return fault

    return plan


@pytest.mark.parametrize(("fault", "operation"), CASES)
def test_a_fault_that_passes_is_not_noticed(
    bad: tuple[Backend, Proxy], operation: str, fault: str
) -> None:
    backend, proxy = bad
    proxy.plan = each_once(FAULTS[fault])
    OPERATIONS[operation](backend)
    assert any(request.fault is FAULTS[fault] for request in proxy.requests)


@pytest.mark.parametrize("fault", ["reset-after", "close-after"])
@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answer_that_is_lost_again_and_again(
    bad: tuple[Backend, Proxy], behind: tuple[S3, Proxy], fault: str, with_ids: bool
) -> None:
    backend, proxy = bad
    settings = SETTINGS.merge(StorageSettings(unsafe_use_metadata=with_ids))
    storage: frazil.Storage = behind[0].storage(frazil, f"faults/{secrets.token_hex(8)}")
    backend = storage.backend(settings)

    def plan(request: Request) -> Fault | None:
        return FAULTS[fault] if request.method == "PUT" else None

    proxy.plan = plan
    version = backend.put("repo", b"one", mode=CREATE)
    version = backend.put("repo", b"two", mode=Update(version))
    puts = [request for request in proxy.requests if request.method == "PUT"]
    assert len(puts) == 8  # all four tries of each, then it was looked for
    assert all(("x-amz-meta-icechunkwriteid" in put.headers) is with_ids for put in puts)
    found = backend.fetch("repo")
    assert found is not None
    assert (found.data, found.version) == (b"two", version)


def test_a_put_that_was_made_and_overtaken_is_not_taken_for_the_other_one(
    bad: tuple[Backend, Proxy], s3: S3
) -> None:
    backend, proxy = bad
    before = backend.fetch("repo")
    assert before is not None
    other = s3.client()
    puts = 0

    def plan(request: Request) -> Fault | None:
        nonlocal puts
        if request.method != "PUT":
            return None
        puts += 1
        if puts == 2:
            other.put(request.path.removeprefix(f"/{BUCKET}/"), b"by somebody else")
        return RESET_AFTER if puts == 1 else None

    proxy.plan = plan
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"mine", mode=Update(before.version))
    assert backend.get("repo") == b"by somebody else"


def test_a_fault_that_stays_is_reported(bad: tuple[Backend, Proxy]) -> None:
    backend, proxy = bad
    proxy.plan = lambda request: refuse(503)
    with pytest.raises(StorageError, match=r"'chunks/a' in s3://frazil/faults/.*503") as caught:
        backend.get("chunks/a")
    assert caught.value.kind == ErrorKind.THROTTLED
    assert len(proxy.requests) == 4
    proxy.plan = lambda request: RESET_BEFORE
    with pytest.raises(StorageError, match="error sending request") as caught:
        backend.put("repo", b"", mode=CREATE)
    assert not isinstance(caught.value, PreconditionFailed)
    proxy.reset()
    assert backend.get("repo") == b"the first state"


def test_what_cannot_be_found_out_is_not_guessed(bad: tuple[Backend, Proxy]) -> None:
    backend, proxy = bad
    before = backend.fetch("repo")
    assert before is not None

    def plan(request: Request) -> Fault | None:
        return RESET_AFTER if request.method == "PUT" else RESET_BEFORE

    proxy.plan = plan
    with pytest.raises(StorageError) as caught:
        backend.put("repo", b"mine", mode=Update(before.version))
    assert not isinstance(caught.value, PreconditionFailed)
