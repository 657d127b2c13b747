"""The command line, `frazil`: one module for each family of commands, thin over the library.

    app.py           the program: its groups of commands, its errors, shell completion
    commands.py      how a command is declared, with its example
    arguments.py     arguments that many commands have
    exits.py         exit codes, and one line for each error
    output.py        text, tables and JSON
    demo.py          the repository of `frazil demo`

    repositories.py  init, info, status, demo
    trees.py         ls, tree
    history.py       log, show, diff
    tracing.py       blame, bisect
    references.py    branch, tag, reset
    merging.py       merge, cherry-pick, revert, squash
    upkeep.py        stats, doctor, gc, expire, migrate, ops
    copies.py        clone, sync, import, export
    hooking.py       hooks list, hooks add, hooks remove, hooks allow, hooks run
    completion.py    what shells offer where somebody presses Tab
    configuring.py   config get, config set, config history
    files.py         cat, inspect

A new command is a function in one of these, declared with `commands.command`, or in a new module
that `app.FAMILIES` names. A test runs its examples, `python -m tests.cli.page` documents it.
Starting has to be fast, so nothing here imports the rest of the package before a command runs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program with the arguments of the process."""
    try:
        from frazil.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit("frazil: the command line needs typer and rich: pip install 'frazil[cli]'")
    run()
