"""Redirects: followed to a storage, asked once, with limits."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import frazil
from frazil.errors import ReadOnlyError, StorageError
from frazil.storage import redirect
from frazil.storage.api import storage_at
from frazil.storage.pool import map_parallel


class Redirecting:
    """A server that redirects as told, and notes what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.to: dict[str, str | int | list[int | str]] = {}

    def answer(self, path: str) -> str | int:
        self.asked.append(path)
        found = self.to.get(path.partition("?")[0], 404)
        return found.pop(0) if isinstance(found, list) else found


@pytest.fixture
def server() -> Iterator[Redirecting]:
    scene = Redirecting()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = scene.answer(self.path)
            self.send_response(302 if isinstance(answer, str) else answer)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        scene.url = f"http://127.0.0.1:{httpd.server_port}"
        yield scene
        httpd.shutdown()


@pytest.mark.parametrize(
    ("target", "same"),
    [
        ("http+icechunk://h:1/a/b", lambda: frazil.http_storage("http://h:1/a/b")),
        ("http+ic://h/a?sig=x", lambda: frazil.http_storage("http://h/a?sig=x")),
        ("https+icechunk://h/a", lambda: frazil.http_storage("https://h/a")),
        ("HTTPS+IC://h/a", lambda: frazil.http_storage("https://h/a")),
        (
            "s3://b/p/q?region=eu-west-1",
            lambda: frazil.s3_storage(bucket="b", prefix="p/q", region="eu-west-1", anonymous=True),
        ),
        (
            "s3://b?region=x&endpoint_url=http%3A%2F%2Fh&allow_http=1&force_path_style=1",
            lambda: frazil.s3_storage(
                bucket="b",
                prefix=None,
                region="x",
                endpoint_url="http://h",
                allow_http=True,
                force_path_style=True,
                anonymous=True,
            ),
        ),
        ("gs://b/p", lambda: frazil.gcs_storage(bucket="b", prefix="p", anonymous=True)),
        ("gcs://b/p", lambda: frazil.gcs_storage(bucket="b", prefix="p", anonymous=True)),
        (
            "r2://b/p?account_id=x",
            lambda: frazil.r2_storage(bucket="b", prefix="p", account_id="x", anonymous=True),
        ),
        (
            "tigris://b/p?region=iad",
            lambda: frazil.tigris_storage(bucket="b", prefix="p", region="iad", anonymous=True),
        ),
        (
            "tigris://b/p?use_weak_consistency=true&anonymous=false",
            lambda: frazil.tigris_storage(
                bucket="b", prefix="p", use_weak_consistency=True, anonymous=True
            ),
        ),
    ],
)
def test_targets(server: Redirecting, target: str, same: Callable[[], frazil.Storage]) -> None:
    server.to = {"/start": "/next", "/next": f"{server.url}/last", "/last": target}
    assert storage_at(redirect.resolved(f"{server.url}/start")) == same()
    assert server.asked == ["/start", "/next", "/last"]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (404, "status 404"),
        (200, "does not answer with a redirect"),
        ("/start", "there are more than 10 redirects"),
        ("file:///etc", "it leads to file:///etc; targets begin with one of s3://, "),
        ("memory:x", "targets begin with one of"),
        ("redirect+http://h/x", "targets begin with one of"),
        ("s3://b/p", r"it lacks \?region=…"),
        ("r2://b/p", r"it lacks \?account_id=…"),
        ("tigris://b/p", "Tigris needs the region"),
        ("s3://b/p?region=x&from_env=true", "a redirect cannot say from_env"),
        ("gs://b/p?service_account_file=%2Fx", "a redirect cannot say service_account_file"),
        ("s3://b/p?region=x&session_token=hush", "is a secret"),
        ("http+icechunk://id:hush@h/p", "take user and password out"),
        ("http+icechunk://", "names no host"),
    ],
)
def test_what_leads_nowhere(server: Redirecting, target: str | int, says: str) -> None:
    server.to = {"/start": target}
    storage = frazil.redirect_storage(f"{server.url}/start?key=hush")
    with pytest.raises(StorageError, match=says) as caught:
        storage.backend()
    assert caught.value.kind == "bad-redirect"
    assert f"the redirect at {server.url}/start?… does not work" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_server_that_is_busy_is_asked_again(server: Redirecting) -> None:
    server.to = {"/start": [503, 429, "http+ic://h/a"]}
    found = redirect.resolved(f"{server.url}/start")
    assert storage_at(found) == frazil.http_storage("http://h/a")
    server.to = {"/start": [500, 500, 500, "http+ic://h/a"]}
    with pytest.raises(StorageError, match="status 500"):
        redirect.resolved(f"{server.url}/start")


def test_nobody_listens() -> None:
    with pytest.raises(StorageError, match=r"127.0.0.1:1/x\?… does not work: URLError"):
        redirect.resolved("http://127.0.0.1:1/x?sig=hush")


def test_the_server_is_asked_once_and_when_needed(server: Redirecting) -> None:
    server.to = {"/start": "http+ic://h/a"}
    storage = frazil.redirect_storage(f"{server.url}/start?sig=hush")
    assert str(storage) == f"<frazil.Storage>\ntype: redirect\nurl: {server.url}/start?…\n"
    pickled = pickle.dumps(storage)
    assert b"hush" not in pickled
    assert storage.default_settings() == frazil.StorageSettings()
    assert server.asked == []
    backends = map_parallel(lambda i: pickle.loads(pickled).backend(), range(20))
    assert len({id(backend) for backend in backends}) == 1
    storage.backend(frazil.StorageSettings(storage_class="x"))
    assert server.asked == ["/start?sig=hush"]


def test_nothing_can_be_written(server: Redirecting) -> None:
    server.to = {"/start": "s3://b/p?region=eu-west-1"}
    backend = frazil.redirect_storage(f"{server.url}/start").backend()
    assert backend.read_only
    calls: list[Callable[[], object]] = [
        lambda: backend.put("repo", b"x"),
        lambda: backend.copy("repo", "chunks/x"),
        lambda: backend.delete(["repo"]),
    ]
    for call in calls:
        with pytest.raises(ReadOnlyError, match="the redirect at http:") as caught:
            call()
        assert caught.value.kind == "read-only-storage"


@pytest.mark.parametrize("url", ["nothing", "s3://b/p?region=x", "http://", "http://u:p@h/x"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        frazil.redirect_storage(url)
    assert caught.value.kind == "cannot-parse-url"
