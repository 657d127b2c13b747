"""Commands on what happened: log, show, diff."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, open_repository, open_version
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import (
    facts,
    headline,
    in_colour,
    one_line,
    plural,
    print_json,
    record_document,
    say,
    shape,
    table,
    when,
)

if TYPE_CHECKING:
    from frazil import Diff, Repository, SnapshotInfo
    from frazil.comparing import ValueChanges

_MARKS = (
    ("+", "new_groups", "group"),
    ("+", "new_arrays", "array"),
    ("~", "updated_groups", "group"),
    ("~", "updated_arrays", "array"),
    ("-", "deleted_groups", "group"),
    ("-", "deleted_arrays", "array"),
)


@command(
    "log",
    Group.HISTORY,
    "frazil log weather",
    "frazil log weather --graph",
    "frazil log weather calibrated --path /t2m -n 3 --json",
)
def log(
    url: Url,
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="The newest commit to show; main unless given."),
    ] = None,
    graph: Annotated[
        bool, typer.Option("--graph", help="Draw it; all branches unless VERSION is given.")
    ] = False,
    path: Annotated[
        str | None, typer.Option(help="Only commits that changed this node, or one below it.")
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Only so many commits.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the history, newest first."""
    repo = open_repository(url)
    if graph:
        if path is not None or as_json or number is not None:
            raise typer.BadParameter("--graph does not go with --path, --json and -n")
        start = None if version is None else repo.resolve(version)
        drawn = repo.ancestry_graph(snapshot_id=start, plain=not in_colour())
        sys.stdout.write(str(drawn))
        return
    commits = repo.ancestry(snapshot_id=repo.resolve(version or "main"))
    if path is not None:
        commits = (commit for commit in commits if _touches(repo, commit, path))
    shown = islice(commits, number)
    if as_json:
        print_json([_document(commit) for commit in shown])
        return
    names = _names(repo)
    for commit in shown:
        label = f"({', '.join(names[commit.id])}) " if commit.id in names else ""
        say(f"{commit.id} {when(commit.written_at)} {label}{headline(commit.message)}")


@command("show", Group.HISTORY, "frazil show weather v1", "frazil show weather main~1 --json")
def show(
    url: Url,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Which commit.")] = "main",
    as_json: Json = False,
) -> None:
    """Show one commit: who, when, why, and what it changed."""
    repo = open_repository(url)
    commit = repo.lookup_snapshot(repo.resolve(version))
    changes = _changes(repo, commit)
    if as_json:
        print_json(_document(commit) | {"changes": _diff_document(changes, chunks=True)})
        return
    facts(
        {
            "commit": commit.id,
            "parent": commit.parent_id or "none",
            "written": f"{when(commit.written_at)} UTC",
            "names": ", ".join(_names(repo).get(commit.id, [])) or None,
            "metadata": "\n".join(f"{k}: {v}" for k, v in commit.metadata.items()) or None,
        }
    )
    say()
    for line in commit.message.splitlines():
        say(f"    {line}")
    if changes is not None:
        say()
        _print_diff(changes, chunks=False)


