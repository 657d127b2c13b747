"""The history, and single commits."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from frazil.errors import IcechunkError
from frazil.ids import SnapshotId
from frazil.model.descent import OWN_KEY, merge_parents
from frazil.snapshots import Diff
from frazil.web.changes import Section, sections_of
from frazil.web.lanes import columns_of
from frazil.web.site import integer, site_of
from frazil.web.versions import find_version

PAGE = 50
"""Commits on a page."""


def history(request: Request) -> Response:
    """The graph of commits, newest first, with branches and tags."""
    site = site_of(request)
    commits = site.commits(request)
    start = integer(request, "start", 0, 0, max(0, len(commits) - 1))
    wanted = request.query_params.get("to", "")
    if wanted:
        place = commits.place(find_version(site.catalog(request), wanted).id)
        start = 0 if place is None else place - place % PAGE
    page = commits.page(start, PAGE)
    return site.page(
        request,
        "history.html",
        commits=commits,
        page=page,
        columns=columns_of([commit.place for commit in page]),
        start=start,
        earlier=start + PAGE if start + PAGE < len(commits) else None,
        later=max(0, start - PAGE) if start else None,
    )


def commit(request: Request) -> Response:
    """One commit: what it says of itself, and what it changed."""
    site = site_of(request)
    record = site.catalog(request).record(SnapshotId.parse(request.query_params.get("id", "")))
    sections: list[Section] = []
    problem = ""
    if record.parent is not None:
        try:
            sections = sections_of(_changes(request, record.parent, record.id))
        except IcechunkError as error:
            problem = error.message
    branches, tags = site.commits(request).names.get(record.id, ((), ()))
    metadata = {key: value for key, value in record.metadata.items() if key != OWN_KEY}
    return site.page(
        request,
        "commit.html",
        record=record,
        merged=merge_parents(record.metadata),
        branches=branches,
        tags=tags,
        metadata={key: json.dumps(value, default=str) for key, value in metadata.items()},
        sections=sections,
        problem=problem,
    )


def _changes(request: Request, parent: SnapshotId, id_: SnapshotId) -> Diff:
    return site_of(request).repo.diff(from_snapshot_id=str(parent), to_snapshot_id=str(id_))
