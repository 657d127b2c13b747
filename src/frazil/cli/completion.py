"""What the shell offers where somebody presses Tab: branches, tags, paths of nodes, folders.

What stands in a place is told by how the command calls it: `metavar="BRANCH"` is completed by
branches, whatever the command. Only repositories in folders are looked at, others if
`FRAZIL_COMPLETE_REMOTE` is set: a key that is pressed should not wait for a network. Where
anything is wrong, nothing is offered and nothing is said.
"""

from __future__ import annotations

import copy
import inspect
import os
import re
import typing
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.models import ParameterInfo

if TYPE_CHECKING:
    from frazil import Repository

REMOTE = "FRAZIL_COMPLETE_REMOTE"
_MOST = 1_000
_HARMLESS = re.compile(r"[\w./@+,=:~-]+")
"""Shells evaluate what they are offered, and anybody may have named a branch."""

Complete = Callable[[typer.Context, str], list[str]]


def attach(name: str, function: Callable[..., None]) -> None:
    """Let the parameters of a command be completed."""
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter, hint in hints.items():
        (info,) = getattr(hint, "__metadata__", (None,))
        if isinstance(info, ParameterInfo):
            own = copy.copy(info)  # others have the same one
            own.autocompletion = _source(name, parameter, info)
            hints[parameter] = Annotated[hint.__origin__, own]
    # The program looks at both.
    function.__annotations__ = inspect.unwrap(function).__annotations__ = hints


def _source(command: str, parameter: str, info: ParameterInfo) -> Complete | None:
    if parameter == "name" and command in ("branch", "tag"):
        return _SOURCES[command]
    word = (info.metavar or parameter).lower().removesuffix("...")
    return _SOURCES.get(word)


def folders(ctx: typer.Context, incomplete: str) -> list[str]:
    """Folders of this machine."""
    parent, _, beginning = incomplete.rpartition("/")
    top = Path(parent or ("/" if incomplete.startswith("/") else "."))
    shown = incomplete[: len(incomplete) - len(beginning)]
    return [
        shown + entry.name
        for entry in sorted(top.iterdir())
        if entry.name.startswith(beginning)
        if beginning or not entry.name.startswith(".")
        if entry.is_dir()
    ]


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Branches and tags."""
    repo = _repository(ctx)
    return [*sorted(repo.list_branches()), *sorted(repo.list_tags())]


def branches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Branches."""
    return sorted(_repository(ctx).list_branches())


def tags(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tags."""
    return sorted(_repository(ctx).list_tags())


def hooks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Stored hooks."""
    return [hook.name for hook in _repository(ctx).hooks]


def paths(ctx: typer.Context, incomplete: str) -> list[str]:
    """Nodes of the version that the command line says: those on the level that is being typed.

    If that is one group, what is in it.
    """
    repo = _repository(ctx)
    version = ctx.params.get("at") or ctx.params.get("version") or ctx.params.get("branch")
    session = repo.readonly_session(snapshot_id=repo.resolve(version or "main"))
    given = "/" + incomplete.lstrip("/")
    found = [node for node in session.nodes() if node.path.startswith(given) and node.path != "/"]
    level = [node for node in found if "/" not in node.path[len(given) :]]
    if len(level) == 1 and level[0].kind == "group":
        inside = level[0].path + "/"
        below = [node for node in found if node.path.startswith(inside)]
        level += [node for node in below if "/" not in node.path[len(inside) :]]
    skipped = 0 if incomplete.startswith("/") or not incomplete else 1
    return [node.path[skipped:] for node in level]


def _repository(ctx: typer.Context) -> Repository:
    from frazil.storage.urls import parse_url

    # Where an option is still without its value, nothing is told apart yet.
    url = ctx.params.get("url") or ctx.args[0]
    if parse_url(url).constructor != "local_filesystem_storage" and not os.environ.get(REMOTE):
        raise LookupError(url)
    import frazil

    return frazil.open(url)


def _quiet(source: Callable[[typer.Context, str], Iterable[str]]) -> Complete:
    """The source as the program asks for it: what cannot be told, or typed, is left out."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = source(ctx, incomplete)
        except Exception:
            return []
        fitting = (t for t in found if t.startswith(incomplete) and _HARMLESS.fullmatch(t))
        return list(fitting)[:_MOST]

    return complete


_SOURCES: dict[str, Complete] = {
    "branch": _quiet(branches),
    "hook": _quiet(hooks),
    "path": _quiet(paths),
    "tag": _quiet(tags),
    "url": _quiet(folders),
    "version": _quiet(versions),
}
