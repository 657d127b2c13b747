"""nginx: a folder as static files, and a redirect to a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import HOST, find, free_port, listens, running

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
{user}
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    server {{
        listen {host}:{port};
        root {served};
        location /go/ {{
            rewrite ^/go/(.*)$ http+icechunk://{host}:{port}/$1 redirect;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Static:
    """A folder that is served."""

    address: str
    folder: Path
    """What is put here is at `http://{address}/`; `/go/x` redirects to what is at `/x`."""


@contextmanager
def nginx(folder: Path) -> Iterator[Static]:
    """nginx as the user who runs the tests."""
    program = find("nginx", "/usr/sbin")
    port = free_port()
    served = folder / "served"
    served.mkdir(parents=True)
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # the files belong to root then
    configuration.write_text(
        CONFIGURATION.format(folder=folder, served=served, host=HOST, port=port, user=user)
    )
    command = [program, "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
    with running(command, folder, lambda: listens(port)):
        yield Static(f"{HOST}:{port}", served)
