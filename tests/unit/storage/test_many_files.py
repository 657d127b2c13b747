"""Looking at many files of a folder at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from frazil.storage import many_files
from frazil.storage.many_files import look_at_files


@pytest.fixture(params=[True, False])
def from_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system can look at a file from its folder."""
    if request.param and not many_files._FROM_FOLDER:
        pytest.skip("this system cannot look at a file from its folder")
    monkeypatch.setattr(many_files, "_FROM_FOLDER", request.param)
    monkeypatch.setattr(many_files, "_BLOCK", 3)
    return bool(request.param)


@pytest.mark.parametrize("spelled", [os.fsdecode, os.fsencode])
@pytest.mark.usefixtures("from_folder")
def test_sizes_and_times(tmp_path: Path, spelled: Callable[[str], str]) -> None:
    for i in range(8):
        path = tmp_path / f"f{i}"
        path.write_bytes(bytes(i))
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + i * 1_000_000_000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "f7")
    names = ["f7", "none", *(f"f{i}" for i in range(7)), "folder", "link"]
    sizes, times = look_at_files(spelled(str(tmp_path)), [spelled(name) for name in names])
    assert sizes.tolist() == [7, -1, *range(7), -1, -1]
    told = [times[0], *times[2:9]]
    assert told == [1_700_000_000_123_456 + i * 1_000_000 for i in (7, *range(7))]


@pytest.mark.usefixtures("from_folder")
def test_what_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        look_at_files(str(tmp_path), ["x" * 5000])
