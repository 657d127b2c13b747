"""A command that removes something from all of history."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.arguments import DryRun, Json, Url, Virtual, Yes, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import facts, note, plural, print_json, say, size

if TYPE_CHECKING:
    from frazil.purging import PurgeReport

_LISTED = 10
"""Lines of one kind."""


@command(
    "purge",
    Group.OPERATE,
    "frazil purge weather /rain --dry-run",
    "frazil purge weather /t2m --region 0:10,:,3:5 --dry-run",
    "frazil purge weather /t2m --attribute units --yes",
    "frazil purge weather /rain/total --yes --json",
)
def purge(
    url: Url,
    path: Annotated[str, typer.Argument(metavar="PATH", help="An array, or a group.")],
    region: Annotated[
        str | None,
        typer.Option(
            "--region", help="Only these elements of the array, counted from 0: 0:100,:,20:40."
        ),
    ] = None,
    whole_chunks: Annotated[
        bool,
        typer.Option("--whole-chunks", help="Of a region, also what shares chunks with it."),
    ] = False,
    attribute: Annotated[
        str | None, typer.Option("--attribute", help="Only this attribute of the node.")
    ] = None,
    virtual: Virtual = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove an array, or elements of it, from all of history.

    Or an attribute of a node. It is gone for good; elements read as fill value. Commits that tell
    of it get other ids; branches and tags follow. Files are deleted at once, then all are read to
    see that nothing is left. Ends with 1 if something is. Nobody may write meanwhile. Copies of the
    repository are not reached.
    """
    if attribute is not None and region is not None:
        raise typer.BadParameter("give --region or --attribute, not both")
    if whole_chunks and region is None:
        raise typer.BadParameter("--whole-chunks goes with --region")
    repo, parts = open_repository(url, virtual), None if region is None else _region(region)
    run = partial(repo.purge, path, region=parts, attribute=attribute, whole_chunks=whole_chunks)
    if dry_run or not yes:
        found = run()
    if not dry_run:
        if not yes:
            for warning in found.warnings:
                note(f"frazil: {warning}")
            confirm(_question(found), yes=yes)
        found = run(dry_run=False)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)
    if not (dry_run or found.is_clean):
        raise typer.Exit(Exit.FINDING)


def _question(found: PurgeReport) -> str:
    if not _concerns(found):
        return f"nothing in the repository tells of {found.target}"
    parts = [
        f"{plural(count, 'chunk')}, {size(nbytes)}, {what}"
        for count, nbytes, what in (
            (found.chunks, found.bytes, "go"),
            (found.chunks_rewritten, found.bytes_rewritten, "are written anew without it"),
        )
        if count
    ]
    if found.foreign_files:
        parts.append(f"{plural(len(found.foreign_files), 'foreign file')} will still have it")
    where = plural(len(found.snapshots), "commit")
    return f"{found.target}: to be removed from {where}, for good; " + (
        "; ".join(parts) or "no chunk is concerned"
    )


def _concerns(found: PurgeReport) -> bool:
    return bool(found.snapshots or found.chunks or found.manifests or found.logs)


def _show(found: PurgeReport) -> None:
    """The report, for whoever has to answer for it."""
    done = f"{found.target}: removed from {plural(len(found.snapshots), 'commit')}"
    say(_question(found) if found.dry_run or not _concerns(found) else done)
    read = ", ".join(f"{count} {kind}" for kind, count in found.files_read.items())
    if found.chunks_checked:
        read += f"; {plural(found.chunks_checked, 'chunk')} decoded"
    deleted = found.objects_deleted + found.objects_rewritten
    moved = found.objects_rewritten
    kept = f"; what stays of {moved} is in new ones" if moved else ""
    foreign = found.virtual + found.virtual_rewritten
    facts(
        {
            "  chunks that go": _amount(found.chunks, found.bytes),
            "  chunks written anew": _amount(
                found.chunks_rewritten,
                found.bytes_rewritten,
                "; fill value in these elements, the others as they were",
            ),
            "  references to chunks": f"{found.inline} in manifests" if found.inline else None,
            "  references to foreign files": foreign or None,
            "  objects deleted": f"{deleted}{kept}" if deleted else None,
            "  backups deleted": found.backups or None,
            "  read to plan it" if found.dry_run else "  read to prove it": read,
        }
    )
    if not found.dry_run:
        _some(
            "  these commits have other ids now:",
            (f"{old} is {new}" for old, new in found.snapshots.items()),
        )
    _some(
        "  these files are not the repository's, and still have it:"
        if _concerns(found)
        else "  it may be in these files, which are not the repository's:",
        found.foreign_files,
    )
    for warning in found.warnings:
        say(f"  note: {warning}")
    for key in found.remaining:
        say(f"  still tells of it: {key}")
    for key in found.unreadable:
        say(f"  cannot be read: {key}")
    for key in found.unattributed:
        say(f"  nothing refers to it, and it does not say what it is: {key}; see gc")
    for chunk in found.same_bytes:
        say(f"  has the same bytes as a chunk that went: {chunk}")
    if found.dry_run:
        say("nothing has changed: this was a dry run")
    elif found.is_clean:
        say("nothing in the repository tells of it any more")
    else:
        say("look at what is listed above: it may still tell of it")


def _amount(count: int, nbytes: int, what: str = "") -> str | None:
    return f"{count}, {size(nbytes)}{what}" if count else None


def _some(title: str, lines: Iterable[str]) -> None:
    """The first of some lines, if there are any, and how many more there are."""
    listed = [*lines]
    if listed:
        say(title)
        for line in listed[:_LISTED]:
            say(f"    {line}")
        if len(listed) > _LISTED:
            say(f"    and {len(listed) - _LISTED} more: --json has all")


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
