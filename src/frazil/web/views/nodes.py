"""The tree at a version: groups with what is in them, and arrays."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frazil.errors import IcechunkError
from frazil.files.info import file_at
from frazil.model.file_arrays import OCTETS
from frazil.paths import check_path
from frazil.session import Session
from frazil.web.cells import read_cells
from frazil.web.documents import Described, describe
from frazil.web.downloads import SHOWN, pieces, text_of
from frazil.web.pictures import read_view
from frazil.web.quantities import quantity_of
from frazil.web.site import Site, integer, site_of
from frazil.web.versions import Version

PAGE = 100
"""Nodes on a page."""


def tree(request: Request) -> Response:
    """A group or an array, with the version to switch."""
    site = site_of(request)
    version = site.version(request)
    session = site.session(version)
    path = check_path(request.query_params.get("path", "/"))
    if path == "/" and session._workspace.node(path) is None:
        described = Described(path, False, {}, "{}")  # a repository without a root group yet
    else:
        described = describe(session._node(path))
    shared: dict[str, Any] = {
        "version": version,
        "node": described,
        "crumbs": crumbs(described.path),
        "attributes": [(key, _written(value)) for key, value in described.attributes.items()],
        **choices(site, request),
    }
    if described.file is not None:
        shared["attributes"] = [(k, _written(v)) for k, v in described.file.attributes.items()]
        preview = text_of(session, described.file)
        return site.page(
            request, "file.html", file=described.file, preview=preview, shown=SHOWN, **shared
        )
    if described.is_array:
        return _array(request, site, session, described, shared)
    return _group(request, site, session, described, version, shared)


def _array(
    request: Request, site: Site, session: Session, node: Described, shared: dict[str, Any]
) -> Response:
    view = read_view(request, node)
    cells, problem = None, ""
    if not node.is_drawn:
        try:
            cells = read_cells(session, view)
        except (IcechunkError, OSError) as error:
            problem = str(error)
    return site.page(
        request,
        "array.html",
        view=view,
        labels=view.labels(session),
        cells=cells,
        problem=problem,
        what=quantity_of(node.name, node.data_type, node.attributes),
        **shared,
    )


def download(request: Request) -> Response:
    """The bytes of a file, to be kept: browsers show none of it."""
    site = site_of(request)
    session = site.session(site.version(request))
    path = check_path(request.query_params.get("path", "/"))
    info = file_at(session._node(path))
    if info is None:
        raise HTTPException(404, f"{path} is no file.")
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}",
        "content-length": str(info.size),
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type=OCTETS)
    return StreamingResponse(pieces(session, info), headers=headers, media_type=OCTETS)


def _group(
    request: Request,
    site: Site,
    session: Session,
    group: Described,
    version: Version,
    shared: dict[str, Any],
) -> Response:
    workspace = session._workspace
    searched = request.query_params.get("find", "").strip()
    names = workspace.children(group.path)
    if searched:
        names = [name for name in names if searched.lower() in name.lower()]
    start = integer(request, "start", 0, 0, max(0, len(names) - 1))
    above = group.path.rstrip("/")
    found = [workspace.node(f"{above}/{name}") for name in names[start : start + PAGE]]
    children = [describe(node) for node in found if node is not None]
    inside = {
        child.path: len(session._workspace.nodes.rows_under(child.path)) - 1
        for child in children
        if not child.is_array
    }
    return site.page(
        request,
        "group.html",
        children=children,
        inside=inside,
        has_arrays=any(child.is_array and child.file is None for child in children),
        total=len(names),
        searched=searched,
        start=start,
        earlier=max(0, start - PAGE) if start else None,
        later=start + PAGE if start + PAGE < len(names) else None,
        page=PAGE,
        **shared,
    )


def crumbs(path: str) -> list[tuple[str, str]]:
    """Name and path of the groups above a node, and of itself; the root is left out."""
    parts = [part for part in path.split("/") if part]
    return [(part, "/" + "/".join(parts[: i + 1])) for i, part in enumerate(parts)]


CHOICES = 500
"""As many names are offered of branches and of tags."""


def choices(site: Site, request: Request) -> dict[str, Any]:
    """The branches and tags to choose from."""
    catalog = site.catalog(request)
    return {
        "branches": sorted(catalog.branches())[:CHOICES],
        "tags": sorted(catalog.tags())[:CHOICES],
    }


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
