"""Every command is documented, with examples that run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from frazil.cli import app
from frazil.cli.commands import COMMANDS, Group
from tests.cli.conftest import Done
from tests.cli.page import MARK, PAGE, reference

app.application()
EXAMPLES = [
    (name, line)
    for name, item in COMMANDS.items()
    for line in item.examples
    if item.group is not Group.SERVE  # which run until they are interrupted
]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8").partition(MARK)[2] == reference(), "python -m tests.cli.page"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_what_it_does_and_an_example(
    frazil_cli: Callable[[str], Done], name: str
) -> None:
    done = frazil_cli(f"frazil {name} --help")
    assert done.code == 0
    assert COMMANDS[name].examples
    for line in COMMANDS[name].examples:
        assert line.startswith(f"frazil {name} ")
        assert line in done.out
    assert (COMMANDS[name].function.__doc__ or "").split("\n")[0] in " ".join(done.out.split())


WITHOUT_JSON = {"cat", "files get", "serve"}
"""They print bytes, or run until they are interrupted."""


@pytest.mark.parametrize("name", COMMANDS)
def test_options_that_all_have(name: str) -> None:
    found: Any = typer.main.get_command(app.application())
    for word in name.split():
        found = found.commands[word]
    options = {option for parameter in found.params for option in parameter.opts}
    assert ("--json" in options) == (name not in WITHOUT_JSON)
    assert ("--yes" in options) == ("--dry-run" in options), "who is asked can look before"
    assert [parameter.name for parameter in found.params if not parameter.help] == []


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_examples_run(frazil_cli: Callable[[str], Done], here: Path, name: str, line: str) -> None:
    done = frazil_cli(line)
    assert done.code == 0
    assert not done.err or name == "bisect", "its check prints there"
    assert done.out
    if "--json" in line or name == "inspect":
        assert done.document


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['frazil', '--help']\n"
        "from frazil.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'zarr', 'numpy', 'obstore', 'rich', 'asyncio'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name.split()[0] in done.stdout for name in COMMANDS)
