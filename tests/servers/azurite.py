"""Azurite, the emulator of Azure's blobs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

from obstore.store import AzureStore

from tests.servers.process import HOST, find, free_port, listens, running

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has, printed in its documentation."""
CONTAINER = "frazil"


@dataclass(frozen=True)
class Azure:
    """A container, and how to reach it."""

    name: str
    address: str

    def through(self, address: str) -> Azure:
        """The same container behind a proxy."""
        return replace(self, address=address)

    def storage(self, library: Any, prefix: str) -> Any:
        """The storage of `frazil` or `icechunk` at a prefix."""
        return library.azure_storage(
            account=ACCOUNT,
            container=CONTAINER,
            prefix=prefix,
            access_key=KEY,
            config={
                "azure_storage_endpoint": f"http://{self.address}/{ACCOUNT}",
                "azure_allow_http": "true",
            },
        )

    def client(self, prefix: str | None = None) -> AzureStore:
        """A client that knows nothing of Frazil."""
        return AzureStore(
            CONTAINER,
            prefix=prefix,
            account_name=ACCOUNT,
            account_key=KEY,
            endpoint=f"http://{self.address}/{ACCOUNT}",
            client_options={"allow_http": True},
        )


@contextmanager
def azurite(folder: Path) -> Iterator[Azure]:
    """Azurite, everything in memory."""
    program = find("azurite-blob", ".venv-servers-azurite/node_modules/.bin")
    port = free_port()
    command = [program, "--blobHost", HOST, "--blobPort", str(port), "--inMemoryPersistence"]
    command += ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    with running(command, folder, lambda: listens(port)):
        _make_container(port)
        yield Azure("azurite", f"{HOST}:{port}")


def _make_container(port: int) -> None:
    """One request with a shared key, which obstore can't make.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    date, version = formatdate(usegmt=True), "2021-12-02"
    blank = "\n" * 12
    signed = (
        f"PUT{blank}x-ms-date:{date}\nx-ms-version:{version}\n"
        f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", headers=headers)
    response = connection.getresponse()
    assert response.status == 201, response.read()
    connection.close()
