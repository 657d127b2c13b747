"""Looking at repositories: what commands print, in pipes and on terminals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

import frazil
from tests.cli.conftest import Done

Cli = Callable[[str], Done]
pytestmark = pytest.mark.usefixtures("here")


def on_terminal(line: str, columns: int, answer: str = "") -> tuple[int, str]:
    """The exit code and the output of a command with a terminal of this width."""
    return with_terminal(["-m", *line.split()], columns, answer)


def with_terminal(arguments: list[str], columns: int, answer: str = "") -> tuple[int, str]:
    """As `on_terminal`, with the arguments of Python."""
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    if answer:
        os.write(master, answer.encode())
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    return running.wait(), b"".join(parts).decode()


def test_real_data(frazil_cli: Cli) -> None:
    tree = frazil_cli("frazil tree climate").out
    assert "air_temperature  40 x 37 x 49 float32 (time, latitude, longitude)" in tree
    changes = frazil_cli("frazil diff climate main~1 main --values --json").document
    assert changes["updated_arrays"] == ["/air_temperature", "/forecast_period", "/time"]
    assert changes["updated_chunks"]["/air_temperature"] == 1
    log = frazil_cli("frazil log climate --json").document
    assert [commit["message"] for commit in log[:2]] == ["Twenty more", "First twenty years"]


def test_nothing_in_it_yet(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil info old --json").document["arrays"] == 0
    assert frazil_cli("frazil tree old --json").document == []
    assert frazil_cli("frazil tree old").err == "nothing was written yet\n"
    assert frazil_cli("frazil ls old").out == ""
    assert frazil_cli("frazil ls old x").code == 3


def test_statistics_of_differences(frazil_cli: Cli) -> None:
    repo = frazil.open("climate")
    with repo.transaction("main", message="warmer") as store:
        array = zarr.open_array(store, path="air_temperature")
        before = array[0, :2, :3]
        array[0, :2, :3] = before + np.float32(1.5)
        array[0, 0, 0] = np.nan
    (values,) = frazil_cli("frazil diff climate main~1 main --values --json").document["values"]
    assert values["path"] == "/air_temperature"
    assert values["changed"] == 6
    assert values["mean"] == pytest.approx(1.5, rel=1e-3)
    assert values["smallest"] == pytest.approx(1.5, rel=1e-3)
    found = frazil_cli("frazil diff climate main~1 main --exit-code")
    assert (found.code, found.out) == (1, "~ /air_temperature (array, 1 chunk)\n")
    assert frazil_cli("frazil diff climate main main --exit-code").out == "no difference\n"


def test_differences_of_versions_that_are_not_in_line(frazil_cli: Cli) -> None:
    found = frazil_cli("frazil diff weather main calibrated --values --json").document
    assert found["deleted_arrays"] == ["/rain/total"]
    assert found["updated_chunks"] == {"/t2m": 1}
    assert found["values"][0]["mean"] == pytest.approx(0.25, rel=1e-3)
    back = frazil_cli("frazil diff weather calibrated main --json").document
    assert back["new_arrays"] == ["/rain/total"]
    assert back["updated_chunks"] == {"/rain/total": 4, "/t2m": 1}


def test_commits_that_touched_a_path(frazil_cli: Cli) -> None:
    messages = [c["message"] for c in frazil_cli("frazil log weather --path rain --json").document]
    assert messages == ["Add rain"]


def test_versions_by_name_id_and_steps(frazil_cli: Cli) -> None:
    tip = frazil_cli("frazil show weather --json").document["id"]
    for version in (tip, tip[:6].lower(), "main"):
        assert frazil_cli(f"frazil show weather {version} --json").document["id"] == tip
    shown = frazil_cli("frazil show weather main~2~ --json").document
    assert shown["message"] == "Coordinates"


def test_nothing_from_a_repository_steers_the_terminal(frazil_cli: Cli) -> None:
    repo = frazil.open("weather")
    with repo.transaction("main", message="\x1b[2Jgone\r\x07 on") as store:
        zarr.open_group(store).attrs["x"] = 1
    for command in ("log weather", "show weather", "branch weather", "info weather"):
        assert not {"\x1b", "\r", "\x07"} & set(frazil_cli(f"frazil {command}").out)


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_terminal(columns: int) -> None:
    code, out = on_terminal("frazil ls weather -l", columns)
    assert code == 0
    assert "360 x 12 x 24" in out
    lines = out.replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, lines)) <= columns


def test_times_and_ids_are_not_broken_into_lines() -> None:
    code, out = on_terminal("frazil branch weather", 60)
    assert code == 0
    assert re.search(r"calibrated  \w{8}  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  Warmer by", out)


def test_a_graph_is_coloured_on_terminals_only(frazil_cli: Cli) -> None:
    assert "\x1b[" in on_terminal("frazil log weather --graph", 80)[1]
    piped = frazil_cli("frazil log weather --graph").out
    assert "\x1b[" not in piped
    assert "(calibrated) Warmer by a quarter of a degree in May" in piped


def test_confirmation_on_a_terminal() -> None:
    code, out = on_terminal("frazil branch weather calibrated --delete", 80, "n\n")
    assert code == 1
    assert "1 commit then on no branch and no tag. Go on? [y/N]" in out
    assert "calibrated" in frazil.open("weather").list_branches()
    assert on_terminal("frazil branch weather calibrated --delete", 80, "y\n")[0] == 0
    assert "calibrated" not in frazil.open("weather").list_branches()


def test_progress_on_a_terminal_only() -> None:
    program = (
        "import sys, frazil.progress; frazil.progress.DELAY = frazil.progress.INTERVAL = 0\n"
        "sys.argv = 'frazil diff weather v1 calibrated --values'.split()\n"
        "from frazil.cli import main; main()"
    )
    assert "Comparing /t2m: [####" in with_terminal(["-c", program], 80)[1]
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (piped.returncode, piped.stderr) == (0, "")


def test_a_warning_is_one_line() -> None:
    program = (
        "import sys, warnings, frazil.cli.demo as demo\n"
        "made = demo.make_demo\n"
        "demo.make_demo = lambda url: warnings.warn('be careful') or made(url)\n"
        "sys.argv = 'frazil demo again'.split()\n"
        "from frazil.cli import main; main()"
    )
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (piped.returncode, piped.stderr) == (0, "frazil: warning: be careful\n")


def test_nobody_to_confirm(frazil_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = frazil_cli("frazil reset weather main v1")
    assert done.code == 2
    assert "--yes" in done.err
    assert frazil.open("weather").resolve("main~1") == frazil.open("weather").lookup_tag("v1")


def test_who_reads_no_further_ends_the_command(here: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m frazil log weather --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("[\n", "")
