"""Two versions side by side."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from frazil.format.snapshot import NodeKind
from frazil.paths import check_path
from frazil.web.comparing import compare, first_change
from frazil.web.documents import describe
from frazil.web.pictures import read_view
from frazil.web.site import Site, site_of
from frazil.web.versions import Version, find_version
from frazil.web.views.nodes import choices, crumbs


def comparison(request: Request) -> Response:
    """What is different between two versions; with a path, an array of both in pictures."""
    site = site_of(request)
    after = site.version(request, "after")
    before = _before(request, site, after)
    path = request.query_params.get("path")
    if path:
        return _arrays(request, site, before, after, check_path(path))
    library = site.repo._core.library
    sections, counted = compare(library, library.snapshot(before.id), library.snapshot(after.id))
    return site.page(
        request,
        "compare.html",
        before=before,
        after=after,
        sections=sections,
        counted=counted,
        **choices(site, request),
    )


def _before(request: Request, site: Site, after: Version) -> Version:
    """The version to compare with: the one before, unless told."""
    if request.query_params.get("before"):
        return site.version(request, "before")
    parent = site.catalog(request).record(after.id).parent
    return after if parent is None else find_version(site.catalog(request), f"snapshot:{parent}")


def _arrays(request: Request, site: Site, before: Version, after: Version, path: str) -> Response:
    session = site.session(after)
    found = session._array(path)
    node = describe(found)
    view = read_view(request, node)
    if not any(name.startswith("i") for name in request.query_params):
        library = site.repo._core.library
        snapshots = library.snapshot(before.id), library.snapshot(after.id)
        chunk = first_change(library, *snapshots, found)
        view = view if chunk is None else view.at_chunk(chunk)
    old = site.session(before)._workspace.node(path)
    there = old is not None and old.kind is NodeKind.ARRAY
    return site.page(
        request,
        "compare_array.html",
        before=before,
        after=after,
        node=node,
        crumbs=crumbs(path),
        there=there,
        view=view,
        labels=view.labels(session),
        **choices(site, request),
    )
