"""What to tell when something goes wrong."""

import pytest

from frazil._version import __version__
from frazil.debug import print_debug_info, user_agent


def test_versions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_debug_info()
    names = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:4] == ["platform", "python", "frazil", "zarr"]


def test_the_user_agent_names_the_version() -> None:
    assert user_agent() == f"frazil/{__version__}"
