"""Ordinary files in the explorer."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from frazil.web.downloads import SHOWN
from tests.web.conftest import HERE

LARGE = random.Random(1).randbytes(5_000_000)


@pytest.fixture(scope="module")
def site() -> TestClient:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Files") as tree:
        tree["t"] = np.arange(5)
        files = tree.files("/notes")
        files.put_text("README.md", "<script>alert(1)</script>", attributes={"by": "Ada"})
        files.put("large.bin", LARGE)
        files.put_text("long.txt", "é" * SHOWN)
        files.put("wrong.txt", b"\xff\xfe" * 10)
        files.put("e.txt", b"")
        files.put("50% \N{SNOWMAN}.txt", b"1")
    return TestClient(app(repo), base_url=HERE)


def page(site: TestClient, name: str) -> str:
    answer = site.get("/tree", params={"path": f"/notes/{name}"})
    assert answer.status_code == 200
    return answer.text


def test_files_among_the_nodes_of_a_group(site: TestClient) -> None:
    group = site.get("/tree", params={"path": "/notes"}).text
    assert "text/markdown" in group
    assert "4.8 MiB" in group


def test_a_file_is_shown_as_a_file(site: TestClient) -> None:
    text = page(site, "README.md")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert hashlib.sha256(b"<script>alert(1)</script>").hexdigest() in text
    assert "<div>Ada</div>" in text
    assert 'name="y"' not in text  # no sliders of an array
    assert "first 64.0 KiB" in page(site, "long.txt")
    assert "first 64" not in text
    assert "The file is empty." in page(site, "e.txt")
    for name in ("large.bin", "wrong.txt"):
        assert "<h2>Content</h2>" not in page(site, name)


def test_files_are_downloaded_not_opened(site: TestClient) -> None:
    answer = site.get("/download", params={"path": "/notes/large.bin"})
    assert answer.content == LARGE
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = site.head("/download", params={"path": "/notes/large.bin"})
    assert (head.content, head.headers["content-length"]) == (b"", str(len(LARGE)))
    named = site.get("/download", params={"path": "/notes/50% \N{SNOWMAN}.txt"})
    assert named.headers["content-disposition"].endswith("''50%25%20%E2%98%83.txt")


@pytest.mark.parametrize("path", ["/t", "/notes", "/none", "/../x"])
def test_what_is_no_file_is_not_downloaded(site: TestClient, path: str) -> None:
    assert site.get("/download", params={"path": path}).status_code in (400, 404)
