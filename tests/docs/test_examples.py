"""The examples run, and the checks in them hold."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

HERE = ["quickstart", "backfill", "time_travel_plot", "async_service"]
"""Those without processes of their own."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", HERE)
def test_example(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = load(name).main(tmp_path)
    if done is not None:
        asyncio.run(done)
    assert capsys.readouterr().out
    for picture in tmp_path.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (["append_hourly.py"], "Hour 2"),
        (["process_pool.py", "fork"], "240 years written by forked processes in 4 parts"),
        (["dask_cluster.py"], "/departures/air_temperature"),
    ],
)
def test_example_with_processes(command: list[str], printed: str, tmp_path: Path) -> None:
    if sys.platform == "win32" and "fork" in command:
        pytest.skip("there is no fork")
    script, *options = command
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(tmp_path), *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_the_notebook_runs() -> None:
    """Cell by cell, the value of a last expression shown as a notebook would."""
    cells = json.loads((EXAMPLES / "quickstart.ipynb").read_text("utf-8"))["cells"]
    names: dict[str, Any] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == []
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    assert any("Three more days" in page for page in shown)
    assert any("appended" in page for page in shown)
