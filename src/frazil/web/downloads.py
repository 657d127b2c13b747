"""The bytes of files that are kept beside arrays."""

from __future__ import annotations

from collections.abc import Iterator

from frazil.errors import IcechunkError
from frazil.files import FileInfo
from frazil.session import Session

PIECE = 4 * 1024 * 1024
"""Bytes that are read, and held, at a time."""
SHOWN = 64 * 1024
"""Bytes of a text that are shown."""
_TEXTS = frozenset({"application/json", "application/toml", "application/yaml", "application/xml"})


def pieces(session: Session, info: FileInfo) -> Iterator[bytes]:
    """A file from its beginning to its end."""
    group, _, name = info.path.rpartition("/")
    with session.files(group or "/").open(name) as file:
        while data := file.read(PIECE):
            yield data


def text_of(session: Session, info: FileInfo) -> str | None:
    """The beginning of a file, if it is a text, or None."""
    if not (info.media_type.startswith("text/") or info.media_type in _TEXTS):
        return None
    group, _, name = info.path.rpartition("/")
    try:
        with session.files(group or "/").open(name) as file:
            data = file.read(SHOWN + 3)
    except IcechunkError as error:
        return error.message
    for cut in range(4):  # a character may go on beyond the end of what was read
        try:
            return data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
    return None
