"""Refreshed credentials: few calls, however many ask; nobody is left waiting or in the dark."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import obstore
import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from frazil import credentials as c
from frazil.errors import StorageError
from frazil.storage.pool import map_parallel
from frazil.storage.refreshing import (
    LONGEST_HOLD,
    TRIES,
    Refresher,
    azure_provider,
    gcs_provider,
    refresher_of,
    s3_provider,
)

HIDDEN = "hush-Z9"
START = 1_800_000_000.0

calls: list[str] = []
"""One entry for each call of a function below, by its argument."""


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def _soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


# Functions as users write them; `name` makes each test's one another function.


def give_s3(name: str) -> c.S3StaticCredentials:
    calls.append(name)
    return c.S3StaticCredentials("key-id", HIDDEN, "session", _soon(3600))


def give_gcs(name: str) -> c.GcsBearerCredential:
    calls.append(name)
    return c.GcsBearerCredential(f"bearer-{len(calls)}", expires_after=_soon(3600))


def give_azure(name: str, kind: str) -> Any:
    calls.append(name)
    return getattr(c.AzureRefreshableCredential, kind)("?a=b", expires_after=_soon(3600))


def give_with_requests(name: str) -> c.S3StaticCredentials:
    obstore.put(obstore.store.MemoryStore(), "a", b"b")
    return give_s3(name)


def fail(name: str) -> c.S3StaticCredentials:
    calls.append(name)
    raise RuntimeError(f"the token {HIDDEN} was refused")


def _own(function: Callable[..., Any], *arguments: object) -> Any:
    return partial(function, uuid.uuid4().hex, *arguments)


# With a clock of its own.


@dataclass
class Scene:
    """A function whose results are scripted, and the time."""

    now: float = START
    script: list[object] = field(default_factory=list)
    called_at: list[float] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def function(self) -> object:
        self.called_at.append(self.now)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def credential(self, number: int, lasts: float | None) -> c.GcsBearerCredential:
        expires = None if lasts is None else datetime.fromtimestamp(self.now + lasts, UTC)
        return c.GcsBearerCredential(f"bearer-{number}", expires_after=expires)

    def refresher(self) -> Refresher:
        return Refresher(
            self.function, c.GcsBearerCredential, clock=lambda: self.now, sleep=self.slept.append
        )


@pytest.mark.parametrize(
    ("lasts", "kept"), [(3600, 3300), (1500, 1200), (900, 720), (10, 8), (None, 3600), (-5, 10)]
)
def test_kept_until_shortly_before_the_expiry(lasts: float | None, kept: float) -> None:
    scene = Scene()
    scene.script = [scene.credential(1, lasts), scene.credential(2, 10_000)]
    refresher = scene.refresher()
    for now in (START, START + kept / 2, START + kept - 0.5):
        scene.now = now
        found, until = refresher.get()
        assert (found.bearer, until) == ("bearer-1", START + kept)
    scene.now = START + kept
    assert refresher.get()[0].bearer == "bearer-2"
    assert scene.called_at == [START, START + kept]


def test_a_function_that_fails_is_tried_again() -> None:
    scene = Scene()
    scene.script = [OSError(), OSError(), scene.credential(1, 3600)]
    assert scene.refresher().get()[0].bearer == "bearer-1"
    assert len(scene.slept) == 2
    assert 0.1 <= scene.slept[0] <= 0.2 <= scene.slept[1] <= 0.4


def test_a_function_that_keeps_failing_is_left_alone_for_longer_and_longer() -> None:
    scene = Scene(script=[OSError(HIDDEN) for _ in range(10_000)])
    refresher = scene.refresher()
    for _ in range(4 * 3600):  # somebody asks each second for four hours
        with pytest.raises(StorageError):
            refresher.get()
        scene.now += 1
    rounds = len(scene.called_at) // TRIES
    assert rounds == pytest.approx(4 * 3600 / LONGEST_HOLD, abs=10)
    scene.script = [scene.credential(1, 3600)]
    scene.now += LONGEST_HOLD
    assert refresher.get()[0].bearer == "bearer-1"


def test_credentials_are_used_while_they_last_if_there_are_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.script = [scene.credential(1, 3600), *[OSError(HIDDEN)] * 30]
    refresher = scene.refresher()
    refresher.get()
    scene.now = START + 3400
    with caplog.at_level(logging.WARNING):
        found, until = refresher.get()
    assert found.bearer == "bearer-1"
    assert until == scene.now + 1  # that is when the function is called again
    assert "used while they last" in caplog.text
    assert HIDDEN not in caplog.text
    scene.now = START + 3600
    with pytest.raises(StorageError, match="no credentials"):
        refresher.get()


def test_the_error_names_the_function_and_no_secret() -> None:
    with pytest.raises(StorageError) as caught:
        Refresher(partial(fail, HIDDEN), c.S3StaticCredentials, sleep=lambda _: None).get()
    message = str(caught.value)
    assert f"the function {__name__}.fail, given as get_credentials" in message
    assert f"failed {TRIES} times with RuntimeError" in message
    assert HIDDEN not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_what_is_no_credential_is_not_asked_for_again() -> None:
    scene = Scene(script=[HIDDEN])
    with pytest.raises(StorageError, match="returned str instead of GcsBearer") as caught:
        scene.refresher().get()
    assert HIDDEN not in str(caught.value)


def test_credentials_that_came_along_are_used_first_and_once() -> None:
    scene = Scene()
    brought = scene.credential(1, None)
    scene.script = [scene.credential(2, 3600)]
    refresher = scene.refresher()
    refresher.offer(brought)
    assert refresher.get()[0] == brought
    scene.now += 3600
    assert refresher.get()[0].bearer == "bearer-2"
    refresher.offer(brought)
    assert refresher.get()[0].bearer == "bearer-2"


def test_expired_credentials_that_came_along_are_not_used() -> None:
    scene = Scene()
    scene.script = [scene.credential(2, 3600)]
    refresher = scene.refresher()
    refresher.offer(scene.credential(1, -1))
    assert refresher.get()[0].bearer == "bearer-2"


# Threads.


def test_threads_that_ask_at_once_share_one_call_and_its_failure() -> None:
    entered, leave = threading.Event(), threading.Event()
    count = []

    def function() -> c.GcsBearerCredential:
        count.append(1)
        entered.set()
        leave.wait(30)
        raise OSError

    refresher = Refresher(function, c.GcsBearerCredential, sleep=lambda _: None)
    errors: list[StorageError] = []

    def ask() -> None:
        try:
            refresher.get()
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    assert entered.wait(30)
    leave.set()
    for thread in threads:
        thread.join()
    assert len(count) == TRIES
    assert len({id(error) for error in errors}) == 50


def test_fifty_threads_with_ten_providers_make_one_call() -> None:
    function = _own(give_s3)
    # Ten values, as if each had been pickled and loaded again.
    providers = [
        s3_provider(pickle.loads(pickle.dumps(c.s3_refreshable_credentials(function))))
        for _ in range(10)
    ]
    barrier = threading.Barrier(50)

    def ask(i: int) -> Any:
        barrier.wait()
        return providers[i % 10]()

    threads: list[threading.Thread] = []
    found: list[Any] = []
    for i in range(50):
        threads.append(threading.Thread(target=lambda i=i: found.append(ask(i))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 50
    assert len(calls) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_goes_on_with_what_there_is_and_can_ask() -> None:
    known = c.s3_refreshable_credentials(_own(give_s3))
    other = c.s3_refreshable_credentials(_own(give_s3))
    s3_provider(known)()
    with refresher_of(other)._lock:  # somebody is asking while another thread forks
        child = os.fork()
        if child == 0:
            fine = s3_provider(known)()["token"] == s3_provider(other)()["token"] == "session"
            os._exit(0 if fine and len(calls) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(calls) == 1


# What obstore gets.


def test_the_forms_that_obstore_takes() -> None:
    s3 = s3_provider(c.s3_refreshable_credentials(_own(give_s3)))()
    expires = s3.pop("expires_at")
    assert s3 == {"access_key_id": "key-id", "secret_access_key": HIDDEN, "token": "session"}
    # Kept for 3,300 seconds; five minutes before what is said here the clients ask again.
    assert abs((expires - _soon(3600)).total_seconds()) < 60
    gcs = gcs_provider(c.gcs_refreshable_credentials(_own(give_gcs)))()
    assert gcs.keys() == {"token", "expires_at"}
    for kind, name, value in [
        ("AccessKey", "access_key", "?a=b"),
        ("SasToken", "sas_token", "a=b"),
        ("BearerToken", "token", "?a=b"),
    ]:
        azure = azure_provider(c.azure_refreshable_credentials(_own(give_azure, kind)))()
        assert azure.keys() == {name, "expires_at"}
        assert azure[name] == value


def test_a_function_that_is_not_there_is_named() -> None:
    lost = c.S3Credentials.Refreshable(b"cno_such_module\nfunction\n.")
    with pytest.raises(StorageError, match="No module named 'no_such_module'"):
        s3_provider(lost)()
    with pytest.raises(StorageError, match="it is not a function but int"):
        s3_provider(c.S3Credentials.Refreshable(pickle.dumps(3)))()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that has any object, and the signatures that it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization") or self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", shown
        httpd.shutdown()


def _s3_store(address: str, function: Any) -> S3Store:
    return S3Store(
        "bucket",
        endpoint=address,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        credential_provider=s3_provider(c.s3_refreshable_credentials(function)),
    )


def test_ten_clients_with_fifty_requests_make_one_call(server: tuple[str, list[str]]) -> None:
    address, shown = server
    function = _own(give_with_requests)  # makes requests itself
    clients = [_s3_store(address, function) for _ in range(10)]
    found = map_parallel(lambda i: bytes(obstore.get(clients[i % 10], "a").bytes()), range(50))
    assert list(found) == [b"ok"] * 50
    assert all("Credential=key-id/" in signature for signature in shown)
    assert len(calls) == 1


def test_tokens_reach_google_and_azure(server: tuple[str, list[str]]) -> None:
    address, shown = server
    gcs = GCSStore(
        "bucket",
        config={"base_url": address},  # type: ignore[typeddict-unknown-key]
        client_options={"allow_http": True},
        credential_provider=gcs_provider(c.gcs_refreshable_credentials(_own(give_gcs))),
    )
    azure = AzureStore(
        "container",
        account_name="account",
        endpoint=address,
        client_options={"allow_http": True},
        credential_provider=azure_provider(
            c.azure_refreshable_credentials(_own(give_azure, "SasToken"))
        ),
    )
    assert bytes(gcs.get("a").bytes()) == bytes(azure.get("a").bytes()) == b"ok"
    assert shown[0] == "Bearer bearer-1"
    assert shown[1].endswith("?a=b")


def test_a_failing_function_fails_the_request_with_its_name(
    server: tuple[str, list[str]],
) -> None:
    address, shown = server
    with pytest.raises(obstore.exceptions.BaseError, match=f"{__name__}.fail") as caught:
        obstore.get(_s3_store(address, _own(fail)), "a")
    assert HIDDEN not in str(caught.value)
    assert not shown
    assert len(calls) == TRIES
