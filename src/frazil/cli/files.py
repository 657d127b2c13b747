"""Commands on single files of the format: cat, inspect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import on_terminal, print_json

if TYPE_CHECKING:
    from frazil import Repository

KINDS = ("repo", "snapshots", "transactions", "manifests")


@command("cat", Group.FILES, "frazil cat weather repo")
def cat(
    url: Url,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The file, such as snapshots/7B331Z08...")
    ],
) -> None:
    """Write a file of the repository to standard output, as it is stored."""
    repo = open_repository(url)
    if on_terminal():
        raise typer.BadParameter("the files are binary: send them to a file or a program")
    with _missing_file():
        data = repo.read_file(key)
    sys.stdout.buffer.write(data)


@command(
    "inspect",
    Group.FILES,
    "frazil inspect weather",
    "frazil inspect weather snapshots/main",
    "frazil inspect weather transactions/v1",
)
def inspect(
    url: Url,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="repo, snapshots/VERSION, transactions/VERSION or manifests/ID.",
        ),
    ] = "repo",
    as_json: Json = False,
) -> None:
    """Decode a file of the repository, and print it as JSON."""
    repo = open_repository(url)
    kind, _, name = key.partition("/")
    if kind not in KINDS or (kind == "repo") != (not name):
        raise typer.BadParameter(
            f"{key!r} is no file that can be decoded: write repo, snapshots/VERSION, "
            "transactions/VERSION or manifests/ID"
        )
    with _missing_file():
        print_json(_decoders(repo)[kind](name))


def _decoders(repo: Repository) -> dict[str, Callable[[str], dict[str, Any]]]:
    return {
        "repo": lambda _: repo.inspect_repo_info(),
        "snapshots": lambda name: repo.inspect_snapshot(repo.resolve(name)),
        "transactions": lambda name: repo.inspect_transaction_log(repo.resolve(name)),
        "manifests": repo.inspect_manifest,
    }


@contextmanager
def _missing_file() -> Iterator[None]:
    """A file that was asked for by name and is not there is no damage."""
    from frazil import ErrorKind, NotFoundError, StorageError

    try:
        yield
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise NotFoundError(error.message, error.kind) from error
