"""Making and deleting branches and tags, where that is allowed."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from frazil.format.history import SnapshotRecord
from frazil.ids import SnapshotId
from frazil.repository import Repository
from frazil.web.commits import Commits
from frazil.web.site import integer, link, site_of

PAGE, MANY = 100, 12
"""Names of a kind on a page; of more names than that, one can be looked for."""
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


@dataclass(frozen=True, slots=True)
class Named:
    """A page of branches or of tags: name and what it leads to, None where that is not known.

    total: how many there are that have what was looked for in their name; start: of the first.
    """

    kind: str
    title: str
    listed: list[tuple[str, SnapshotId, SnapshotRecord | None]]
    total: int
    start: int


def names(request: Request) -> Response:
    """The branches and tags, with forms to change them."""
    site = site_of(request)
    commits = site.commits(request)
    searched = request.query_params.get("find", "").strip()
    return site.page(
        request,
        "names.html",
        lists=[
            _page(request, commits, "branch", "Branches", commits.branches, searched),
            _page(request, commits, "tag", "Tags", commits.tags, searched),
        ],
        many=len(commits.branches) + len(commits.tags) > MANY,
        searched=searched,
        target=site.version(request),
        size=PAGE,
    )


def _page(
    request: Request,
    commits: Commits,
    kind: str,
    title: str,
    refs: Mapping[str, SnapshotId],
    searched: str,
) -> Named:
    found = sorted(name for name in refs if searched.lower() in name.lower())
    start = integer(request, kind, 0, 0, max(0, len(found) - 1))
    shown = [(name, refs[name]) for name in found[start : start + PAGE]]
    return Named(
        kind, title, [(name, id_, commits.record(id_)) for name, id_ in shown], len(found), start
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
