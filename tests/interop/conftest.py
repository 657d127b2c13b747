"""Fixtures for the tests in which two libraries share a repository."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.interop.place import Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for one repository: a folder, or what `on_every_store` asks for."""
    # Imported here: without the real icechunk the import skips, which conftest cannot.
    from tests.interop.libraries import Bucket
    from tests.interop.place import CloudPlace, Place

    name = getattr(request, "param", "disk")
    if name == "disk":
        return Place(tmp_path / "repository")
    cloud = request.getfixturevalue("servers").cloud(name)
    return CloudPlace(Bucket(cloud, f"interop/{secrets.token_hex(8)}"), tmp_path / "repository")
