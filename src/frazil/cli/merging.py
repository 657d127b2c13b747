"""Commands that bring changes together: merge, cherry-pick, revert, squash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.arguments import DryRun, Json, Message, Url, Yes, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import plural, print_json, say
from frazil.errors import InvalidInputError

if TYPE_CHECKING:
    from frazil import ConflictSolver, Repository

Onto = Annotated[str, typer.Option("--onto", metavar="BRANCH", help="The branch to change.")]
Prefer = Annotated[
    str | None,
    typer.Option(
        "--prefer",
        metavar="SIDE",
        help="Of chunks that both changed: ours, as the branch has them, or theirs.",
    ),
]


@command(
    "merge",
    Group.CHANGE,
    "frazil merge weather calibrated",
    'frazil merge weather calibrated --into main -m "Take over the calibration"',
)
def merge(
    url: Url,
    source: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch to merge.")],
    into: Annotated[
        str, typer.Option("--into", metavar="BRANCH", help="The branch to merge it into.")
    ] = "main",
    message: Message = None,
    fast_forward: Annotated[
        bool, typer.Option("--ff", help="Just move the branch if it has nothing of its own.")
    ] = False,
    prefer: Prefer = None,
    as_json: Json = False,
) -> None:
    """Merge a branch into another one."""
    repo, solver = open_repository(url), _solver(prefer)
    before = repo.lookup_branch(into)
    tip = repo.merge(source, into, message=message, solver=solver, fast_forward=fast_forward)
    _moved(into, before, tip, as_json=as_json)


@command(
    "cherry-pick",
    Group.CHANGE,
    "frazil cherry-pick weather calibrated --onto main",
)
def cherry_pick(
    url: Url,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The commit to repeat.")],
    onto: Onto = "main",
    message: Message = None,
    prefer: Prefer = None,
    as_json: Json = False,
) -> None:
    """Repeat one commit on another branch."""
    repo, solver = open_repository(url), _solver(prefer)
    before = repo.lookup_branch(onto)
    tip = repo.cherry_pick(repo.resolve(version), onto, message=message, solver=solver)
    _moved(onto, before, tip, as_json=as_json)


@command("revert", Group.CHANGE, "frazil revert weather main")
def revert(
    url: Url,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The commit to undo.")],
    onto: Onto = "main",
    message: Message = None,
    prefer: Prefer = None,
    as_json: Json = False,
) -> None:
    """Undo one commit in a new one."""
    repo, solver = open_repository(url), _solver(prefer)
    before = repo.lookup_branch(onto)
    tip = repo.revert(repo.resolve(version), onto, message=message, solver=solver)
    _moved(onto, before, tip, as_json=as_json)


@command(
    "squash",
    Group.CHANGE,
    'frazil squash weather main~2 -m "Temperatures and rain" --dry-run',
    'frazil squash weather main~2 -m "Temperatures and rain" --yes',
)
def squash(
    url: Url,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The last commit that stays as it is.")
    ],
    message: Annotated[str, typer.Option("--message", "-m", help="Of the one commit.")],
    onto: Onto = "main",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make one commit of all those after a version."""
    repo = open_repository(url)
    after, before = repo.resolve(version), repo.lookup_branch(onto)
    number = _commits_after(repo, before, after)
    if not number:
        raise InvalidInputError(f"{onto} has no commits after {version}")
    what = f"{plural(number, 'commit')} of {onto} will become one"
    if dry_run:
        _told({"branch": onto, "commits": number, "dry_run": True}, what, as_json=as_json)
        return
    confirm(what, yes=yes)
    _moved(onto, before, repo.squash(onto, after, message), as_json=as_json)


def _commits_after(repo: Repository, tip: str, after: str) -> int:
    for number, commit in enumerate(repo.ancestry(snapshot_id=tip)):
        if commit.id == after:
            return number
    raise InvalidInputError(f"snapshot {after} is not in the history of the branch")


def _solver(prefer: str | None) -> ConflictSolver | None:
    if prefer is None:
        return None
    if prefer not in ("ours", "theirs"):
        raise typer.BadParameter("--prefer takes ours or theirs")
    from frazil import MetadataMergeSolver, VersionSelection

    # The library calls what is put on top "ours"; in git's words that is the other side.
    mine = prefer == "theirs"
    side = VersionSelection.UseOurs if mine else VersionSelection.UseTheirs
    return MetadataMergeSolver(on_chunk_conflict=side)


def _moved(branch: str, before: str, after: str, *, as_json: bool) -> None:
    text = f"{branch} is at {after}, before at {before}"
    if before == after:
        text = f"{branch} has all of it already, and is at {after}"
    _told({"branch": branch, "before": before, "snapshot": after}, text, as_json=as_json)


def _told(document: dict[str, object], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        say(text)
