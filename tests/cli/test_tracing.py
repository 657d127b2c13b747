"""Blame and bisect on the command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import Done

Cli = Callable[[str], Done]
pytestmark = pytest.mark.usefixtures("here")


def test_blame(frazil_cli: Cli) -> None:
    found = frazil_cli("frazil blame weather t2m calibrated --json").document
    assert [(part["message"][:6], part["chunks"], part["within"][0]) for part in found] == [
        ("Warmer", 1, [120, 180]),
        ("Temper", 3, [180, 360]),
        ("Temper", 2, [0, 120]),
    ]
    some = frazil_cli('frazil blame weather t2m --region "10, :" --chunks --json').document
    assert [part["chunks"] for part in some] == [[[0, 0, 0]]]
    shown = frazil_cli("frazil blame climate air_temperature --chunks").out
    assert "Twenty more" in shown
    assert "[0, 0, 0]" in shown
    assert frazil_cli("frazil blame weather t2m --region x").code == 2
    assert frazil_cli("frazil blame weather rain").code == 2
    assert frazil_cli("frazil blame weather nope").code == 3


def test_bisect(frazil_cli: Cli) -> None:
    done = frazil_cli("frazil bisect weather --good main~3 -- python check.py")
    assert done.code == 0
    assert done.out.startswith("the first bad commit is ")
    assert done.out.endswith("    Add rain\n")
    assert "looking at" in done.err
    skipped = frazil_cli('frazil bisect weather --good main~3 --json -- sh -c "exit 125"').document
    assert len(skipped["suspects"]) == 3
    assert set(skipped["good"].values()) == {None}


def test_checks_that_do_not_run(frazil_cli: Cli) -> None:
    assert frazil_cli("frazil bisect weather --good main~3 -- no-such-program").code == 2
    done = frazil_cli('frazil bisect weather --good main~3 -- sh -c "exit 127"')
    assert done.code == 2
    assert "ended with 127" in done.err
