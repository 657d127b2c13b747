"""Making and deleting branches and tags, where that is allowed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from frazil.repository import Repository
from frazil.web.site import link, site_of

FORM_BYTES = 64 * 1024
"""More is no form of this site."""

Change = Callable[[Repository, str, str], None]


def _create_branch(repo: Repository, name: str, snapshot: str) -> None:
    repo.create_branch(name, snapshot)


def _delete_branch(repo: Repository, name: str, snapshot: str) -> None:
    repo.delete_branch(name)


def _create_tag(repo: Repository, name: str, snapshot: str) -> None:
    repo.create_tag(name, snapshot)


def _delete_tag(repo: Repository, name: str, snapshot: str) -> None:
    repo.delete_tag(name)


CHANGES: dict[tuple[str, str], Change] = {
    ("branch", "create"): _create_branch,
    ("branch", "delete"): _delete_branch,
    ("tag", "create"): _create_tag,
    ("tag", "delete"): _delete_tag,
}
"""All that can be changed in the explorer: kind and action."""


def names(request: Request) -> Response:
    """The branches and tags, with forms to change them."""
    site = site_of(request)
    commits = site.commits(request)
    return site.page(
        request,
        "names.html",
        branches=sorted(commits.branches.items()),
        tags=sorted(commits.tags.items()),
        target=site.version(request),
    )


async def change(request: Request) -> Response:
    """Do what a form of the page of names asks for."""
    site = site_of(request)
    form = await _form(request)
    if not hmac.compare_digest(form.get("secret", "").encode(), site.secret.encode()):
        raise HTTPException(403, "This form is not of this page: load it again.")
    made = CHANGES.get((form.get("kind", ""), form.get("action", "")))
    if made is None:
        raise HTTPException(400, "There is no such change.")
    await run_in_threadpool(made, site.repo, form.get("name", ""), form.get("snapshot", ""))
    return RedirectResponse(link("/names"), 303)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name."""
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > FORM_BYTES:
            raise HTTPException(413, "That is more than a form has.")
    try:
        fields = parse_qs(content.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        raise HTTPException(400, "That is no form.") from None
    return {name: values[0] for name, values in fields.items()}
