"""The program: all commands in their groups."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from frazil._version import __version__
from frazil.cli.commands import COMMANDS, Group
from frazil.cli.output import note, one_line, print_what_can_be_encoded

FAMILIES = (
    "repositories",
    "trees",
    "history",
    "tracing",
    "references",
    "merging",
    "copies",
    "retention",
    "purging",
    "attached",
    "statistics",
    "upkeep",
    "packing",
    "integrity",
    "configuring",
    "hooking",
    "files",
    "serving",
)
"""Modules with commands."""

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_ABOUT = """Version control for Zarr arrays.

URL is a folder or a place in a bucket, such as s3://bucket/prefix; who you are is taken from the
environment. VERSION is a branch, a tag, the beginning of a snapshot's id, or one of them with ~2
for two commits before. Times are in UTC. FRAZIL_DEBUG=1 shows where an error comes from.

To try it: frazil demo weather
"""


class Grouped(TyperGroup):
    """Shows commands by group."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List them."""
        names = self.list_commands(ctx)
        for group in Group:
            rows = []
            for name in names:
                first = COMMANDS.get(name) or next(
                    c for c in COMMANDS.values() if c.name.startswith(f"{name} ")
                )
                if first.group is group:
                    rows.append((name, self.commands[name].get_short_help_str(limit=70)))
            if rows:
                with formatter.section(group.value):
                    formatter.write_dl(rows)


def application(*, completing: bool = False) -> typer.Typer:
    """The program, with all commands; completing: what it offers to a shell, too."""
    for family in FAMILIES:
        import_module(f"frazil.cli.{family}")
    if completing:
        from frazil.cli.completion import attach

        for item in COMMANDS.values():
            attach(item.name, item.function)
    app = _typer(cls=Grouped, help=_ABOUT, add_completion=True)

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
        ] = False,
    ) -> None:
        pass

    groups: dict[str, typer.Typer] = {"": app}
    for item in COMMANDS.values():
        parent, _, name = item.name.rpartition(" ")
        if parent not in groups:
            groups[parent] = _typer(help=PARENTS[parent])
            app.add_typer(groups[parent], name=parent)
        examples = "\n".join(f"  {line}" for line in item.examples)
        groups[parent].command(
            name,
            epilog=f"\b\nExample{'s' * (len(item.examples) > 1)}:\n{examples}",
            context_settings=_SETTINGS | item.context,
        )(item.function)
    return app


PARENTS = {
    "hooks": "Checks before commits and merges, messages after them.",
    "retention": "Which versions are kept: show, set or preview a policy.",
    "config": "Show and change the configuration of a repository.",
    "files": "Ordinary files beside the arrays: notes, sources, logs.",
}
"""Commands that have commands."""


def _typer(**options: Any) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        context_settings=_SETTINGS,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **options,
    )


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    note(f"frazil: warning: {one_line(str(message))}")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"frazil {__version__}")
        raise typer.Exit


def program() -> Any:
    """The program, ready to be called with the arguments of the process."""
    if not os.environ.get("FRAZIL_DEBUG"):
        warnings.showwarning = _warn
    print_what_can_be_encoded()
    return typer.main.get_command(application(completing="_FRAZIL_COMPLETE" in os.environ))
