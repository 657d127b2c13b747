"""The command on what is stored: stats."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.cli.arguments import At, Json, Url, open_repository, open_version
from frazil.cli.commands import Group, command
from frazil.cli.output import facts, plural, print_json, say, size, table

if TYPE_CHECKING:
    from frazil import Repository
    from frazil.statistics import ObjectUse, StorageStatistics
    from frazil.stats import ChunkStorageStats


class By(StrEnum):
    """What is told apart."""

    ARRAY = "array"
    SNAPSHOT = "snapshot"
    AGE = "age"
    KIND = "kind"


@command(
    "stats",
    Group.OPERATE,
    "frazil stats weather",
    "frazil stats weather --arrays",
    "frazil stats weather --by snapshot --limit 3",
    "frazil stats weather --by age --objects --json",
    "frazil stats weather --plot growth.svg",
)
def stats(
    url: Url,
    by: Annotated[
        By | None,
        typer.Option(
            "--by",
            metavar="KIND",
            help="A row for each array, snapshot, age or kind, of the whole history.",
        ),
    ] = None,
    arrays: Annotated[bool, typer.Option("--arrays", help="Each array of a version.")] = False,
    at: At = "main",
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="BRANCH", help="Only its history.")
    ] = None,
    objects: Annotated[
        bool,
        typer.Option("--objects", help="Also list objects: dead space, leftovers."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only so many rows.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE", help="Draw how it grew: .png, .svg or .html."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how much storage the chunks take.

    Those of the whole history, or by array those of one version.
    """
    repo = open_repository(url)
    if arrays:
        _arrays(repo, at, as_json=as_json)
        return
    found = repo.statistics(branch=branch, objects=objects)
    written = None if plot is None else found.plot(plot)
    if as_json:
        print_json(found.to_dict() if by is None else found.to_dict()[f"by_{by}"][:limit])
        return
    if written is not None:
        say(f"wrote {written}")
    if by is None:
        _total(found.total)
    else:
        _by(found, by, limit)
    if found.objects is not None:
        _objects(found.objects)


def _arrays(repo: Repository, at: str, *, as_json: bool) -> None:
    found = open_version(repo, at).storage_of()
    if as_json:
        print_json({path: _bytes(item) for path, item in found.items()})
        return
    largest = sorted(found.items(), key=lambda item: -item[1].total_bytes())
    table(
        ("PATH", "NATIVE", "INLINE", "VIRTUAL"),
        [
            (path, size(s.native_bytes), size(s.inlined_bytes), size(s.virtual_bytes))
            for path, s in largest
        ],
        right=(1, 2, 3),
    )


def _total(total: ChunkStorageStats) -> None:
    facts(
        {
            "native": f"{size(total.native_bytes):>10}  in objects of the repository",
            "inline": f"{size(total.inlined_bytes):>10}  in manifests",
            "virtual": f"{size(total.virtual_bytes):>10}  in other files",
            "total": f"{size(total.total_bytes()):>10}",
        }
    )


def _by(found: StorageStatistics, by: By, limit: int | None) -> None:
    shown = found.table(by.value)
    if by is By.SNAPSHOT:
        shown = shown.take(slice(None, None, -1))
    rows = shown.take(slice(limit)).texts()
    if by is By.SNAPSHOT:
        rows = [[id_[:8], *others] for id_, *others in rows]
    right = [i for i, name in enumerate(shown) if shown.is_number(name)]
    table([name.upper() for name in shown], rows, right=right)


def _objects(use: ObjectUse) -> None:
    facts(
        {
            "objects": f"{use.objects:,}, {size(use.object_bytes)}",
            "dead in them": f"{size(use.dead_bytes)} in {plural(use.with_dead, 'object')}",
            "footers": size(use.footer_bytes),
            "referred to by nothing": f"{use.unreferenced:,}, {size(use.unreferenced_bytes)}",
            "missing": use.missing or None,
        }
    )


def _bytes(item: ChunkStorageStats) -> dict[str, int]:
    return {
        "native_bytes": item.native_bytes,
        "inlined_bytes": item.inlined_bytes,
        "virtual_bytes": item.virtual_bytes,
    }
