"""The command that serves, as a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.web import serve
from tests.web.conftest import HERE

pytest.importorskip("typer")


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address that the command prints, while it runs."""
    command = [sys.executable, "-c", "from frazil.cli import main; main()", "serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.search(r"http://\S+", process.stdout.readline())
            assert match is not None
            yield match[0], process
        finally:
            process.kill()


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Of an empty repository."""
    frazil.Repository.create(frazil.local_filesystem_storage(str(tmp_path / "repo")))
    return str(tmp_path / "repo")


def test_it_serves_this_machine_until_interrupted(place: str) -> None:
    with served(place, "--port", "0") as (address, process):
        assert address.startswith("http://127.0.0.1:")
        assert "Repository initialized" in httpx.get(address).text
        assert httpx.get(address, headers={"host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)


def test_it_asks_others_for_a_token(place: str) -> None:
    with served(place, "--port", "0", "--host", "0.0.0.0") as (address, _):
        here = address.replace("0.0.0.0", "127.0.0.1")
        bare, _, query = here.partition("?")
        assert re.fullmatch(r"token=[\w-]{20,}", query)
        assert httpx.get(bare).status_code == 401
        with httpx.Client(follow_redirects=True) as browser:
            assert browser.get(here).status_code == 200


def test_the_code_in_the_documentation_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "explorer.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M)
    names: dict[str, Any] = {}
    exec(block, names)
    assert "Add a row of numbers" in TestClient(names["site"], base_url=HERE).get("/").text


def test_a_taken_address_is_told(place: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(frazil.StorageError, match="give another port"):
            serve(place, port=port)
