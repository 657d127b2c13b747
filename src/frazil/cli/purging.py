"""A command that removes something from all of history."""

from __future__ import annotations

from typing import Annotated

import typer

from frazil.cli.arguments import DryRun, Json, Url, Yes, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import facts, plural, print_json, say, size


@command(
    "purge",
    Group.OPERATE,
    "frazil purge weather /rain --dry-run",
    "frazil purge weather /t2m --attribute units --yes",
    "frazil purge weather /rain/total --yes --json",
)
def purge(
    url: Url,
    path: Annotated[str, typer.Argument(metavar="PATH", help="An array, or a group.")],
    region: Annotated[
        str | None,
        typer.Option("--region", help="Only these elements, whole chunks: 0:100,:,20:40."),
    ] = None,
    attribute: Annotated[
        str | None, typer.Option("--attribute", help="Only this attribute of the node.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove an array, or a part of it, from all of history.

    Or an attribute of a node. It is gone for good. Commits that tell of it get other ids; branches
    and tags follow. Files are deleted at once, then all are read to see that nothing is left. Ends
    with 1 if something is. Nobody may write meanwhile. Copies of the repository are not reached.
    """
    repo, parts = open_repository(url), None if region is None else _region(region)
    found = repo.purge(path, region=parts, attribute=attribute)
    what = (
        f"{found.target} will be removed from {plural(len(found.snapshots), 'commit')} for good: "
        f"{plural(found.chunks, 'chunk')}, {size(found.bytes)}"
    )
    if not dry_run:
        confirm(what, yes=yes)
        found = repo.purge(path, region=parts, attribute=attribute, dry_run=False)
    if as_json:
        print_json(found.to_dict())
    elif dry_run:
        say(what)
    else:
        say(f"{found.target} is removed from {plural(len(found.snapshots), 'commit')}")
        read = ", ".join(f"{count} {kind}" for kind, count in found.files_read.items())
        facts(
            {
                "  chunks": f"{found.chunks}, {size(found.bytes)}",
                "  in manifests": found.inline or None,
                "  in foreign files": found.virtual or None,
                "  objects deleted": found.objects_deleted or None,
                "  objects rewritten": found.objects_rewritten or None,
                "  read to prove it": read,
            }
        )
        for key in found.remaining:
            say(f"  still tells of it: {key}")
        for key in found.unreadable:
            say(f"  cannot be read: {key}")
        for key in found.unattributed:
            say(f"  nothing refers to it, and it does not say what it is: {key}; see gc")
    if not (dry_run or found.is_clean):
        raise typer.Exit(Exit.FINDING)


def _region(text: str) -> tuple[slice, ...]:
    try:
        return tuple(
            slice(*(int(part) if part.strip() else None for part in one.split(":")))
            if ":" in one
            else slice(int(one), int(one) + 1)
            for one in text.strip("[] ").split(",")
        )
    except (ValueError, TypeError):
        raise typer.BadParameter(f"{text!r} is no region: write 0:100,:,20:40") from None
