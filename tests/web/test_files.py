"""The files of a repository over HTTP: to programs that know nothing of the explorer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE, fill

uvicorn = pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the repository that is served, with a file in it that is none of its own."""
    path = tmp_path_factory.mktemp("served") / "repository"
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(path)))
    fill(repo)
    (path / "private").write_text("secret")
    (path.parent / "outside").write_text("secret")
    return path


@pytest.fixture(scope="module")
def files(folder: Path) -> TestClient:
    """A client of the files."""
    repo = frazil.open(folder)
    return TestClient(app(repo), base_url=HERE)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where a real server has the files."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        site = app(frazil.open(folder), token="t0ken")
        server = uvicorn.Server(uvicorn.Config(site, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/files"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("library", ["frazil", "icechunk"])
def test_both_libraries_read_through_it(address: str, folder: Path, library: str) -> None:
    module: Any = frazil if library == "frazil" else pytest.importorskip("icechunk")
    if not hasattr(module, "http_storage"):
        pytest.skip("icechunk 1 does not read from web servers")
    storage = module.http_storage(f"{address}?token=t0ken", {"allow_http": "true"})
    repo = module.Repository.open(storage)
    assert set(repo.list_branches()) == {"main", "fixes"}
    store = repo.readonly_session(tag="v2").store
    air = zarr.open_array(store, path="climate/air", mode="r")
    expected = np.arange(1200, dtype="float32").reshape(30, 40) + 5
    np.testing.assert_array_equal(air[0], expected)
    assert zarr.open_group(store, mode="r")["climate"].attrs["comment"] == "hand-made"


def test_a_reader_sees_new_commits(address: str, folder: Path) -> None:
    reader = frazil.Repository.open(
        frazil.http_storage(address, headers={"authorization": "Bearer t0ken"})
    )
    before = reader.lookup_branch("fixes")
    with frazil.open(folder).edit("fixes", "One more") as tree:
        tree["more"] = np.zeros(2)
    assert reader.lookup_branch("fixes") != before


def chunk(folder: Path) -> tuple[str, bytes]:
    """The largest chunk object of the repository."""
    path = max((folder / "chunks").iterdir(), key=lambda file: file.stat().st_size)
    return f"/files/chunks/{path.name}", path.read_bytes()


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=3-99999999", 3, None),
        ("bytes=-99999999", 0, None),
    ],
)
def test_ranges(files: TestClient, folder: Path, asked: str, start: int, stop: int | None) -> None:
    path, data = chunk(folder)
    answer = files.get(path, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == data[start:stop]
    first = start % len(data)
    last = (len(data) if stop is None else stop) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"


@pytest.mark.parametrize("asked", ["bytes=9-3", "lines=0-4", "bytes=0-1,5-6", "bytes=-", "x"])
def test_what_is_no_range_is_ignored(files: TestClient, folder: Path, asked: str) -> None:
    path, data = chunk(folder)
    answer = files.get(path, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, data)


def test_ranges_behind_the_end(files: TestClient, folder: Path) -> None:
    path, data = chunk(folder)
    answer = files.get(path, headers={"range": f"bytes={len(data)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize("key", ["repo", "chunk"])
def test_what_is_known_is_not_sent_again(files: TestClient, folder: Path, key: str) -> None:
    path = chunk(folder)[0] if key == "chunk" else "/files/repo"
    whole = files.get(path)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert int(whole.headers["content-length"]) == len(whole.content)
    again = files.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = files.head(path)
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]
    other = files.get(path, headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "private",
        ".frazil-lock#0",
        "../outside",
        "%2e%2e/outside",
        "chunks/../private",
        "chunks/%2e%2e/private",
        "chunks/..%2fprivate",
        "chunks%2f..%2fprivate",
        "chunks//private",
        "chunks/",
        "chunks",
        "/private",
        "//etc/passwd",
        "chunks/..\\..\\outside",
        "chunks/%00",
        "chunks/%ff",
        "chunks/" + "x" * 256,
        "",
    ],
)
def test_nothing_else_is_there(files: TestClient, path: str) -> None:
    answer = files.get(f"{HERE}/files/{path}")
    assert answer.status_code in (400, 404)
    assert "secret" not in answer.text
