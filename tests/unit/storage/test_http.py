"""Reading from a web server: what every storage does, and what is particular."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import zarr

import frazil
from frazil.errors import IcechunkError, ReadOnlyError, StorageError
from frazil.storage.base import CREATE, UNVERSIONED, Backend
from frazil.storage.http import web
from frazil.storage.local import LocalBackend
from frazil.storage.wrapper import Wrapper
from tests.contract import test_storage as contract
from tests.servers.nginx import Static


class Served(Wrapper):
    """What is read comes from the server; what is put goes into its folder."""

    def __init__(self, static: Static) -> None:
        name = uuid4().hex
        super().__init__(web(f"http://{static.address}/{name}/").open())
        self.files = LocalBackend(static.folder / name)
        self.put = self.files.put  # type: ignore[method-assign]
        self.delete = self.files.delete  # type: ignore[method-assign]


@pytest.fixture
def served(static: Static) -> Served:
    return Served(static)


@pytest.mark.parametrize(
    "statement",
    [
        lambda served: contract.test_what_is_put_is_got(served, "repo", 3_000_000),
        lambda served: contract.test_what_is_put_is_got(served, "chunks/one", 1),
        lambda served: contract.test_what_is_put_is_got(served, "refs/branch.main/ref.json", 0),
        contract.test_ranges,
        *(
            lambda served, start=start, end=end: contract.test_a_range_beyond_the_end_is_an_error(
                served, start, end
            )
            for start, end in [(0, 11), (9, 12), (11, 11), (11, None), (0, 2**64)]
        ),
        lambda served: contract.test_a_range_that_cannot_be_is_the_callers_error(served, 5, 4),
        contract.test_fetch_unless_unchanged,
    ],
)
def test_reads_as_every_storage(served: Served, statement: Callable[[Backend], None]) -> None:
    statement(served)


@pytest.mark.parametrize("key", contract.UNUSUAL_KEYS)
def test_any_name_can_be_a_segment(served: Served, key: str) -> None:
    assert not served.exists(key)
    served.put(key, b"one", mode=CREATE)
    assert served.exists(key)
    assert served.get(key, start=1, end=3) == b"ne"


def test_what_is_missing(served: Served) -> None:
    assert not served.exists("repo")
    calls: list[Callable[[], object]] = [
        lambda: served.get("repo"),
        lambda: served.get("repo", start=0, end=1),
        lambda: served.get_ranges("repo", [(0, 1), (2, 3)]),
        lambda: served.fetch("repo"),
        lambda: served.fetch("repo", unless=UNVERSIONED),
        lambda: served.info("repo"),
    ]
    assert [contract.kind_of(call) for call in calls] == ["object-not-found"] * len(calls)


def test_an_etag_counts_when_it_is_old_enough(served: Served) -> None:
    path = served.files
    served.put("repo", b"one")
    young = served.fetch("repo")
    assert young is not None
    assert served.fetch("repo", unless=young.version) is None
    root = Path(path._root)
    os.utime(root / "repo", (1_700_000_000, 1_700_000_000))
    old = served.fetch("repo", unless=young.version)
    assert old is not None  # from now on nothing has to be sent to see that nothing has changed
    assert old.data == b"one"
    assert served.fetch("repo", unless=old.version) is None
    served.put("repo", b"three")
    assert served.fetch("repo", unless=old.version) is not None


def test_listing_needs_a_server_that_lists(served: Served) -> None:
    with pytest.raises(StorageError, match="does not list what it has"):
        list(served.inner.list())


def test_nothing_can_be_written(static: Static) -> None:
    backend = web(f"http://{static.address}/x").open()
    assert backend.read_only
    assert not backend.local
    calls: list[Callable[[], object]] = [
        lambda: backend.put("repo", b"x"),
        lambda: backend.put("repo", b"x", mode=CREATE),
        lambda: backend.copy("repo", "chunks/x"),
        lambda: backend.delete(["repo"]),
    ]
    for call in calls:
        with pytest.raises(ReadOnlyError, match="web server at http:") as caught:
            call()
        assert caught.value.kind == "read-only-storage"
    backend.sync()
    backend.close()


# The server sees.


@dataclass
class Log:
    """A server that notes what it is asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def logging_server(status: int = 200, body: bytes = b"0123456789") -> Iterator[Log]:
    log = Log()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            log.asked.append(
                (self.command, self.path, {k.title(): v for k, v in self.headers.items()})
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        log.url = f"http://127.0.0.1:{httpd.server_port}"
        yield log
        httpd.shutdown()


def test_headers_and_the_query_are_sent_and_not_shown() -> None:
    with logging_server() as log:
        url = f"{log.url}/a%20b/?sig=hush"
        headers = {"Authorization": "Bearer hush", "X-Lab": "ice"}
        storage = frazil.http_storage(url, headers=headers)
        assert storage.backend().get("repo") == b"0123456789"
        ((_, path, sent),) = log.asked
    assert path == "/a%20b/repo?sig=hush"
    assert sent.items() >= headers.items()
    assert sent["User-Agent"].startswith("frazil/")
    assert str(storage) == f"<frazil.Storage>\ntype: HTTP\nurl: {log.url}/a%20b?…\n"
    assert "hush" not in str(storage) + repr(storage) + storage._repr_html_()
    pickled = pickle.dumps(storage)
    assert b"hush" not in pickled
    assert b"ice" in pickled
    assert pickle.loads(pickled) == storage


def test_a_server_without_ranges_and_etags() -> None:
    with logging_server() as log:
        backend = frazil.http_storage(log.url).backend()
        found = backend.fetch("repo")
        assert found is not None
        assert found.data == b"0123456789"
        assert backend.fetch("repo", unless=found.version) is None
        with pytest.raises(StorageError, match="Range request not supported"):
            backend.get("repo", start=1, end=2)


def test_errors_name_the_server_without_the_query() -> None:
    with logging_server(status=403, body=b"<html>\n<b>no</b></html>") as log:
        backend = frazil.http_storage(f"{log.url}/x?sig=hush").backend()
        with pytest.raises(StorageError, match=f"web server at {log.url}/x.*403") as caught:
            backend.get("repo")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nothing", "must start with http:// or https://"),
        ("s3://b/p", "must start with http:// or https://"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://h:x/", "Port could not be cast"),
        ("http://id:hush@h/x?sig=hush", "take user and password out of it"),
    ],
)
def test_bad_urls(url: str, says: str) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        frazil.http_storage(url)
    assert caught.value.kind == "cannot-parse-url"
    assert "hush" not in str(caught.value)


