"""The command that gathers small objects: pack."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.arguments import DryRun, Json, Message, Url, Yes, confirm, moment, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import facts, plural, print_json, say, size

if TYPE_CHECKING:
    from frazil.repacking import RepackSummary

_LETTERS = ("", "K", "M", "G", "T", "P")
_SIZE = re.compile(r"^(\d+)\s*([KMGTP]?)(?:iB|B)?$", re.IGNORECASE)


@command(
    "pack",
    Group.OPERATE,
    "frazil pack weather --history --dry-run",
    "frazil pack weather --pattern 't*' --yes",
)
def pack(
    url: Url,
    branch: Annotated[
        str | None, typer.Option("--branch", help="Only what this leads to; main by default.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="All versions; of all branches and tags.")
    ] = False,
    path: Annotated[str, typer.Option("--path", help="Only this node and those below.")] = "/",
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", help="Only arrays whose path fits: * and ** as in a shell."),
    ] = None,
    regex: Annotated[
        str | None, typer.Option("--regex", help="Only arrays in whose path this is found.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="TIME", help="Only objects that are older: 30d, a date."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TIME", help="Only objects that are younger.")
    ] = None,
    smaller_than: Annotated[
        str | None,
        typer.Option("--smaller-than", metavar="SIZE", help="Objects to gather: 1M by default."),
    ] = None,
    dead: Annotated[
        float, typer.Option("--dead", help="Also objects of which a larger share is not needed.")
    ] = 0.5,
    together: Annotated[
        list[str] | None,
        typer.Option("--together", metavar="PATH", help="Put side by side; repeatable."),
    ] = None,
    recompress: Annotated[
        int | None,
        typer.Option("--recompress", metavar="LEVEL", help="Compress anew where it saves 5%."),
    ] = None,
    message: Message = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Gather small chunk objects into packs, and drop dead space.

    Others may read and commit meanwhile. The old objects stay until gc deletes them.
    """
    repo = open_repository(url)

    def run(only_look: bool) -> RepackSummary:
        try:
            return repo.repack(
                message or "Repack chunks",
                branch=branch,
                history=history,
                path=path,
                pattern=pattern,
                regex=regex,
                written_before=None if before is None else moment(before),
                written_after=None if after is None else moment(after),
                smaller_than=None if smaller_than is None else _bytes(smaller_than),
                dead=dead,
                together=together or (),
                recompress=recompress,
                dry_run=only_look,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    found = run(True)
    moving = found.chunks_moved + found.chunks_shared > 0
    if moving and not dry_run:
        chunks, objects = found.chunks_moved, plural(found.objects_written, "object")
        what = (
            f"{plural(chunks, 'chunk')}, {size(found.bytes_moved)}, will be copied into {objects}; "
            "the old objects stay until gc deletes them"
        )
        confirm(what, yes=yes)
        found = run(False)
    if as_json:
        print_json(found.to_dict() | {"dry_run": dry_run})
        return
    if not moving:
        say("nothing to pack")
        return
    verb = "would be copied" if dry_run else "copied"
    say(f"{plural(found.chunks_moved, 'chunk')} {verb}, {size(found.bytes_moved)}")
    facts(
        {
            "  objects": f"{found.objects_before:,} -> {found.objects_after:,}",
            "  bytes": f"{size(found.bytes_before)} -> {size(found.bytes_after)}",
            "  requests to read all": f"{found.requests_before:,} -> {found.requests_after:,}",
            "  not needed before": size(found.dead_bytes) if found.dead_bytes else None,
            "  compressed anew": _anew(found) if found.chunks_recompressed else None,
            "  shared": plural(found.chunks_shared, "chunk") if found.chunks_shared else None,
            "  objects missing": found.objects_missing or None,
            "  older snapshots": found.snapshots_rewritten or None,
            "  commits": "\n".join(f"{k} {v}" for k, v in found.commits.items()) or None,
        }
    )
    if not dry_run:
        say(f"the old objects stay until they are collected: frazil gc {shlex.quote(url)}")


def _anew(found: RepackSummary) -> str:
    chunks = plural(found.chunks_recompressed, "chunk")
    return f"{chunks}, {size(found.bytes_saved)} less" + " (estimated)" * found.dry_run


def _bytes(text: str) -> int:
    found = _SIZE.match(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size: write 65536, 64K or 1M")
    count = int(found[1])
    return count << 10 * _LETTERS.index(found[2].upper())
