"""What all pages share: the repository, the templates, the state of the history."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from frazil._version import __version__
from frazil.ids import SnapshotId
from frazil.library.cache import Cache
from frazil.library.catalog import Catalog
from frazil.notebook import readable
from frazil.repository import Repository
from frazil.session import Session
from frazil.storage import Storage
from frazil.verification import VerifyReport
from frazil.web.commits import Commits, read_commits
from frazil.web.lanes import lanes
from frazil.web.values import Parts
from frazil.web.versions import Version, find_version, usual_version

LONGEST = 50_000
"""Characters of a value that are shown."""
PARTS = 64 * 1024 * 1024
"""Bytes of elements that are kept."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Site:
    """A repository, and how it is shown."""

    def __init__(self, repo: Repository, *, write: bool) -> None:
        self.repo = repo
        self.write = write
        self.secret = secrets.token_urlsafe(24)
        """What the forms hold that change something, and no other site knows."""
        self.verified: VerifyReport | None = None
        """The last verification that was made here."""
        self.parts: Parts = Cache(PARTS, lambda values: values.nbytes)
        """What pictures were made of: light and dark, and side by side, it is the same."""
        self._commits: Commits | None = None
        self._templates = Environment(
            loader=PackageLoader("frazil.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            link=link, lanes=lanes, number=number, plural=plural, place=_place(repo)
        )
        self._templates.filters.update(
            bytes=readable,
            moment=moment,
            iso=iso,
            headline=headline,
            brief=brief,
            capital=capital,
            shortly=shortly,
            breakable=breakable,
        )
        self._templates.globals.update(
            site=self, name=name_of(repo.storage), version_of_frazil=__version__
        )

    def catalog(self, request: Request) -> Catalog:
        """Branches, tags and snapshots, as they are when a page first asks."""
        state = request.state
        if not hasattr(state, "catalog"):
            state.catalog = self.repo._core.catalog.at_once()
        found: Catalog = state.catalog
        return found

    def commits(self, request: Request) -> Commits:
        """The history as it is now."""
        self._commits = read_commits(self.catalog(request), self._commits)
        return self._commits

    def version(self, request: Request, name: str = "at") -> Version:
        """The version that a parameter names, or the usual one."""
        text = request.query_params.get(name, "")
        catalog = self.catalog(request)
        return find_version(catalog, text) if text else usual_version(catalog)

    def session(self, version: Version) -> Session:
        """A view of a version."""
        return self.session_at(version.id)

    def session_at(self, id_: SnapshotId) -> Session:
        """A view of a snapshot."""
        core = self.repo._core
        return Session((core, core.session(id_)))

    def page(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page made of a template."""
        found = self._templates.get_template(template)
        return HTMLResponse(
            found.render(path_of_page=request.url.path, status=status, **values), status
        )


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


def integer(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A parameter as a number within limits; `HTTPException` 400 for what is none."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return min(max(default, low), high)
    try:
        return min(max(int(text[:20]), low), high)
    except ValueError:
        raise HTTPException(400, f"{name} must be a number, not {text[:40]!r}") from None


def link(address: str, /, **parameters: object) -> str:
    """An address with parameters; those that are None are left out."""
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    return f"{address}?{urlencode(given)}" if given else address


def number(count: int) -> str:
    """A number with thin spaces between the thousands."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(count: int, what: str) -> str:
    """A number of things."""
    return f"{number(count)} {what}{'s' * (count != 1)}"


def moment(when: int | datetime) -> str:
    """A time in UTC, to the minute; of a number, in µs since the epoch."""
    return f"{_moment(when):%Y-%m-%d %H:%M}"


def iso(when: int | datetime) -> str:
    """A time as HTML and programs take it."""
    return f"{_moment(when):%Y-%m-%dT%H:%M:%SZ}"


def _moment(when: int | datetime) -> datetime:
    if isinstance(when, datetime):
        return when.astimezone(UTC)
    try:
        return _EPOCH + timedelta(microseconds=when)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def headline(message: str) -> str:
    """The first line of a message."""
    return message.split("\n", 1)[0].strip() or "(no message)"


def brief(id_: object) -> str:
    """The beginning of an id."""
    return str(id_)[:8]


def capital(words: str) -> str:
    """A sentence with a capital, as sentences have it that stand alone, unless a name is first."""
    return words[:1].upper() + words[1:] if words.partition(" ")[0].isalpha() else words


def shortly(words: str) -> str:
    """A text, but not more than a page can bear."""
    more = len(words) - LONGEST
    return words if more <= 0 else f"{words[:LONGEST]}… and {number(more)} more characters"


def name_of(storage: Storage) -> str:
    """What a repository is called among others: the last part of its place, if it has one."""
    shown = {one.name: str(one.value or "") for one in storage._shown()}
    places = (
        shown.get(part, "").partition("?")[0]
        for part in ("prefix", "path", "url", "container", "bucket")
    )
    return next((place.rstrip("/").rpartition("/")[2] for place in places if place), "")


def _place(repo: Repository) -> str:
    """Where the repository is, as its storage shows it, which hides secrets."""
    return str(repo.storage)


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after each of its parts."""
    return Markup(re.sub(r"([._/-])(?=[^._/-])", r"\1<wbr>", str(escape(name))))
