"""How processes that share work sign in to a bucket."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from uuid import uuid4

import numpy as np
import pytest
import zarr

import frazil
from frazil.errors import IcechunkError
from tests.servers.s3 import BUCKET, KEY, S3, SECRET

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
METHODS = sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods()))


def give() -> frazil.S3StaticCredentials:
    """Where a user's program would ask a service."""
    return frazil.S3StaticCredentials(KEY, SECRET)


def write_part(pickled: bytes, part: int) -> bytes:
    """What a worker process does."""
    fork: frazil.ForkSession = pickle.loads(pickled)
    zarr.open_array(fork.store, path="a")[part] = part + 1
    return pickle.dumps(fork)


def attempt(pickled: bytes, part: int) -> tuple[bytes | None, str, str]:
    """As `write_part`, or the kind and the text of the error."""
    try:
        return write_part(pickled, part), "", ""
    except IcechunkError as error:
        return None, error.kind, str(error)


def repository(s3: S3, **credentials: object) -> frazil.Repository:
    repo = frazil.Repository.create(
        frazil.s3_storage(
            bucket=BUCKET,
            prefix=uuid4().hex,
            region="us-east-1",
            endpoint_url=f"http://{s3.address}",
            allow_http=True,
            force_path_style=True,
            **credentials,  # type: ignore[arg-type]
        )
    )
    with repo.transaction("main", message="empty") as store:
        zarr.create_array(store, name="a", shape=(2,), chunks=(1,), dtype="i4")
    return repo


def written_by_processes(repo: frazil.Repository, method: str) -> list[int]:
    session = repo.writable_session("main")
    pickled = pickle.dumps(session.fork())
    assert SECRET.encode() not in pickled
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        forks = [pickle.loads(fork) for fork in pool.map(write_part, [pickled] * 2, range(2))]
    session.merge(*forks)
    session.commit("parts")
    store = repo.readonly_session("main").store
    return [int(value) for value in zarr.open_array(store, path="a", mode="r")[:]]


@pytest.mark.parametrize("method", METHODS)
def test_processes_ask_a_function(s3: S3, method: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert written_by_processes(repository(s3, get_credentials=give), method) == [1, 2]
    assert SECRET not in caplog.text


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the server, as its users have them in their environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def test_processes_look_at_the_environment(s3: S3, environment: None) -> None:
    assert written_by_processes(repository(s3), METHODS[0]) == [1, 2]


@pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
def test_forked_processes_know_the_keys(s3: S3) -> None:
    repo = repository(s3, access_key_id=KEY, secret_access_key=SECRET)
    assert written_by_processes(repo, "fork") == [1, 2]


def test_keys_stay_in_their_process_unless_allowed(s3: S3) -> None:
    repo = repository(s3, access_key_id=KEY, secret_access_key=SECRET)
    session = repo.writable_session("main")
    without = pickle.dumps(session.fork())
    frazil.credentials.allow_secrets_in_pickles()
    try:
        carried = pickle.dumps(session.fork())
    finally:
        frazil.credentials.allow_secrets_in_pickles(False)
    assert SECRET.encode() not in without
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        nothing, kind, message = pool.submit(attempt, without, 0).result()
        fork, _, _ = pool.submit(attempt, carried, 0).result()
    assert nothing is None
    assert kind == "invalid-credentials"
    assert "get_credentials=… or from_env=True" in message
    assert fork is not None
    assert SECRET.encode() not in fork
    session.merge(pickle.loads(fork))
    session.commit("part")


def test_a_url_is_enough(s3: S3, environment: None) -> None:
    url = s3.url(uuid4().hex)
    repo = frazil.open(url, create=True)
    with repo.transaction("main", message="one") as store:
        zarr.create_array(store, name="a", data=np.arange(3))
    session = frazil.open(url, branch="main", writable=True)
    zarr.open_array(session.store, path="a")[0] = 7
    session.commit("two")
    store = frazil.open(url, branch="main").store
    assert zarr.open_array(store, path="a", mode="r")[0] == 7
