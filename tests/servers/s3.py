"""Servers of the S3 protocol."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obstore.store import S3Store

from tests.servers.process import HOST, find, free_port, listens, running

BUCKET = "frazil"
KEY, SECRET = "testing", "testing-secret"


@dataclass(frozen=True)
class S3:
    """A bucket, and how to reach it."""

    name: str
    address: str
    """The server's, `127.0.0.1:1234`."""

    def through(self, address: str) -> S3:
        """The same bucket behind a proxy."""
        return replace(self, address=address)

    def storage(self, library: Any, prefix: str, **options: Any) -> Any:
        """The storage of `frazil` or `icechunk` at a prefix."""
        return library.s3_storage(
            bucket=BUCKET,
            prefix=prefix,
            region="us-east-1",
            endpoint_url=f"http://{self.address}",
            allow_http=True,
            force_path_style=True,
            access_key_id=KEY,
            secret_access_key=SECRET,
            **options,
        )

    def url(self, prefix: str) -> str:
        """What `frazil.open` takes."""
        return (
            f"s3://{BUCKET}/{prefix}?region=us-east-1&endpoint_url=http://{self.address}"
            f"&allow_http=true&force_path_style=true"
        )

    def client(self, prefix: str | None = None) -> S3Store:
        """A client that knows nothing of Frazil."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=f"http://{self.address}",
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )


@contextmanager
def ministack(folder: Path) -> Iterator[S3]:
    """MiniStack: conditional writes as S3 has them."""
    program = find("ministack", ".venv-servers-ministack/bin")
    port = free_port()
    settings = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3",
        "LOG_LEVEL": "WARNING",
    }
    with running([program], folder, lambda: listens(port), settings):
        yield _with_bucket("ministack", port)


@contextmanager
def moto(folder: Path) -> Iterator[S3]:
    """Moto, made atomic: see `moto_atomic`."""
    program = Path(find("moto_server", ".venv-servers-moto/bin"))
    python = str(program.with_name("python"))
    port = free_port()
    script = Path(__file__).with_name("moto_atomic.py")
    with running([python, str(script), str(port)], folder, lambda: listens(port)):
        yield _with_bucket("moto", port)


@contextmanager
def rclone(folder: Path) -> Iterator[S3]:
    """`rclone serve s3` on a local folder, which ignores every condition of a write."""
    program = find("rclone", ".venv-servers-ministack/bin")
    port = free_port()
    served = folder / "served"
    (served / BUCKET).mkdir(parents=True)
    command = [program, "serve", "s3", "--addr", f"{HOST}:{port}", "--config", "/dev/null"]
    command += ["--cache-dir", str(folder), "--vfs-cache-mode", "off"]
    with running(
        [*command, "--auth-key", f"{KEY},{SECRET}", str(served)], folder, lambda: listens(port)
    ):
        yield S3("rclone", f"{HOST}:{port}")


def _with_bucket(name: str, port: int) -> S3:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("PUT", f"/{BUCKET}")
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()
    return S3(name, f"{HOST}:{port}")