def test_unknown_options_are_named() -> None:
    with pytest.raises(IcechunkError, match="'time_out'"):
        frazil.http_storage("http://h/x", {"time_out": "3s"}).backend().get("repo")
    storage = frazil.http_storage("http://h/x", {"timeout": "3s", "connect_timeout": "1s"})
    assert storage.default_settings() == frazil.StorageSettings()


# Repositories.


def test_a_repository_is_read(static: Static, spec: int) -> None:
    folder = static.folder / uuid4().hex
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder)), spec_version=spec)
    with repo.transaction("main", message="one") as store:
        zarr.create_array(store, name="a", data=np.arange(10), chunks=(5,))
    repo.create_tag("t ü", repo.lookup_branch("main"))
    served = frazil.Repository.open(frazil.http_storage(f"http://{static.address}/{folder.name}"))
    assert served.lookup_branch("main") == repo.lookup_branch("main")
    session = served.readonly_session(tag="t ü")
    assert zarr.open_array(session.store, path="a", mode="r")[:].tolist() == list(range(10))
    with pytest.raises(ReadOnlyError) as caught:
        served.writable_session("main")
    assert caught.value.kind == "read-only-storage"
    missing = frazil.http_storage(f"http://{static.address}/none")
    assert not frazil.Repository.exists(missing)
    with pytest.raises(frazil.RepositoryNotFoundError):
        frazil.Repository.open(missing)
    with pytest.raises(ReadOnlyError):
        frazil.Repository.create(missing)
