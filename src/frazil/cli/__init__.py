"""The command line, `frazil`: one module for each family of commands, thin over the library.

    app.py           the program: its groups of commands, its errors, shell completion
    commands.py      how a command is declared, with its example
    arguments.py     arguments that many commands have
    exits.py         exit codes, and one line for each error
    interrupts.py    Ctrl-C
    output.py        text, tables and JSON
    demo.py          the repository of `frazil demo`

    repositories.py  init, info, status, demo
    trees.py         ls, tree
    history.py       log, show, diff
    tracing.py       blame, bisect
    references.py    branch, tag, reset
    merging.py       merge, cherry-pick, revert, squash
    copies.py        import, export, clone, sync
    attached.py      files ls, files put, files get, files rm
    retention.py     retention show, retention set, retention preview
    purging.py       purge
    statistics.py    stats
    upkeep.py        doctor, expire, gc, migrate, ops
    packing.py       pack
    integrity.py     verify, repair
    configuring.py   config get, config set, config history
    hooking.py       hooks list, hooks add, hooks remove, hooks allow, hooks run
    files.py         cat, inspect
    serving.py       serve
    completion.py    what shells offer where somebody presses Tab

A new command is a function in one of these, declared with `commands.command`, or in a new module
that `app.FAMILIES` names. A test runs its examples, `python -m tests.cli.page` documents it.
Starting has to be fast, so nothing here imports the rest of the package before a command runs.
"""

from __future__ import annotations

import sys

from frazil.cli.interrupts import ending_the_process


def main() -> None:
    """Run the program with the arguments of the process."""
    with ending_the_process():
        try:
            from frazil.cli.app import program
        except ModuleNotFoundError as error:
            if error.name not in ("typer", "rich"):
                raise
            sys.exit(
                "frazil: the command line needs typer and rich: pip install typer rich, "
                "or frazil[cli] from where frazil came"
            )
        run = program()
    run(prog_name="frazil")
