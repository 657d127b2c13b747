"""Commands that look for causes: blame, bisect."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, open_repository, open_version
from frazil.cli.commands import Group, command
from frazil.cli.output import headline, note, one_line, plural, print_json, say, table, when

if TYPE_CHECKING:
    from frazil import Session
    from frazil.blaming import Blame
    from frazil.nodes import NodeInfo

SKIP = 125
"""The exit code of a check that cannot judge a commit, as for git."""
CANNOT_RUN = 126
"""From this exit code on, the check itself could not be run or was stopped."""


@command(
    "blame",
    Group.HISTORY,
    "frazil blame weather /t2m",
    'frazil blame weather /t2m calibrated --region "100:160, :, 0:5" --json',
)
def blame(
    url: Url,
    path: Annotated[str, typer.Argument(metavar="PATH", help="An array.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Which version.")] = "main",
    region: Annotated[
        str | None,
        typer.Option(metavar="SLICES", help='Only these elements: "0:30, 5", by dimension.'),
    ] = None,
    chunks: Annotated[bool, typer.Option("--chunks", help="Name every chunk.")] = False,
    as_json: Json = False,
) -> None:
    """Say which commit last wrote each part of an array."""
    repo = open_repository(url)
    id_ = repo.resolve(version)
    found = repo.blame(path, snapshot_id=id_, region=None if region is None else _slices(region))
    node = next(open_version(repo, id_).nodes(found.path))
    places = [*range(len(found.commits)), *([-1] if len(found.chunks_of(-1)) else [])]
    if as_json:
        print_json([_document(found, place, node, chunks=chunks) for place in places])
        return
    table(
        ("SNAPSHOT", "WRITTEN (UTC)", "CHUNKS", "WITHIN", "MESSAGE"),
        [_row(found, place, node) for place in places],
        right=(2,),
    )
    if chunks:
        for index, place in zip(found.chunks.tolist(), found.written_by.tolist(), strict=True):
            say(f"{'?' * 8 if place < 0 else found.commits[place].id[:8]} {index}")


def _slices(text: str) -> list[slice]:
    """`0:30, 5, :` as slices."""
    parts = []
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        try:
            start = int(first) if first.strip() else None
            stop = int(last) if last.strip() else None
        except ValueError:
            raise typer.BadParameter(f"{part.strip()!r} is no slice: write 0:30, 5 or :") from None
        if not colon:
            if start is None:
                raise typer.BadParameter(f"{text!r} has an empty part: write : for all")
            stop = start + 1 or None
        parts.append(slice(start, stop))
    return parts


def _within(found: Blame, place: int, node: NodeInfo) -> list[list[int]]:
    """The elements in which the chunks of a commit lie: from, to for each dimension."""
    sizes, index = node.shards or node.chunks, found.chunks_of(place)
    if sizes is None or node.shape is None or len(sizes) != index.shape[1]:
        return []
    low, high = index.min(axis=0).tolist(), index.max(axis=0).tolist()
    ends = zip(low, high, sizes, node.shape, strict=True)
    return [[a * size, min((b + 1) * size, length)] for a, b, size, length in ends]


def _row(found: Blame, place: int, node: NodeInfo) -> tuple[object, ...]:
    within = ", ".join(f"{a}:{b}" for a, b in _within(found, place, node))
    count = f"{len(found.chunks_of(place)):,}"
    if place < 0:
        return "?", "", count, within, "not in the history that is left"
    commit = found.commits[place]
    return commit.id[:8], when(commit.written_at), count, within, headline(commit.message)


def _document(found: Blame, place: int, node: NodeInfo, *, chunks: bool) -> dict[str, Any]:
    commit = None if place < 0 else found.commits[place]
    index = found.chunks_of(place)
    return {
        "id": commit and commit.id,
        "written_at": commit and commit.written_at,
        "message": commit and commit.message,
        "within": _within(found, place, node),
        "chunks": index if chunks else len(index),
    }


@command(
    "bisect",
    Group.HISTORY,
    "frazil bisect weather --good main~3 --bad main -- python check.py",
)
def bisect(
    url: Url,
    check: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="What checks a version, after --.")
    ],
    good: Annotated[str, typer.Option(metavar="VERSION", help="One that is known to be good.")],
    bad: Annotated[
        str, typer.Option(metavar="VERSION", help="A later one that is known to be bad.")
    ] = "main",
    as_json: Json = False,
) -> None:
    """Find the commit with which a check began to fail.

    COMMAND finds the repository in FRAZIL_URL and the version in FRAZIL_SNAPSHOT. It ends with 0
    if that is good, with 125 if it cannot tell, with another code below 126 if it is bad. What it
    prints goes to standard error.
    """
    repo = open_repository(url)

    def is_good(session: Session) -> bool | None:
        commit = repo.lookup_snapshot(session.snapshot_id)
        environment = {"FRAZIL_URL": url, "FRAZIL_SNAPSHOT": commit.id}
        code = _run(check, os.environ | environment)
        verdict = None if code == SKIP else code == 0
        word = {None: "skipped", True: "good", False: "bad"}[verdict]
        note(f"{commit.id[:8]} {word}: {headline(commit.message)}")
        return verdict

    found = repo.bisect(is_good, good=repo.resolve(good), bad=repo.resolve(bad))
    if as_json:
        verdicts = {commit.id: verdict for commit, verdict in found.judged}
        print_json({"suspects": [commit.id for commit in found.suspects], "good": verdicts})
        return
    if len(found.suspects) == 1:
        (commit,) = found.suspects
        say(f"the first bad commit is {commit.id}, {when(commit.written_at)} UTC")
        for line in commit.message.splitlines():
            say(f"    {line}")
    else:
        say(f"the first bad commit is one of {plural(len(found.suspects), 'commit')}:")
        for commit in found.suspects:
            say(f"  {commit.id} {headline(commit.message)}")


def _run(check: list[str], environment: dict[str, str]) -> int:
    """The exit code of the check."""
    try:
        code = subprocess.run(check, env=environment, stdout=sys.stderr).returncode
    except OSError as error:
        raise typer.BadParameter(f"cannot run {one_line(check[0])}: {error.strerror}") from None
    if code < 0 or code >= CANNOT_RUN:
        raise ValueError(f"the check could not be run, or was stopped: it ended with {code}")
    return code