@command(
    "diff",
    Group.HISTORY,
    "frazil diff weather v1",
    "frazil diff weather main calibrated",
    "frazil diff weather v1 calibrated --values",
    "frazil diff weather v1 calibrated --chunks --path /t2m --json",
)
def diff(
    url: Url,
    before: Annotated[str, typer.Argument(metavar="FROM", help="A version.")],
    after: Annotated[str, typer.Argument(metavar="TO", help="Another one.")] = "main",
    path: Annotated[str | None, typer.Option(help="Only this node and those below it.")] = None,
    chunks: Annotated[bool, typer.Option("--chunks", help="Name every chunk.")] = False,
    values: Annotated[
        bool, typer.Option("--values", help="Read the values, and say how far they are apart.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 if there are differences.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what is different between two versions.

    Between a version and a later one, that is all that the commits in between touched.
    """
    repo = open_repository(url)
    older, newer = repo.resolve(before), repo.resolve(after)
    found = _difference(repo, older, newer)
    if path is not None:
        found = _below(found, path)
    compared: list[ValueChanges] = []
    if values:
        from frazil.comparing import value_changes

        sessions = open_version(repo, older), open_version(repo, newer)
        compared = list(value_changes(*sessions, found))
    if as_json:
        document = {"from": older, "to": newer} | (_diff_document(found, chunks=chunks) or {})
        if values:
            document["values"] = [_values_document(item) for item in compared]
        print_json(document)
    else:
        _print_diff(found, chunks=chunks)
        if compared:
            say()
            _print_values(compared)
    if exit_code and not found.is_empty():
        raise typer.Exit(Exit.FINDING)


def _difference(repo: Repository, older: str, newer: str) -> Diff:
    """What the commits in between recorded, or else what is not the same in the end."""
    in_line = (commit.id for commit in islice(repo.ancestry(snapshot_id=newer), 1, None))
    if older in in_line:
        return repo.diff(from_snapshot_id=older, to_snapshot_id=newer)
    return repo.compare(older, newer)


def _changes(repo: Repository, commit: SnapshotInfo) -> Diff | None:
    """What a commit changed; None for the first one."""
    if commit.parent_id is None:
        return None
    return repo.diff(from_snapshot_id=commit.parent_id, to_snapshot_id=commit.id)


def _touches(repo: Repository, commit: SnapshotInfo, path: str) -> bool:
    changes = _changes(repo, commit)
    return changes is not None and not _below(changes, path).is_empty()


def _below(found: Diff, path: str) -> Diff:
    """What of a difference concerns a node or what is below it."""
    from frazil import Diff

    top = "/" + path.strip("/")

    def inside(other: str) -> bool:
        return other == top or other.startswith(top.rstrip("/") + "/")

    sets: dict[str, Any] = {
        name: {p for p in getattr(found, name) if inside(p)} for _, name, _ in _MARKS
    }
    return Diff(
        **sets,
        updated_chunks={p: c for p, c in found.updated_chunks.items() if inside(p)},
        moved_nodes=[(a, b) for a, b in found.moved_nodes if inside(a) or inside(b)],
    )


def _names(repo: Repository) -> dict[str, list[str]]:
    """The branches and tags at each snapshot."""
    names: dict[str, list[str]] = {}
    for name in sorted(repo.list_branches()):
        names.setdefault(repo.lookup_branch(name), []).append(name)
    for name in sorted(repo.list_tags()):
        names.setdefault(repo.lookup_tag(name), []).append(f"tag {name}")
    return names


def _document(commit: SnapshotInfo) -> dict[str, Any]:
    return {
        "id": commit.id,
        "parent_id": commit.parent_id,
        "written_at": commit.written_at,
        "message": commit.message,
        "metadata": commit.metadata,
    }


def _diff_document(found: Diff | None, *, chunks: bool) -> dict[str, Any] | None:
    if found is None:
        return None
    document: dict[str, Any] = {name: sorted(getattr(found, name)) for _, name, _ in _MARKS}
    document["moved_nodes"] = found.moved_nodes
    written = found.updated_chunks
    document["updated_chunks"] = written if chunks else {p: len(c) for p, c in written.items()}
    return document


def _print_diff(found: Diff, *, chunks: bool) -> None:
    if found.is_empty():
        say("no difference")
        return
    written = found.updated_chunks
    rows = [(path, mark, kind) for mark, name, kind in _MARKS for path in getattr(found, name)]
    seen = {path for path, _, _ in rows}
    rows += [(path, "~", "array") for path in written if path not in seen]
    for source, target in found.moved_nodes:
        say(f"> {one_line(source)} -> {one_line(target)}")
    for path, mark, kind in sorted(rows):
        notes = ["new metadata"] if mark == "~" and path in seen else []
        if path in written and mark != "-":
            notes.append(plural(len(written[path]), "chunk"))
        say(f"{mark} {one_line(path)} ({', '.join([kind, *notes])})")
        if chunks and mark != "-":
            for index in written.get(path, []):
                say(f"    {index}")


def _values_document(item: ValueChanges) -> dict[str, Any]:
    return record_document(item)


def _print_values(compared: list[ValueChanges]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"

    table(
        ("ARRAY", "SHAPE", "CHANGED", "COMPARED", "SMALLEST", "LARGEST", "MEAN", "RMS"),
        [
            (
                c.path,
                shape(c.after_shape),
                f"{c.changed:,}",
                f"{c.elements:,}",
                *map(number, (c.smallest, c.largest, c.mean, c.rms)),
            )
            for c in compared
        ],
        right=range(2, 8),
    )
