"""The explorer as a Starlette application: which address leads to which page."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from frazil.repository import Repository
from frazil.web.failures import HANDLERS
from frazil.web.safety import LOOPBACK, Guard
from frazil.web.site import Site
from frazil.web.views import (
    arrays,
    comparison,
    files,
    history,
    nodes,
    references,
    retention,
    upkeep,
)

_STATIC = Path(__file__).parent / "static"


def app(
    repo: Repository,
    *,
    write: bool = False,
    token: str | None = None,
    hosts: Collection[str] = LOOPBACK,
) -> Starlette:
    """The explorer of a repository.

    write: let branches and tags be made and deleted. token: what visitors have to know. hosts:
    the names, without ports, under which it may be asked; with a token, any IP address, too.
    """
    routes = [
        Route("/", history.history),
        Route("/commit", history.commit),
        Route("/tree", nodes.tree),
        Route("/download", nodes.download),
        Route("/chunks", arrays.chunks),
        Route("/compare", comparison.comparison),
        Route("/figure.svg", arrays.figure),
        Route("/difference.svg", arrays.difference),
        Route("/names", references.names),
        *([Route("/names", references.change, methods=["POST"])] if write else []),
        Route("/storage", upkeep.storage),
        Route("/growth.svg", upkeep.growth),
        Route("/retention", retention.retention),
        Route("/health", upkeep.health),
        Route("/operations", upkeep.operations),
        Route("/configuration", upkeep.configuration),
        Route("/files/{key:path}", files.file),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    guard = Middleware(Guard, hosts=frozenset(hosts), token=token, write=write)
    site = Starlette(routes=routes, middleware=[guard], exception_handlers=HANDLERS)
    site.state.site = Site(repo, write=write)
    return site
