"""The reference in docs/cli.md is made from the commands:  python -m tests.cli.page"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.main

from frazil.cli.app import application
from frazil.cli.commands import COMMANDS, Command, Group
from frazil.cli.exits import MEANINGS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
MARK = "<!-- what follows is made from the commands by: python -m tests.cli.page -->\n"


def reference() -> str:
    """All that follows the mark."""
    root: Any = typer.main.get_command(application())
    parts = ["\n## Exit codes\n\n| code | meaning |\n|---|---|\n"]
    parts += [f"| {int(code)} | {text} |\n" for code, text in MEANINGS.items()]
    for group in Group:
        items = [item for item in COMMANDS.values() if item.group is group]
        if items:
            parts.append(f"\n## {group.value}\n")
            parts += [section(item, root) for item in items]
    return "".join(parts)


def section(item: Command, root: Any) -> str:
    """One command."""
    found = root
    for word in item.name.split():
        found = found.commands[word]
    help_ = " ".join(str(found.help).split())
    rows = [f"| `{names(param)}` | {param.help} |\n" for param in found.params if param.help]
    examples = "".join(f"    {line}\n" for line in item.examples)
    return (
        f"\n### frazil {item.name}\n\n{help_}\n\n{examples}"
        f"\n| argument | |\n|---|---|\n{''.join(rows)}"
    )


def names(param: Any) -> str:
    """How an argument or option is written."""
    if param.param_type_name == "argument":
        return str(param.metavar)
    flags = ", ".join(param.opts)
    return flags if param.is_flag else f"{flags} {param.metavar or param.name.upper()}"


if __name__ == "__main__":
    kept = PAGE.read_text("utf-8").partition(MARK)[0]
    PAGE.write_text(kept + MARK + reference(), "utf-8")
