"""Commands that prove a repository whole, and mend it: verify, repair."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from frazil.cli.arguments import DryRun, Json, Url, Yes, confirm, moment, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import facts, plural, print_json, say
from frazil.verification import Level, RepairReport


@command(
    "verify",
    Group.OPERATE,
    "frazil verify weather",
    "frazil verify weather --level data --path /t2m --json",
    "frazil verify weather --level data --resume notes.json --html report.html",
)
def verify(
    url: Url,
    level: Annotated[
        str,
        typer.Option("--level", help="metadata, objects, or data, which reads all chunks."),
    ] = "objects",
    branch: Annotated[str | None, typer.Option("--branch", help="Only this branch.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only this tag.")] = None,
    path: Annotated[str, typer.Option("--path", help="Only this node and those below.")] = "/",
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only commits from then on.")
    ] = None,
    sample: Annotated[
        float, typer.Option("--sample", help="The share of chunk objects that data reads.")
    ] = 1.0,
    max_memory: Annotated[
        int, typer.Option("--max-memory", metavar="MIB", help="What references may take.")
    ] = 1024,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="FILE", help="Note progress there, and go on from it."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report there, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether everything in the history is there and as it was written.

    Ends with 1 if something is wrong. Nothing is changed but a note of when that was.
    """
    try:
        found = open_repository(url).verify(
            cast(Level, level),
            branch=branch,
            tag=tag,
            path=path,
            since=None if since is None else moment(since),
            sample=sample,
            max_memory=max_memory * 1024 * 1024,
            resume=resume,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    else:
        say("whole" if found.is_healthy else plural(len(found.findings), "finding"))
        for one in found.findings:
            say(f"  {one}: {one.advice}")
        facts(
            {
                "  level": found.level,
                "  snapshots": found.snapshots,
                "  manifests": found.manifests,
                "  chunk objects": found.objects,
                "  chunks": found.chunks,
                "  compared": found.checked or None,
                "  decoded": found.decoded or None,
                "  not tried": found.unchecked or None,
            }
        )
        if not found.is_healthy:
            look = " --level data" if found.level == "data" else ""
            say(f"to see what can be mended: frazil repair {shlex.quote(url)}{look} --dry-run")
    if not found.is_healthy:
        raise typer.Exit(Exit.FINDING)


@command(
    "repair",
    Group.OPERATE,
    "frazil repair weather --dry-run",
    "frazil repair weather --yes",
    "frazil repair weather --drop-lost --level data --dry-run",
)
def repair(
    url: Url,
    drop_lost: Annotated[
        bool, typer.Option("--drop-lost", help="Give up lost chunks, in a new commit.")
    ] = False,
    branch: Annotated[
        str, typer.Option("--branch", help="The branch on which lost chunks are given up.")
    ] = "main",
    level: Annotated[
        str,
        typer.Option(
            "--level", help="As of verify: only with data, damaged bytes of chunks are seen."
        ),
    ] = "objects",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Mend what can be proven, and say what cannot.

    A lost or damaged list of branches and commits (the file 'repo') is replaced by its newest
    backup; the last change may be lost. Lost or damaged manifests are built anew from what is
    left. Lost or damaged transaction logs are told from what differs between snapshots, and it is
    said what cannot be known of them. With --drop-lost, chunks that are lost become fill values.
    Damaged files are kept in overwritten/. Ends with 1 if something is still wrong.
    """
    from frazil import Repository
    from frazil.storage import storage_from_url

    storage = storage_from_url(url)
    try:
        mend = partial(
            Repository.repair,
            storage,
            drop_lost=drop_lost,
            branch=branch,
            level=cast(Level, level),
        )
        found = mend()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if found.is_needed and not dry_run:
        confirm("; ".join(_plan(found)), yes=yes)
        found = mend(dry_run=False)
    if as_json:
        print_json(found.to_dict())
    else:
        _tell(found, url, branch=branch if drop_lost else None, level=level)
    if found.left:
        raise typer.Exit(Exit.FINDING)


def _tell(found: RepairReport, url: str, *, branch: str | None, level: str) -> None:
    """Print a report; branch: where lost chunks are given up, if that was asked for."""
    place = shlex.quote(url)
    if not found.is_needed:
        looked = "" if level == "data" else f", as far as --level {level} looks"
        say("nothing can be repaired" if found.left else f"nothing to repair{looked}")
    for line in _plan(found):
        say(line)
    facts(
        {
            "  damaged file": found.kept,
            "  not in the history": ", ".join(found.lost_snapshots) or None,
            "  commit": found.snapshot,
        }
    )
    for note in dict.fromkeys(note for log in found.logs for note in log.uncertain):
        say(f"  uncertain of logs: {note}")
    for manifest in found.lost:
        say(f"  lost with manifests/{manifest.id}: {manifest.summary()}")
    for one in found.left:
        say(f"  left: {one}: {one.last_resort}")
    if found.restored is not None and found.dry_run:
        say("what else is wrong shows when this is done")
    elif found.restored is not None:
        say(f"whether all else is whole: frazil verify {place}")
    elif found.snapshot is not None and found.left:
        say(f"{branch} is as whole as it can be from this commit on; versions before stay damaged")
    elif branch is None and (found.lost or any(one.chunks for one in found.left)):
        option = " --level data" if level == "data" else ""
        say(
            "without a copy, lost chunks can be given up: "
            f"frazil repair {place}{option} --drop-lost --dry-run"
        )


def _plan(found: RepairReport) -> list[str]:
    """What was done, or would be."""
    will = "would be" if found.dry_run else "is"
    lines = []
    if found.restored is not None:
        lost = plural(len(found.lost_snapshots), "commit")
        lines.append(f"repo {will} restored from {found.restored}; {lost} not in that history")
    for one in found.manifests:
        lines.append(
            f"manifest {one.id}, {plural(one.chunks, 'chunk')} of {', '.join(one.arrays)}, "
            f"{will} built anew (by {one.proof})"
        )
    for log in found.logs:
        lines.append(f"transaction log {log.id} {will} told from snapshots: {log.summary()}")
    for drop in found.dropped:
        lines.append(f"{'would be ' * found.dry_run}given up: {drop.summary()}")
    return lines
