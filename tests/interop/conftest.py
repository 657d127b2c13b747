"""Fixtures for the tests in which two libraries share a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.interop.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder for one repository."""
    # Imported here: without the real icechunk the import skips, which conftest cannot.
    from tests.interop.place import Place

    return Place(tmp_path / "repository")
