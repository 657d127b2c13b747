"""Arguments and options that many commands have, and what they stand for."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.exits import Exit
from frazil.cli.output import note

if TYPE_CHECKING:
    from frazil import AnyCredential, Repository, Session

Url = Annotated[str, typer.Argument(metavar="URL", help="The repository: a folder or URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
At = Annotated[str, typer.Option("--at", metavar="VERSION", help="Which version.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would happen.")]
Virtual = Annotated[
    list[str] | None,
    typer.Option(
        "--virtual",
        metavar="PREFIX",
        help="Allow reading virtual chunks below this URL; repeatable.",
    ),
]
Message = Annotated[str | None, typer.Option("--message", "-m", help="The commit's message.")]

_DURATION = re.compile(r"^(\d+)\s*([smhdw])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _has_backups(url: str) -> bool:
    """Whether there is a backup of the list of branches and commits of a repository."""
    from frazil.errors import IcechunkError
    from frazil.storage import storage_from_url

    try:
        found = storage_from_url(url).backend().list("overwritten")
        return any("/repo." in one.key for one in found)
    except IcechunkError:
        return False  # a place that cannot be listed


def open_repository(url: str, virtual: list[str] | None = None) -> Repository:
    """The repository at a URL; `virtual` as in the option of this name."""
    import frazil

    if os.path.isfile(url):
        raise frazil.RepositoryNotFoundError(
            f"there is no repository at {url}, which is a file",
            frazil.ErrorKind.REPOSITORY_NOT_FOUND,
        )
    try:
        return frazil.open(url, authorize_virtual_chunk_access=_access(virtual or []))
    except frazil.RepositoryNotFoundError as error:
        what = f"there is no repository at {url}: check the place, or make one with frazil init"
        if _has_backups(url):
            what = (
                f"the list of branches and commits at {url}, the file 'repo', is lost, but there "
                "are backups of it: frazil repair says what the newest one holds, and puts it back"
            )
        raise frazil.RepositoryNotFoundError(what, error.kind) from error
    except frazil.ReadOnlyError as error:
        raise frazil.ReadOnlyError(
            f"the repository at {url} is archived; frazil status says why, and with --set online "
            "it can be used again",
            error.kind,
        ) from error


def _access(prefixes: list[str]) -> dict[str, AnyCredential | None]:
    """Credentials of the environment for containers of virtual chunks; None where none go."""
    import frazil

    found: dict[str, Any] = {}
    for prefix in prefixes:
        scheme = prefix.partition("://")[0].lower()
        if scheme in ("s3", "r2", "tigris"):
            found[prefix] = frazil.s3_credentials(from_env=True)
        elif scheme in ("gs", "gcs"):
            found[prefix] = frazil.gcs_credentials(from_env=True)
        elif scheme in ("az", "azure", "abfs", "abfss"):
            found[prefix] = frazil.azure_credentials(from_env=True)
        else:
            found[prefix] = None
    return frazil.containers_credentials(found)


def open_version(repo: Repository, version: str) -> Session:
    """A read-only session on a version."""
    return repo.readonly_session(snapshot_id=repo.resolve(version))


def moment(text: str) -> datetime:
    """`30d`, which is so long ago, or a date or time in ISO 8601, in UTC if it has no zone."""
    found = age_or_moment(text)
    try:
        return found if isinstance(found, datetime) else datetime.now(UTC) - found
    except OverflowError:
        raise _no_time(text) from None


def age_or_moment(text: str) -> timedelta | datetime:
    """As `moment`, but `30d` as what it is."""
    found = _DURATION.match(text)
    try:
        if found:
            return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise _no_time(text) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _no_time(text: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r} is no time: write 30d, 12h, 2024-01-31 or 2024-01-31T12:00:00Z"
    )


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
