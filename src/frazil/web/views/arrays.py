"""Pictures of arrays, and of their chunks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from frazil.errors import IcechunkError
from frazil.paths import check_path
from frazil.web.chunkmap import by_commit, by_kind, slice_of
from frazil.web.documents import describe
from frazil.web.figures import message
from frazil.web.pictures import draw, draw_difference, look_of, read_view
from frazil.web.site import site_of
from frazil.web.views.nodes import choices, crumbs

_POLICY = "default-src 'none'; img-src data:; sandbox"


def figure(request: Request) -> Response:
    """An array, or a part of it, as a heat map or a line; `beside`: a version to compare with."""
    site = site_of(request)
    session = site.session(site.version(request))
    path = check_path(request.query_params.get("path", "/"))
    node = session._array(path)
    look = look_of(request)
    try:
        beside = None
        if request.query_params.get("beside"):
            other = site.session(site.version(request, "beside"))
            beside = other, read_view(request, describe(other._array(path)))
        picture = draw(site.parts, session, read_view(request, describe(node)), look, beside)
    except (IcechunkError, OSError) as error:
        picture = message(str(error), look)
    return svg(picture)


def difference(request: Request) -> Response:
    """What is more and what is less in `after` than in `before`."""
    site = site_of(request)
    path = check_path(request.query_params.get("path", "/"))
    before, after = (site.session(site.version(request, name)) for name in ("before", "after"))
    look = look_of(request)
    try:
        old, new = (
            read_view(request, describe(session._array(path))) for session in (before, after)
        )
        picture = draw_difference(site.parts, (before, after), (old, new), look)
    except (IcechunkError, OSError) as error:
        picture = message(str(error), look)
    return svg(picture)


def svg(picture: str) -> Response:
    """A picture as an answer: nothing in it can run or load anything."""
    return Response(
        picture, media_type="image/svg+xml", headers={"content-security-policy": _POLICY}
    )


def chunks(request: Request) -> Response:
    """Which chunks of an array exist, by kind or by the commit that wrote them."""
    site = site_of(request)
    version = site.version(request)
    session = site.session(version)
    node = session._array(check_path(request.query_params.get("path", "/")))
    described = describe(node)
    view = read_view(request, described)
    outer = described.shards or described.chunks
    at = [position // max(1, length) for position, length in zip(view.at, outer, strict=True)]
    commits = request.query_params.get("by") == "commit"
    found, problem = None, ""
    try:
        part = slice_of(session, node, view.y, view.x, at)
        if commits:
            ancestry = site.catalog(request).ancestry(version.id)
            found = by_commit(site.repo._core.library, part, ancestry)
        else:
            found = by_kind(part)
    except IcechunkError as error:
        problem = error.message
    return site.page(
        request,
        "chunks.html",
        version=version,
        node=described,
        crumbs=crumbs(described.path),
        view=view,
        labels=view.labels(session),
        found=found,
        problem=problem,
        by_commit=commits,
        **choices(site, request),
    )
