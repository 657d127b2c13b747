"""Running the explorer in a server of its own."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import webbrowser

import uvicorn

from frazil.errors import ErrorKind, StorageError
from frazil.opening import open as open_repository
from frazil.repository import Repository
from frazil.storage import Storage
from frazil.web.application import app
from frazil.web.safety import hosts_of, is_loopback

PORT = 8642
"""Where the explorer listens unless told otherwise."""


def serve(
    url_or_repo: str | os.PathLike[str] | Storage | Repository,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    write: bool = False,
    token: str | None = None,
    open_browser: bool = False,
) -> None:
    """Show a repository at http://host:port/ until interrupted; prints the address.

    url_or_repo: as for `frazil.open`. port: 0 for any that is free. write: let branches and
    tags be made and deleted. token: what visitors have to know; one is made up where others
    than this machine can connect. `StorageError` if the address cannot be used, else the errors
    of `frazil.open`.
    """
    repo = url_or_repo if isinstance(url_or_repo, Repository) else open_repository(url_or_repo)
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(18)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()  # so that who reads the address can connect at once
        except OSError as error:
            raise StorageError(
                f"cannot listen at {host}:{port}: {error.strerror}; give another port, 0 for any",
                ErrorKind.UNKNOWN,
            ) from error
        site = app(repo, write=write, token=token, hosts=hosts_of(host))
        where = f"[{host}]" if ":" in host else host
        query = "" if token is None else f"?token={token}"
        address = f"http://{where}:{listening.getsockname()[1]}/{query}"
        print(f"Explorer at {address} (interrupt to stop)", flush=True)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        settings = uvicorn.Config(
            site, log_level="warning", access_log=False, server_header=False, ws="none"
        )
        uvicorn.Server(settings).run(sockets=[listening])
