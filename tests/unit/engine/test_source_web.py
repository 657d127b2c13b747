"""Reading from web servers, those included that behave oddly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from frazil.engine.sources.source import Stamp
from frazil.engine.sources.web import Web, open_web
from frazil.errors import InvalidInputError, StorageError
from frazil.storage.object_stores import http_store
from frazil.storage.settings import StorageRetriesSettings, StorageSettings
from frazil.virtual import VirtualChunkContainer

DATA = bytes(range(100))
SETTINGS = StorageSettings(retries=StorageRetriesSettings(3, 1, 1))


class Server(ThreadingHTTPServer):
    """Answers by the path that is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.user_agents: set[str] = set()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """`/data/<behaviour>`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Range"]))
        self.server.user_agents.add(self.headers["User-Agent"])
        name = self.path.rpartition("/")[2]
        if name.startswith("to-"):
            targets = {
                "to-file": "file",
                "to-loop": "to-loop",
                "to-query": "file?signature=1",
                "to-outside": "../private/secret",
                "to-encoded": "/data/%2e%2e/private/secret",
                "to-neighbour": "/data-private/secret",
                "to-elsewhere": "http://localhost:1/data/file",
                "to-other-scheme": "file:///etc/passwd",
                "to-nowhere": "",
            }
            self._answer(302, b"moved", {"Location": targets[name]})
        elif name == "plain":
            self._answer(200, DATA, {"ETag": 'W/"tag"'})
        elif name == "busy" and len(self.server.asked) < 3:
            self._answer(503, b"")
        elif name == "missing":
            self._answer(404, b"")
        elif name == "forbidden":
            self._answer(403, b"")
        elif name == "wrong-range":
            self._answer(206, DATA[50:60], {"Content-Range": "bytes 50-59/100"})
        else:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            if first >= len(DATA):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(DATA)}"})
                return
            part = DATA[first : last + 1]
            where = f"bytes {first}-{first + len(part) - 1}/{len(DATA)}"
            date = "Mon, 01 Jan 2024 00:00:00 GMT"
            headers = {"Content-Range": where, "ETag": '"tag"', "Last-Modified": date}
            self._answer(206, part, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def web(server: Server) -> Web:
    return source(server)


def source(server: Server, opts: dict[str, str] | None = None) -> Web:
    container = VirtualChunkContainer(f"{server.base}/data/", http_store(opts))
    return open_web(server.base, container, SETTINGS)


def test_ranges(web: Web) -> None:
    found = web.read("data/file", 10, 20)
    assert (found.data, found.size) == (DATA[10:20], 100)
    assert found.stamp == Stamp("tag", 1_704_067_200.0)
    assert web.read("data/file", 95, 200).data == DATA[95:]
    assert (web.read("data/file", 100, 110).data, web.read("data/file", 100, 110).size) == (
        b"",
        100,
    )
    assert web.stat("data/file").size == 100


def test_names_are_quoted_once(web: Web, server: Server) -> None:
    web.read("data/a b%20é?#\udcff/file", 0, 1)
    assert server.asked == [("/data/a%20b%2520%C3%A9%3F%23%FF/file", "bytes=0-0")]


def test_a_server_without_ranges(web: Web) -> None:
    found = web.read("data/plain", 10, 20)
    assert (found.data, found.size, found.stamp) == (DATA[10:20], 100, Stamp("tag", None))
    assert web.read("data/plain", 200, 210).data == b""


def test_a_busy_server_is_asked_again(web: Web, server: Server) -> None:
    assert web.read("data/busy", 0, 5).data == DATA[:5]
    assert len(server.asked) == 3


def test_redirects_inside_the_container_are_followed(web: Web, server: Server) -> None:
    assert web.read("data/to-file", 0, 5).data == DATA[:5]
    assert web.read("data/to-query", 0, 5).data == DATA[:5]
    assert server.asked[-1] == ("/data/file?signature=1", "bytes=0-4")


@pytest.mark.parametrize(
    "name",
    ["to-outside", "to-encoded", "to-neighbour", "to-elsewhere", "to-other-scheme"],
)
def test_redirects_out_of_the_container_are_not_followed(
    web: Web, server: Server, name: str
) -> None:
    with pytest.raises(InvalidInputError, match="outside of its virtual chunk container") as caught:
        web.read(f"data/{name}", 0, 5)
    assert caught.value.kind == "no-container-for-virtual-chunk"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("to-loop", "redirect", "object-store"),
        ("to-nowhere", "redirect", "object-store"),
        ("missing", "nothing at", "object-not-found"),
        ("forbidden", "403", "object-store"),
        ("wrong-range", "206", "object-store"),
    ],
)
def test_answers_that_are_none(web: Web, name: str, text: str, kind: str) -> None:
    with pytest.raises(StorageError, match=text) as caught:
        web.read(f"data/{name}", 0, 5)
    assert caught.value.kind == kind


def test_nobody_answers() -> None:
    container = VirtualChunkContainer("http://127.0.0.1:1/data/", http_store())
    web = open_web("http://127.0.0.1:1", container, SETTINGS)
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:1/data/file failed"):
        web.read("data/file", 0, 1)


def test_options(server: Server) -> None:
    opts = {"allow_http": "true", "User_Agent": "me", "timeout": "20 seconds"}
    source(server, opts).read("data/file", 0, 1)
    assert server.user_agents == {"me"}
    for wrong in ({"time_out": "1s"}, {"timeout": "soon"}):
        with pytest.raises(StorageError) as caught:
            source(server, wrong)
        assert caught.value.kind == "storage-config"
