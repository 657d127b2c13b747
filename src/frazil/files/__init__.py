"""Ordinary files beside arrays: `Session.files`."""

from frazil.files.group import Files
from frazil.files.info import FileInfo
from frazil.files.reading import FileReader

__all__ = ["FileInfo", "FileReader", "Files"]
