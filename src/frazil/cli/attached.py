"""Commands on the ordinary files beside arrays: files ls, put, get, rm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import (
    At,
    DryRun,
    Json,
    Message,
    Url,
    Yes,
    confirm,
    open_repository,
    open_version,
)
from frazil.cli.commands import Group, command
from frazil.cli.output import on_terminal, plural, print_json, record_document, say, size, table

if TYPE_CHECKING:
    from frazil import Session
    from frazil.files import FileInfo

Branch = Annotated[str, typer.Option("--branch", metavar="BRANCH", help="The branch to commit to.")]
Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, such as /notes/a.txt.")]


@command("files ls", Group.DATA, "frazil files ls station", "frazil files ls station /notes -l")
def files_ls(
    url: Url,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="Only of this group.")] = "/",
    at: At = "main",
    long: Annotated[
        bool, typer.Option("--long", "-l", help="Also sizes, types and checksums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the files of a version, of a group and all below it."""
    from frazil.files.info import file_at

    session = open_version(open_repository(url), at)
    session.files(group)  # says what is wrong with the group
    found = [file_at(node) for node in session._workspace.nodes_under(_absolute(group))]
    files = [info for info in found if info is not None]
    if as_json:
        print_json([_document(info) for info in files])
    elif long:
        rows = [(f.path, size(f.size), f.media_type, (f.sha256 or "-")[:12]) for f in files]
        table(("PATH", "SIZE", "TYPE", "SHA-256"), rows, right=(1,))
    else:
        for info in files:
            say(info.path)


@command(
    "files put",
    Group.DATA,
    'frazil files put station may.nc june.nc --to /sources -m "Keep the sources"',
    "frazil files put station check.py --type text/x-python --set reviewed=true",
)
def files_put(
    url: Url,
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Local files; - for standard input.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="GROUP", help="The group they go to.")] = "/",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What a single file is called.")
    ] = None,
    media_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Their media type.")
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An attribute, in JSON; repeatable."),
    ] = None,
    branch: Branch = "main",
    message: Message = None,
    as_json: Json = False,
) -> None:
    """Store local files, as one commit; what had these names before is replaced."""
    if name is not None and len(sources) > 1:
        raise typer.BadParameter("--name is for one file")
    if name is None and "-" in sources:
        raise typer.BadParameter("give standard input a name: --name")
    for source in sources:
        if source != "-" and not os.path.exists(source):
            raise FileNotFoundError(f"there is no file {source}")
    session = open_repository(url).writable_session(branch)
    files = session.files(to)
    options: dict[str, Any] = {"media_type": media_type, "attributes": _values(attributes or [])}
    done = [
        files.put(
            name or PurePath(source).name,
            sys.stdin.buffer if source == "-" else source,
            **options,
        )
        for source in sources
    ]
    id_ = session.commit(message or f"Put {', '.join(info.path for info in done)}")
    if as_json:
        print_json({"branch": branch, "snapshot": id_, "files": [_document(f) for f in done]})
    else:
        total = size(sum(info.size for info in done))
        say(f"{branch} is at {id_}: {plural(len(done), 'file')}, {total}")


@command(
    "files get",
    Group.DATA,
    "frazil files get station /notes/README.md",
    "frazil files get station /notes/README.md --to read.md --at main",
)
def files_get(
    url: Url,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as /notes/a.txt.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="FILE", help="A local file or folder.")
    ] = None,
    at: At = "main",
) -> None:
    """Write a file to standard output, or to a local file."""
    import shutil

    session = open_version(open_repository(url), at)
    files, name = _split(session, path)
    if to is not None:
        say(f"wrote {files.save(name, to)}")
        return
    info = files.info(name)
    if on_terminal() and not info.media_type.startswith("text/"):
        raise typer.BadParameter(f"{path} is {info.media_type}: write it to a file with --to")
    with files.open(name) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)


@command(
    "files rm",
    Group.DATA,
    "frazil files rm station /notes/README.md --dry-run",
    'frazil files rm station /notes/README.md --yes -m "No longer true"',
)
def files_rm(
    url: Url,
    paths: Paths,
    branch: Branch = "main",
    message: Message = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Delete files from the newest version, as one commit; earlier ones keep them."""
    session = open_repository(url).writable_session(branch)
    found = []
    for path in paths:
        files, name = _split(session, path)
        found.append(files.info(name))
    what = f"{plural(len(found), 'file')} will be deleted, {size(sum(f.size for f in found))}"
    id_ = None
    if not dry_run:
        confirm(what, yes=yes)
        for path in paths:
            files, name = _split(session, path)
            files.delete(name)
        id_ = session.commit(message or f"Delete {', '.join(info.path for info in found)}")
    if as_json:
        print_json(
            {"branch": branch, "snapshot": id_, "files": [_document(f) for f in found],
             "dry_run": dry_run}
        )  # fmt: skip
    else:
        say(what if dry_run else f"{branch} is at {id_}: {plural(len(found), 'file')} deleted")


def _absolute(path: str) -> str:
    return "/" + path.strip("/")


def _split(session: Session, path: str) -> Any:
    """The files of the group, and the name in it."""
    group, _, name = _absolute(path).rpartition("/")
    return session.files(group or "/"), name


def _values(settings: list[str]) -> dict[str, Any]:
    found = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"{setting!r} is not KEY=VALUE")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def _document(info: FileInfo) -> dict[str, Any]:
    return record_document(info)
