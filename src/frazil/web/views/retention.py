"""Which versions stay and which would go, and what nothing needs any more. Changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from frazil.errors import IcechunkError
from frazil.library.catalog_v2 import CatalogV2
from frazil.web.retention import QUICK_SNAPSHOTS, read_upkeep
from frazil.web.site import Site, site_of

SHOWN = 20
"""As many versions, tags and arrays are listed."""
_WEEK = timedelta(days=7)
"""What is younger may be of a session that is still at work."""


def retention(request: Request) -> Response:
    """The policy and what it would let go, leases, and on request what a collection would free."""
    site = site_of(request)
    known = read_upkeep(site.repo)
    policy = known.policies[0].policy if known.policies else None
    asked = request.query_params.get("preview") == "1"
    plan, garbage, problem = None, None, ""
    try:
        if policy is not None and (asked or _is_quick(site, request)):
            plan = site.repo.apply_retention(dry_run=True)
    except IcechunkError as error:
        problem = error.message
    cutoff = request.query_params.get("older")
    garbage_problem = ""
    if cutoff is not None:
        before = _day(cutoff)
        try:
            garbage = site.repo.garbage_report(before)
        except IcechunkError as error:
            garbage_problem = error.message
    return site.page(
        request,
        "retention.html",
        known=known,
        policy=policy,
        plan=plan,
        problem=problem,
        cutoff=cutoff,
        usual=f"{datetime.now(UTC) - _WEEK:%Y-%m-%d}",
        garbage=garbage,
        garbage_problem=garbage_problem,
        until=_until,
        now=datetime.now(UTC),
        most=SHOWN,
    )


def _is_quick(site: Site, request: Request) -> bool:
    """Whether the history is at hand, and short."""
    catalog = site.catalog(request)
    return isinstance(catalog, CatalogV2) and len(catalog.info().snapshots) <= QUICK_SNAPSHOTS


def _until(lease: Any) -> int:
    """When a lease lapses if it is not renewed, in us since the epoch."""
    return int(lease.renewed + lease.seconds * 1_000_000)


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise HTTPException(400, f"{text[:40]!r} is no day such as 2026-01-31") from None
