"""How a command is declared: in which group, with which examples, with errors in one line."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import typer

from frazil.cli.exits import report
from frazil.cli.interrupts import cause_of

Function = TypeVar("Function", bound=Callable[..., None])


class Group(StrEnum):
    """Families of commands, in the order in which they are shown."""

    LOOK = "Look"
    HISTORY = "History"
    CHANGE = "Change history"
    DATA = "Data in and out"
    OPERATE = "Operate"
    FILES = "Files of the format"
    SERVE = "In the browser"


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its words, such as `config get`, its group, examples, and function."""

    name: str
    group: Group
    examples: tuple[str, ...]
    function: Callable[..., None]
    context: dict[str, Any]


COMMANDS: dict[str, Command] = {}
"""All commands that were declared, by name."""


def command(
    name: str, group: Group, *examples: str, context: dict[str, Any] | None = None
) -> Callable[[Function], Function]:
    """Declare a command. examples: command lines, shown by `--help` and run by a test."""

    def declare(function: Function) -> Function:
        COMMANDS[name] = Command(name, group, examples, _guarded(function), context or {})
        return function

    return declare


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The function with errors reported; usage errors and exits are the program's."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:
            # Whoever read has enough. Python would complain once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (Exception, KeyboardInterrupt) as error:
            raise typer.Exit(report(cause_of(error))) from None

    return run
