"""Arguments and options that many commands have, and what they stand for."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.exits import Exit
from frazil.cli.output import note

if TYPE_CHECKING:
    from frazil import Repository, Session

Url = Annotated[str, typer.Argument(metavar="URL", help="The repository: a folder or URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
At = Annotated[str, typer.Option("--at", metavar="VERSION", help="Which version.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would happen.")]
Message = Annotated[str | None, typer.Option("--message", "-m", help="The commit's message.")]

_DURATION = re.compile(r"^(\d+)\s*([smhdw])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def open_repository(url: str) -> Repository:
    """The repository at a URL."""
    import frazil

    try:
        return frazil.open(url)
    except frazil.RepositoryNotFoundError as error:
        raise frazil.RepositoryNotFoundError(
            f"there is no repository at {url}: check the place, or make one with frazil init",
            error.kind,
        ) from error


def open_version(repo: Repository, version: str) -> Session:
    """A read-only session on a version."""
    return repo.readonly_session(snapshot_id=repo.resolve(version))


def moment(text: str) -> datetime:
    """`30d`, which is so long ago, or a date or time in ISO 8601, in UTC if it has no zone."""
    found = _DURATION.match(text)
    try:
        if found:
            age = timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
            return datetime.now(UTC) - age
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 30d, 12h, 2024-01-31 or 2024-01-31T12:00:00Z"
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is destroyed; ends the program without a yes.

    what: what will go, and how much of it. Where nobody can be asked, `--yes` is needed.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        note(f"frazil: {what}; nobody is there to confirm it: add --yes, or --dry-run to look")
        raise typer.Exit(Exit.USAGE)
    if not typer.confirm(f"{what}. Go on?", err=True):
        note("nothing was changed")
        raise typer.Exit(Exit.FINDING)
