"""What whoever looks after a repository wants to know: sizes, health, operations, settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from frazil.errors import FormatError, IcechunkError
from frazil.growth import Ink
from frazil.hooks.runner import KEY
from frazil.ops import Update
from frazil.verification import Level
from frazil.web.figures import message
from frazil.web.pictures import look_of
from frazil.web.site import integer, site_of
from frazil.web.usage import by_array, is_quick, stored
from frazil.web.views.arrays import svg
from frazil.web.views.nodes import choices

if TYPE_CHECKING:
    from frazil.hooks import Hook
    from frazil.repository import Repository

PAGE = 100
"""Arrays and operations on a page."""

FINDINGS = 100
"""As many things that are wrong are listed."""

LEVELS: dict[str, Level] = {"metadata": "metadata", "objects": "objects"}
"""Of verification, those that do not read all chunks."""


def storage(request: Request) -> Response:
    """Bytes by array of a version; `measure`: even if that takes long, and of all objects."""
    site = site_of(request)
    version = site.version(request)
    session = site.session(version)
    measure = request.query_params.get("measure") == "1"
    backend = site.repo._core.library.backend
    problem, arrays, objects, statistics = "", None, None, None
    try:
        arrays = by_array(session) if measure or is_quick(session) else None
        if measure:
            objects = stored(backend)
            statistics = site.repo.statistics(objects=True)
    except IcechunkError as error:
        problem = error.message
    start = integer(request, "start", 0, 0, max(0, len(arrays or ()) - 1))
    return site.page(
        request,
        "storage.html",
        version=version,
        manifests=session._workspace.base.manifests,
        arrays=None if arrays is None else arrays[start : start + PAGE],
        count=len(arrays or ()),
        most=max((use.total for use in arrays or ()), default=0),
        total=sum(use.total for use in arrays or ()),
        start=start,
        page=PAGE,
        measure=measure,
        objects=objects,
        use=None if statistics is None else statistics.objects,
        problem=problem,
        **choices(site, request),
    )


def growth(request: Request) -> Response:
    """How the repository grew, as a picture."""
    look = look_of(request)
    try:
        found = site_of(request).repo.statistics().growth
        picture = found.svg(width=look.width, ink=Ink(look.ink, look.rule))
    except IcechunkError as error:
        picture = message(error.message, look)
    return svg(picture)


def health(request: Request) -> Response:
    """The state of the repository; on request, what is amiss."""
    site = site_of(request)
    repo = site.repo
    version_2 = int(repo.spec_version) >= 2
    level = LEVELS.get(request.query_params.get("verify", ""))
    if level is not None:
        site.verified = repo.verify(level, note=site.write)
    checkup = None
    if request.query_params.get("doctor") == "1":
        checkup = repo.doctor(snapshot_id=str(site.version(request).id))
    return site.page(
        request,
        "health.html",
        spec=int(repo.spec_version),
        state=repo.get_status() if version_2 else None,
        flags=repo.feature_flags() if version_2 else [],
        containers=sorted(repo.config.virtual_chunk_containers or {}),
        authorized=repo.authorized_virtual_container_prefixes,
        checkup=checkup,
        verified=site.verified,
        noted=repo.last_verification() if site.verified is None else None,
        stats=repo.stats,
        most=FINDINGS,
    )


def operations(request: Request) -> Response:
    """The log of operations, newest first."""
    site = site_of(request)
    start = integer(request, "start", 0, 0, 1_000_000)
    entries: list[tuple[datetime, str, list[tuple[str, str]]]] = []
    problem = ""
    try:
        found = islice(site.repo.ops_log(), start, start + PAGE + 1)
        entries = [_entry(update) for update in found]
    except IcechunkError as error:
        problem = error.message
    return site.page(
        request,
        "operations.html",
        entries=entries[:PAGE],
        start=start,
        earlier=start + PAGE if len(entries) > PAGE else None,
        later=max(0, start - PAGE) if start else None,
        problem=problem,
    )


def _entry(update: Update) -> tuple[datetime, str, list[tuple[str, str]]]:
    """When, what in words, and its details."""
    kind: Any = update.kind
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(kind).__name__).replace("GCRan", "GC ran")
    details = [
        (field.name.replace("_snap_id", ""), str(getattr(kind, field.name)))
        for field in fields(kind)
        if field.name != "status"
    ]
    if hasattr(kind, "status"):
        details.append(("status", str(kind.status.availability)))
    return update.updated_at, words[0] + words[1:].lower().replace("gc ", "GC "), details


def configuration(request: Request) -> Response:
    """The settings in effect, the repository's metadata; on request, earlier settings."""
    site = site_of(request)
    repo = site.repo
    version_2 = int(repo.spec_version) >= 2
    history = None
    hooks = _hooks(repo)
    if request.query_params.get("history") == "1" and version_2:
        history = repo.config_history()
    return site.page(
        request,
        "configuration.html",
        settings=list(_flat(repo.config.to_document())),
        metadata={
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in (repo.get_metadata() if version_2 else {}).items()
            if name != KEY or not hooks
        },
        hooks=hooks,
        storage=str(repo.storage),
        version_2=version_2,
        history=history,
    )


def _hooks(repo: Repository) -> list[Hook]:
    """The stored hooks; none if they cannot be understood, which is no reason to show nothing."""
    try:
        return repo.hooks.stored()
    except FormatError:
        return []


def _flat(document: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Each setting of a document that is set."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif document is not None and document != {}:
        yield name, document if isinstance(document, str) else json.dumps(document)
