"""Fixtures: each server is started when a test first asks for it, once for each worker.

A test that needs a server that is not installed is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.servers.azurite import Azure, azurite
from tests.servers.gcs import Gcs, gcs_standin
from tests.servers.nginx import Static, nginx
from tests.servers.process import NotInstalled
from tests.servers.proxy import Proxy, proxy
from tests.servers.s3 import S3, ministack, moto, rclone

Cloud = S3 | Azure | Gcs
CLOUDS: dict[str, Callable[[Path], AbstractContextManager[Cloud]]] = {
    "ministack": ministack,
    "moto": moto,
    "azurite": azurite,
    "gcs-standin": gcs_standin,
}
"""The object stores that keep every promise a repository needs."""


class Servers:
    """The servers of one worker."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[Any, Any] = {}

    def get(self, start: Callable[[Path], AbstractContextManager[Any]]) -> Any:
        """The running server; skips the test if it is not installed."""
        name = start.__name__
        if name not in self._running:
            try:
                self._running[name] = self._stack.enter_context(start(self._folder / name))
            except NotInstalled as reason:
                self._running[name] = reason
        found = self._running[name]
        if isinstance(found, NotInstalled):
            pytest.skip(str(found))
        return found

    def cloud(self, name: str) -> Cloud:
        """The object store of this name, one of `CLOUDS`."""
        found: Cloud = self.get(CLOUDS[name])
        return found


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Starts servers, and ends them."""
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("servers"), stack)


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest, servers: Servers) -> Cloud:
    """Each object store in turn."""
    return servers.cloud(request.param)


@pytest.fixture
def s3(servers: Servers) -> S3:
    """An S3 server."""
    found: S3 = servers.get(ministack)
    return found


@pytest.fixture
def careless_s3(servers: Servers) -> S3:
    """An S3 server that ignores the conditions of writes."""
    found: S3 = servers.get(rclone)
    return found


@pytest.fixture
def static(servers: Servers) -> Static:
    """A folder behind HTTP."""
    found: Static = servers.get(nginx)
    return found


@pytest.fixture
def behind(s3: S3) -> Iterator[tuple[S3, Proxy]]:
    """An S3 server behind a proxy that counts and spoils, and the proxy."""
    with proxy(s3.address) as made:
        yield s3.through(made.address), made
