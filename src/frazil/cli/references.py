"""Commands on the names of versions: branch, tag, reset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.arguments import DryRun, Json, Url, Yes, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import headline, plural, print_json, say, table, when

if TYPE_CHECKING:
    from frazil import Repository, SnapshotInfo


def _not_empty(name: str | None) -> str | None:
    if name == "":
        raise typer.BadParameter("the name is empty")
    return name


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="Its name; without it, all are listed.", callback=_not_empty
    ),
]
Version = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="Where it points to; main unless given.")
]
Delete = Annotated[bool, typer.Option("--delete", "-d", help="Delete it.")]


@command(
    "branch",
    Group.CHANGE,
    "frazil branch weather",
    "frazil branch weather experiment v1",
    "frazil branch weather calibrated --delete --yes",
)
def branch(
    url: Url,
    name: Name = None,
    version: Version = None,
    delete: Delete = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List branches, make one, or delete one."""
    repo = open_repository(url)
    if name is None:
        tips = {n: repo.lookup_branch(n) for n in sorted(repo.list_branches())}
        _show(repo, tips, "BRANCH", delete=delete, as_json=as_json)
    elif delete:
        _delete(repo, "branch", name, yes=yes, dry_run=dry_run, as_json=as_json)
    else:
        target = repo.resolve(version or "main")
        if not dry_run:
            with _hint("frazil reset moves it"):
                repo.create_branch(name, target)
        _made("branch", name, target, dry_run=dry_run, as_json=as_json)


@command(
    "tag",
    Group.CHANGE,
    "frazil tag weather",
    "frazil tag weather v2 main",
    "frazil tag weather v1 --delete --yes",
)
def tag(
    url: Url,
    name: Name = None,
    version: Version = None,
    delete: Delete = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List tags, make one, or delete one.

    The name of a deleted tag cannot be used again.
    """
    repo = open_repository(url)
    if name is None:
        targets = {n: repo.lookup_tag(n) for n in sorted(repo.list_tags())}
        _show(repo, targets, "TAG", delete=delete, as_json=as_json)
    elif delete:
        _delete(repo, "tag", name, yes=yes, dry_run=dry_run, as_json=as_json)
    else:
        target = repo.resolve(version or "main")
        if not dry_run:
            with _hint("tags cannot be moved, choose another name"):
                repo.create_tag(name, target)
        _made("tag", name, target, dry_run=dry_run, as_json=as_json)


@command(
    "reset",
    Group.CHANGE,
    "frazil reset weather main v1 --dry-run",
    "frazil reset weather main main~1 --yes",
)
def reset(
    url: Url,
    name: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch to move.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Where to.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Point a branch at another version.

    What it had after that leaves its history.
    """
    repo = open_repository(url)
    before, target = repo.lookup_branch(name), repo.resolve(version)
    lost = repo.lost_without(branch=name, to=target)
    what = f"branch {name} moves from {before[:8]} to {target[:8]}; {_loss(lost)}"
    if not dry_run:
        if lost:
            confirm(what, yes=yes)
        repo.reset_branch(name, target, from_snapshot_id=before)
    if as_json:
        ids = [commit.id for commit in lost]
        print_json({"branch": name, "from": before, "to": target, "lost": ids, "dry_run": dry_run})
    else:
        say(what)
        _list(lost)


@contextmanager
def _hint(text: str) -> Iterator[None]:
    """Say what to do where a name is taken."""
    from frazil import AlreadyExistsError

    try:
        yield
    except AlreadyExistsError as error:
        raise AlreadyExistsError(f"{error.message}: {text}", error.kind) from error


def _show(
    repo: Repository, refs: dict[str, str], head: str, *, delete: bool, as_json: bool
) -> None:
    if delete:
        raise typer.BadParameter("--delete needs a name")
    if as_json:
        print_json(refs)
        return
    commits = {name: repo.lookup_snapshot(id_) for name, id_ in refs.items()}
    table(
        (head, "SNAPSHOT", "WRITTEN (UTC)", "MESSAGE"),
        [(n, c.id[:8], when(c.written_at), headline(c.message)) for n, c in commits.items()],
    )


def _made(kind: str, name: str, target: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({kind: name, "snapshot": target, "dry_run": dry_run})
    else:
        say(f"{'would make' if dry_run else 'made'} {kind} {name} at {target}")


def _delete(
    repo: Repository, kind: str, name: str, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    is_branch = kind == "branch"
    lost = repo.lost_without(**{kind: name})
    target = repo.lookup_branch(name) if is_branch else repo.lookup_tag(name)
    if not dry_run:
        confirm(f"{kind} {name} at {target[:8]} will be deleted; {_loss(lost)}", yes=yes)
        (repo.delete_branch if is_branch else repo.delete_tag)(name)
    if as_json:
        ids = [commit.id for commit in lost]
        print_json({kind: name, "snapshot": target, "lost": ids, "dry_run": dry_run})
    else:
        done = "would delete" if dry_run else "deleted"
        say(f"{done} {kind} {name}, which was at {target}; {_loss(lost)}")
        _list(lost)


def _loss(lost: list[SnapshotInfo]) -> str:
    if not lost:
        return "no commit is lost"
    return f"{plural(len(lost), 'commit')} then on no branch and no tag"


def _list(commits: list[SnapshotInfo], most: int = 10) -> None:
    for commit in commits[:most]:
        say(f"  {commit.id[:8]} {headline(commit.message)}")
    if len(commits) > most:
        say(f"  and {len(commits) - most} more")
