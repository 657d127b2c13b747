"""Commands that bring data in and out, and copy repositories: import, export, clone, sync."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import At, Json, Message, Url, Virtual, open_repository, open_version
from frazil.cli.commands import Group, command
from frazil.cli.output import plural, print_json, record_document, say, size

if TYPE_CHECKING:
    from frazil import AlreadyExistsError, Session
    from frazil.interchange.summary import TransferSummary
    from frazil.ops import CopySummary

_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
NETCDF = (".nc", ".nc4", ".cdf", ".h5", ".hdf5")
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Where to: a folder or URL.")]
Branches = Annotated[
    list[str] | None, typer.Option("--branch", metavar="BRANCH", help="Only this; repeatable.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only this; repeatable.")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Read everything again there, and compare the bytes.")
]


@command(
    "import",
    Group.DATA,
    'frazil import observations archive.zarr -m "Take over the archive"',
    "frazil import observations may.nc june.nc --to ocean --append-dim time",
)
def import_(
    url: Url,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="A Zarr store, or NetCDF files.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="PATH", help="The group to fill.")] = "/",
    branch: Annotated[
        str, typer.Option("--branch", metavar="BRANCH", help="The branch to commit to.")
    ] = "main",
    message: Message = None,
    append_dim: Annotated[
        str | None,
        typer.Option("--append-dim", metavar="NAME", help="The dimension along which it grows."),
    ] = None,
    by_reference: Annotated[
        bool,
        typer.Option("--by-reference", help="Leave the chunks of a Zarr store where they are."),
    ] = False,
    virtual: Virtual = None,
    as_json: Json = False,
) -> None:
    """Bring plain Zarr or NetCDF into a repository, as one commit."""
    import frazil

    repo = open_repository(url, virtual)
    for source in sources:
        if not _URL.match(source) and not os.path.exists(source):
            raise FileNotFoundError(f"there is no file or folder {source}")
    session = repo.writable_session(branch)
    summary = None
    if all(_is_netcdf(source) for source in sources):
        if by_reference:
            raise typer.BadParameter("--by-reference is for Zarr stores")
        frazil.import_netcdf(sources, session, to.strip("/") or None, append_dim=append_dim)
    else:
        if len(sources) > 1 or append_dim is not None:
            raise typer.BadParameter("give one Zarr store, or NetCDF files")
        summary = frazil.import_zarr(sources[0], session, to, by_reference=by_reference)
    names = ", ".join(map(_name, sources))
    what = _written(session) if summary is None else _transferred(summary)
    id_ = session.snapshot_id
    is_new = session.has_uncommitted_changes
    if is_new:
        id_ = session.commit(message or f"Import {names}")
    if as_json:
        print_json({"branch": branch, "snapshot": id_} | _transfer(summary))
    else:
        say(f"{branch} is at {id_}: {what}" if is_new else f"{branch} has all of {names} already")


@command(
    "export",
    Group.DATA,
    "frazil export weather copy.zarr",
    "frazil export weather rain.nc --from rain --at main",
)
def export(
    url: Url,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A Zarr store, or a NetCDF file (.nc).")
    ],
    path: Annotated[str, typer.Option("--from", metavar="PATH", help="The group to write.")] = "/",
    at: At = "main",
    zarr_format: Annotated[int, typer.Option(help="2 or 3.")] = 3,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    virtual: Virtual = None,
    as_json: Json = False,
) -> None:
    """Write a version as plain Zarr or NetCDF."""
    import frazil

    session = open_version(open_repository(url, virtual), at)
    summary = None
    if _is_netcdf(target):
        if os.path.exists(target) and not overwrite:
            raise _is_there(target)
        frazil.export_netcdf(session, target, path.strip("/") or None)
    elif zarr_format in (2, 3):
        format_: Any = zarr_format
        try:
            summary = frazil.export_zarr(
                session, target, path, zarr_format=format_, overwrite=overwrite
            )
        except frazil.AlreadyExistsError:
            raise _is_there(target) from None
    else:
        raise typer.BadParameter("--zarr-format takes 2 or 3")
    if as_json:
        print_json({"target": target, "snapshot": session.snapshot_id} | _transfer(summary))
    else:
        say(f"wrote {target}" + (f": {_transferred(summary)}" if summary is not None else ""))


def _is_there(target: str) -> AlreadyExistsError:
    from frazil import AlreadyExistsError

    return AlreadyExistsError(f"{target} is not empty: --overwrite replaces what is there")


@command(
    "clone",
    Group.DATA,
    "frazil clone weather backup",
    "frazil clone weather small --branch main --depth 1",
)
def clone(
    url: Url,
    target: Target,
    branch: Branches = None,
    tag: Tags = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Only so many commits.")
    ] = None,
    compare: Compare = False,
    as_json: Json = False,
) -> None:
    """Copy a repository with its history; an interrupted copy goes on."""
    import frazil

    place = frazil.storage_from_url(target)
    done = open_repository(url).clone_to(
        place, branch=branch, tag=tag, depth=depth, compare=compare
    )
    _copied(done, target, as_json=as_json)


@command("sync", Group.DATA, "frazil sync weather mirror")
def sync(
    url: Url,
    target: Target,
    branch: Branches = None,
    tag: Tags = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also move branches that have other commits there.")
    ] = False,
    compare: Compare = False,
    as_json: Json = False,
) -> None:
    """Bring a copy up to date, or make one."""
    import frazil

    place = frazil.storage_from_url(target)
    done = open_repository(url).sync_to(place, branch=branch, tag=tag, force=force, compare=compare)
    _copied(done, target, as_json=as_json)


def _copied(done: CopySummary, target: str, *, as_json: bool) -> None:
    if as_json:
        print_json(record_document(done))
        return
    present = f"; {done.objects_present:,} were there" if done.objects_present else ""
    say(
        f"{plural(done.objects_copied, 'file')} copied to {target}, "
        f"{size(done.bytes_copied)}{present}"
        if done.objects_copied
        else f"{target} has all files already"
    )
    for kind, names in (("branches", done.branches), ("tags", done.tags)):
        if names:
            say(f"{kind}: {', '.join(names)}")


def _is_netcdf(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in NETCDF


def _name(source: str) -> str:
    return PurePosixPath(source.partition("?")[0].rstrip("/")).name


def _transfer(summary: TransferSummary | None) -> dict[str, Any]:
    if summary is None:
        return {}
    return record_document(summary)


def _written(session: Session) -> str:
    """How much a commit of a session will write."""
    changes = session.status()
    arrays = changes.new_arrays | changes.updated_arrays | set(changes.updated_chunks)
    chunks = sum(map(len, changes.updated_chunks.values()))
    return f"{plural(len(arrays), 'array')}, {plural(chunks, 'chunk')}"


def _transferred(summary: TransferSummary) -> str:
    text = f"{plural(summary.arrays, 'array')}, {plural(summary.chunks, 'chunk')}"
    text += f" ({size(summary.bytes)})"
    if summary.present:
        text += f"; {plural(summary.present, 'chunk')} were there"
    if summary.recoded:
        text += f"; encoded anew: {', '.join(summary.recoded)}"
    return text
